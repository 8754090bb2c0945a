"""Which files are of an image model's formats, whose scale counts, and what such a file is called: one row a case."""

import json

import pytest
import torch

from inspector.adapters.files.headers import read_headers
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.readers.image import holds, read
from tests.adapters.readers.image_models import save

UP, DOWN = "lora_up.weight", "lora_down.weight"
A, B = "lora_A.weight", "lora_B.weight"


def tensors(keys):
    """Factors of 8×6 at rank 4 under these keys, other things as vectors."""
    shapes = {UP: (8, 4), DOWN: (4, 6), A: (4, 6), B: (8, 4), "oft_blocks": (2, 4, 4), "diff": (8, 6)}
    shapes |= {"hada_w1_a": (8, 2), "hada_w1_b": (2, 6), "hada_w2_a": (8, 2), "hada_w2_b": (2, 6)}
    shapes |= {"lokr_w1": (2, 2), "lokr_w2": (4, 3)}
    ends = {key: next((end for end in shapes if key.endswith(f".{end}")), "") for key in keys}
    return {key: torch.ones(shapes.get(end, ())) for key, end in ends.items()}


def pefts(path):
    return [f"{path}.{A}", f"{path}.{B}"]


@pytest.mark.parametrize(
    ("keys", "metadata", "ours"),
    [
        (pefts("a.b"), {}, False),
        (pefts("a.b"), {"lora_adapter_metadata": "{}"}, True),
        ([*pefts("a.b"), "a.b.alpha"], {}, True),
        ([*pefts("a.b"), "a.c.alpha"], {}, False),
        *((pefts(f"{name}.b"), {}, True) for name in ("unet", "transformer", "transformer_2", "text_encoder")),
        *((pefts(f"{name}.b"), {}, True) for name in ("text_encoder_2", "prior", "controlnet", "diffusion_model")),
        (pefts("transformer.h.0"), {}, False),
        (pefts("my_unet.b"), {}, False),
        (pefts("unet_b.c"), {}, False),
        (pefts("lora_unet_b"), {}, True),
        *(([f"a.b.{slot}"], {}, True) for slot in (UP, DOWN, "hada_w1_a", "lokr_w1", "oft_blocks")),
        (["a.b.diff"], {}, False),
        (["a.b.diff", "a.b.alpha"], {}, True),
        (["unet.b.diff"], {}, True),
        (["a.b.on_input"], {}, False),
        (["unet.b.on_input"], {}, True),
        (["a.b.alpha"], {}, False),
        (["unet.b.weight"], {}, False),
        (["unet.b.weight"], {"lora_adapter_metadata": "{}"}, False),
    ],
)
def test_which_files_are_ours(tmp_path, keys, metadata, ours):
    path = save(tmp_path / "x.safetensors", tensors(keys), **metadata)
    assert holds(path, read_headers(path)) == ours


@pytest.mark.parametrize(
    ("path", "config", "alpha", "scale"),
    [
        ("unet.b", {"unet.r": 4, "unet.lora_alpha": 6}, None, "1.5 (α/r = 6/4)"),
        ("unet.b", {"unet.r": 4, "unet.lora_alpha": 6}, 2.0, "1.5 (α/r = 6/4)"),
        ("unet.b", {"unet.r": 4, "unet.lora_alpha": 6, "unet.use_rslora": True}, None, "3 (α/√r = 6/√4)"),
        ("unet.b", {"unet.r": 4}, None, "2 (α/r = 8/4)"),
        ("unet.b", {"r": 4, "lora_alpha": 6}, None, "1.5 (α/r = 6/4)"),
        ("unet.b", {"unet.r": 4, "unet.lora_alpha": 6, "r": 4, "lora_alpha": 2}, None, "1.5 (α/r = 6/4)"),
        (
            "unet.b",
            {"unet.r": 4, "unet.lora_alpha": 6, "unet.alpha_pattern": {"b": 1}},
            None,
            "0.25 (alpha_pattern 'b': α/r = 1/4)",
        ),
        ("unet.b", {"prior.r": 4, "prior.lora_alpha": 6}, None, "1 (no alpha: 1)"),
        ("unet.b", {"prior.r": 4, "prior.lora_alpha": 6}, 2.0, "0.5 (α/r = 2/4)"),
        ("unet.b", {}, -2.0, "-0.5 (α/r = -2/4)"),
        ("unet.b", {}, 0.0, "1 (alpha 0 counts as r: 1)"),
        ("a.b", {"x": 1}, None, "unknown (no α, r = 4)"),
    ],
)
def test_whose_scale_counts(tmp_path, path, config, alpha, scale):
    factors = tensors(pefts(path)) | ({} if alpha is None else {f"{path}.alpha": torch.tensor(alpha)})
    adapter = read(
        save(tmp_path / "x.safetensors", factors, lora_adapter_metadata=json.dumps(config)), "a", "", DEFAULTS
    )
    assert adapter.info.scale == scale


