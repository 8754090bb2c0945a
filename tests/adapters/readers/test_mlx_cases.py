"""Which files are mlx's, what of their config counts and which factors are a pair: one row a case."""

import json

import pytest
import torch
from safetensors.torch import save_file

from inspector.adapters.files.listing import Folder
from inspector.adapters.options import DEFAULTS
from inspector.adapters.readers.mlx import places, read
from tests.adapters.peft.models import assert_same, our_deltas

Q = "model.layers.0.self_attn.q_proj"


def write(folder, tensors, config=None):
    save_file({key: t.contiguous() for key, t in tensors.items()}, folder / "adapters.safetensors")
    if config is not None:
        (folder / "adapter_config.json").write_text(json.dumps(config))
    return read(folder / "adapters.safetensors", "a", "", DEFAULTS)


def pair(path=Q, r=2, a="lora_a", b="lora_b"):
    return {f"{path}.{a}": torch.ones(6, r), f"{path}.{b}": torch.ones(r, 8)}


@pytest.mark.parametrize(
    ("keys", "ours"),
    [
        (["x.lora_a"], True),
        (["x.lora_b"], True),
        (["x.A", "x.B"], True),
        (["x.A"], False),
        (["x.A", "y.B"], False),
        (["x.lora_A", "x.lora_B"], False),
        (["lora_a"], False),
        (["x.lora_a.weight"], False),
    ],
)
def test_which_files_are_mlxs(tmp_path, keys, ours):
    save_file({key: torch.ones(2, 2) for key in keys}, tmp_path / "x.safetensors")
    assert places(Folder(tmp_path)) == ([tmp_path / "x.safetensors"] if ours else [])


@pytest.mark.parametrize(
    ("config", "scale", "base", "said"),
    [
        ({"lora_parameters": {"scale": 3.0, "rank": 2}, "model": "org/m"}, "3 (scale 3 as is)", "org/m", []),
        ({"lora_parameters": {"scale": 3.0}, "model": 7}, "3 (scale 3 as is)", "", []),
        (
            {"lora_parameters": {"scale": 3.0, "alpha": 16}},
            "3 (scale 3 as is)",
            "",
            ["the config has alpha 16 too, which mlx-lm does not read: the scale 3 counts"],
        ),
        ({"lora_parameters": {"scale": 3.0, "alpha": "16"}}, "3 (scale 3 as is)", "", []),
        ({"lora_parameters": {"alpha": 16}}, "unknown (no α, r = 2)", "", ["the scale of ΔW is unknown"]),
        ({"rank": 2, "alpha": 0.5}, "0.5 (alpha 0.5 as is)", "", []),
        (
            {"lora_parameters": {"scale": 3.0, "rank": 4}},
            "3 (scale 3 as is)",
            "",
            [f"1 module with another rank than the config says, such as {Q}.lora_a: 2, not 4"],
        ),
        (None, "unknown (no α, r = 2)", "", ["the scale of ΔW is unknown"]),
    ],
)
def test_what_of_a_config_counts(tmp_path, config, scale, base, said):
    adapter = write(tmp_path, pair(), config)
    assert (adapter.info.scale, adapter.info.base) == (scale, base)
    texts = [f.text for f in adapter.info.findings]
    assert len(texts) == len(said)
    assert all(text.startswith(start) for text, start in zip(texts, said, strict=True))


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({f"{Q}.lora_a": (6, 2), f"{Q}.lora_b": (3, 8)}, "B·A does not multiply"),
        ({f"{Q}.lora_a": (6, 2), f"{Q}.lora_b": (2, 8, 1)}, "experts stacked in a third axis"),
        ({f"{Q}.lora_a": (2, 3, 6, 2), f"{Q}.lora_b": (2, 8)}, "B·A does not multiply"),
        ({f"{Q}.lora_a": (6, 2)}, "only A or only B of the module is there, without its lora_b"),
        ({f"{Q}.lora_a": (12,), f"{Q}.lora_b": (2, 8)}, "1-D or zero-size factor"),
        ({f"{Q}.m": (8,)}, "neither A nor B of the module is there"),
        ({f"{Q}.lora_c": (2, 8)}, "no tensor of a LoRA"),
        ({"lora_a": (6, 2)}, "no tensor of a LoRA"),
    ],
)
def test_what_is_no_pair_is_left_out_with_its_reason(tmp_path, tensors, reason):
    other = "model.layers.1.self_attn.q_proj"
    adapter = write(tmp_path, pair(other) | {key: torch.ones(shape) for key, shape in tensors.items()})
    assert [m.path for m in adapter.modules.values()] == [other]
    assert all(t.reason.startswith(reason) for t in adapter.tensors if t.key in tensors)
    assert len(adapter.info.excluded) == (reason != "no tensor of a LoRA")


def test_both_names_of_factors_are_read(tmp_path):
    a, b = torch.arange(12.0).reshape(6, 2), torch.arange(16.0).reshape(2, 8)
    tensors = {f"{Q}.lora_a": a, f"{Q}.lora_b": b, "model.layers.1.q.A": a + 0, "model.layers.1.q.B": b + 1}
    adapter = write(tmp_path, tensors, {"lora_parameters": {"scale": 3.0}})
    wanted = [3 * (b.T @ a.T).double(), 3 * ((b + 1).T @ a.T).double()]
    assert_same(our_deltas(adapter), dict(zip(adapter.modules, wanted, strict=True)))
    assert adapter.info.parameters == 2 * (12 + 16)
