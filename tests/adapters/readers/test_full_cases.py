"""What a full fine-tune's tensors come to beside those of its base: one row a case."""

import json

import pytest
import torch
from safetensors.torch import save_file

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.files.listing import Folder
from inspector.adapters.formats import read_adapter
from inspector.adapters.options import ReadOptions
from inspector.adapters.readers.full import places

Q = "model.layers.0.self_attn.q_proj.weight"
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def folder(path, tensors, **config):
    path.mkdir()
    save_file({key: t.contiguous() for key, t in tensors.items()}, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps({"model_type": "llama"} | config))
    return path


def read(root, tuned, base):
    """The fine-tune of these tensors beside one that always is a module."""
    always = {"model.layers.9.mlp.up_proj.weight": torch.ones(3, 2)}
    place = folder(root / "base", always | base)
    return read_adapter(
        folder(root / "tuned", always | tuned), "a", "a", ReadOptions(BaseWeights("b", lambda: place), rank=7)
    )


def ones(*shape, dtype=torch.float32):
    return torch.ones(shape).to(dtype)


@pytest.mark.parametrize(
    ("key", "tuned", "base", "reason"),
    [
        (Q, ones(4, 2), ones(4, 2), ""),
        ("model.norm.weight", ones(4), ones(4), "no matrix (a norm, a bias)"),
        ("vision.conv.weight", ones(2, 3, 4), ones(2, 3, 4), "no matrix (more than two dimensions"),
        ("model.layers.0.sinks", ones(4, 2), ones(4, 2), "no matrix (more than two dimensions, or no module's weight)"),
        (Q, ones(4, 2), None, "not in the base"),
        (Q, ones(4, 2, dtype=torch.int8), ones(4, 2), "factors of a type that is not a float"),
        (Q, ones(4, 2), ones(4, 2, dtype=torch.int8), "quantised in the base"),
        (Q, ones(5, 2), ones(4, 2), "another shape than in the base: 5×2, not 4×2 (vocabulary resized?)"),
        (Q, ones(4, 3), ones(4, 2), "another shape than in the base: 4×3, not 4×2"),
    ],
)
def test_a_tensor_and_the_bases(tmp_path, key, tuned, base, reason):
    adapter = read(tmp_path, {key: tuned}, {} if base is None else {key: base})
    (record,) = (t for t in adapter.tensors if t.key == key)
    assert record.reason.startswith(reason)
    assert ("vocabulary" in record.reason) == ("vocabulary" in reason)
    assert (record.role == "used") == (reason == "")
    assert len(adapter.modules) == 1 + (reason == "")
    assert len(adapter.info.excluded) == (tuned.dim() == 2 and reason != "")
    assert adapter.depends_on == "b at rank 7"


def test_two_tensors_of_one_module_are_neither_used(tmp_path):
    twice = {Q: ones(4, 2), f"module.{Q}": ones(4, 2)}
    adapter = read(tmp_path, twice, {Q: ones(4, 2)})
    assert [str(id_) for id_ in adapter.modules] == ["9.mlp.up_proj"]
    assert {t.reason for t in adapter.tensors if t.role != "used"} == {"several tensors claim the same module"}


@pytest.mark.parametrize("there", DTYPES)
@pytest.mark.parametrize("here", DTYPES)
def test_rounding_is_part_of_the_update_where_the_model_holds_less_than_its_base(tmp_path, here, there):
    exact = {("F64", there), ("F32", "F32"), ("F32", "F16"), ("F32", "BF16"), ("F16", "F16"), ("BF16", "BF16")}
    adapter = read(tmp_path, {Q: ones(4, 2, dtype=DTYPES[here])}, {Q: ones(4, 2, dtype=DTYPES[there])})
    said = [f.text for f in adapter.info.findings if "rounding" in f.text]
    text = f"the model is {here} and the base {there}: rounding to {here} is part of ΔW, frozen matrices too"
    assert said == ([] if (here, there) in exact else [text])


@pytest.mark.parametrize(
    ("missing", "severity"),
    [
        ([], None),
        (["lm_head.weight"], "info"),
        (["model.embed_tokens.weight", "lm_head.weight"], "info"),
        (["lm_head.weight", Q], "warning"),
        ([Q], "warning"),
    ],
)
def test_what_the_model_lacks_of_its_base(tmp_path, missing, severity):
    found = read(tmp_path, {}, {key: ones(4, 2) for key in missing}).info.findings
    assert [f.severity for f in found if "of the base that the model lacks" in f.text] == (
        [severity] if severity else []
    )
    assert all(key in found[0].text for key in missing)
    assert not missing or found[0].text.startswith(f"{len(missing)} tensor")


@pytest.mark.parametrize(
    ("config", "tensors", "is_model"),
    [
        ({"model_type": "llama"}, [Q], True),
        ({"architectures": ["LlamaForCausalLM"]}, [Q], True),
        ({"r": 4}, [Q], False),
        ([1], [Q], False),
        (None, [Q], False),
        ({"model_type": "llama"}, [], False),
        ({"model_type": "llama"}, [Q, "x.lora_A.weight"], False),
        ({"model_type": "llama"}, [Q, "x.LoRA_down.weight"], False),
        ({"model_type": "llama"}, ["x.hada_w1_a"], False),
        ({"model_type": "llama"}, ["x.lokr_w1"], False),
    ],
)
def test_which_folders_are_models(tmp_path, config, tensors, is_model):
    if tensors:
        save_file({key: torch.ones(2, 2) for key in tensors}, tmp_path / "weights.safetensors")
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    assert places(Folder(tmp_path)) == ([tmp_path] if is_model else [])