@pytest.mark.parametrize("alpha", [1e30, -1e30, float("nan"), complex(1, 0)])
def test_an_alpha_that_is_no_number(tmp_path, alpha):
    factors = tensors(pefts("unet.b")) | {"unet.b.alpha": torch.tensor(alpha)}
    adapter = read(save(tmp_path / "x.safetensors", factors), "a", "", DEFAULTS)
    assert (len(adapter.modules), len(adapter.info.excluded)) == (0, 1)
    assert "the module's alpha is not a finite number" in adapter.info.findings[0].text


LOHA = [f"hada_{name}" for name in ("w1_a", "w1_b", "w2_a", "w2_b")]


def loha(path):
    return [f"{path}.{name}" for name in LOHA]


def updown(path):
    return [f"{path}.{UP}", f"{path}.{DOWN}"]


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        (updown("lora_unet_b"), "kohya LoRA"),
        (pefts("unet.b"), "diffusers LoRA"),
        ([*pefts("unet.b"), *updown("lora_unet_c")], "diffusers LoRA"),
        (loha("unet.b"), "LyCORIS LoHa"),
        (["unet.b.lokr_w1", "unet.b.lokr_w2"], "LyCORIS LoKr"),
        (["unet.b.diff"], "LyCORIS full"),
        ([*loha("unet.b"), "unet.c.lokr_w1", "unet.c.lokr_w2"], "LyCORIS LoHa and LoKr"),
        ([*pefts("unet.b"), "unet.c.lokr_w1"], "diffusers LoRA"),
    ],
)
def test_what_a_file_is_called(tmp_path, keys, kind):
    assert read(save(tmp_path / "x.safetensors", tensors(keys)), "a", "", DEFAULTS).info.format == kind


@pytest.mark.parametrize(
    ("keys", "scale"),
    [
        (pefts("a.b"), "unknown (no α, r = 4)"),
        (pefts("unet.b"), "1 (no alpha: 1)"),
        (updown("a.b"), "1 (no alpha: 1)"),
        (updown("lora_unet_b"), "1 (no alpha: 1)"),
        (loha("a.b"), "unknown (no α, r = 2)"),
        (loha("unet.b"), "1 (no alpha: 1)"),
        (loha("lora_unet_b"), "1 (no alpha: 1)"),
        ([*loha("a.b"), *loha("unet.c")], "1 (no alpha: 1)"),
        ([*loha("a.b"), *updown("a.c")], "1 (no alpha: 1)"),
        ([*loha("a.b"), *pefts("a.c")], "unknown (per module)"),
    ],
)
def test_where_loaders_take_alpha_for_the_rank(tmp_path, keys, scale):
    assert read(save(tmp_path / "x.safetensors", tensors(keys)), "a", "", DEFAULTS).info.scale == scale


@pytest.mark.parametrize(
    ("path", "read_as", "spelt"),
    [
        ("unet.down_blocks.0.attn_q", "down_blocks.0.attn_q", True),
        ("unet.double_blocks.0.img_attn_qkv", "double_blocks.0.img_attn_qkv", True),
        ("lora_unet_down_blocks_0_attentions_1_proj_in", "down_blocks.0.attentions.1.proj_in", True),
        ("lora_unet_down_blocks_0_attentions_1_proj_in__", "down_blocks.0.attentions.1.proj_in", True),
        ("lora_unet_double_blocks_0_img_attn_qkv", "double_blocks.0.img_attn_qkv", False),
    ],
)
def test_which_paths_are_surely_the_bases(tmp_path, path, read_as, spelt):
    adapter = read(save(tmp_path / "x.safetensors", tensors(updown(path))), "a", "", DEFAULTS)
    (module,) = adapter.modules.values()
    assert (module.path, module.spelt) == (f"unet.{read_as}", spelt)


def test_a_method_that_is_not_read_leaves_the_loras_beside_it(tmp_path):
    adapter = read(
        save(tmp_path / "x.safetensors", tensors([*pefts("unet.b"), "unet.c.oft_blocks"])), "a", "", DEFAULTS
    )
    assert [str(id_) for id_ in adapter.modules] == ["b"]
    assert [f.severity for f in adapter.info.findings] == ["warning"]


def test_the_users_alpha_is_not_of_what_loaders_take_for_the_rank(tmp_path):
    path = save(tmp_path / "x.safetensors", tensors(pefts("unet.b")))
    assert read(path, "a", "", ReadOptions(alpha=2)).info.scale == "1 (no alpha: 1)"
    path = save(tmp_path / "y.safetensors", tensors(pefts("a.b")))
    assert read(path, "a", "", ReadOptions(alpha=2)).info.scale == "0.5 (α/r = 2/4, α as given)"
