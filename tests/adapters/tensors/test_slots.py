"""Slots, not prefixes, tell a format: whatever stands before them, LoRA is read, and what is not an LoRA is named."""

import pytest
import torch
from peft import LoraConfig, get_peft_model_state_dict

from inspector.adapters.formats import read_adapter
from inspector.adapters.locate import expand
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.readers.foreign_names import from_kohya
from inspector.adapters.sources import Local
from inspector.adapters.tensors.slots import place
from inspector.common.errors import InspectorError
from tests.adapters.peft.models import assert_same, our_deltas
from tests.adapters.readers.image_models import TARGETS, randomised, save, unet
from tests.shown import shown

pytestmark = pytest.mark.filterwarnings("ignore")  # what diffusers and lycoris say on import
PREFIXES = ["transformer_blocks.0.attn.to_q", "lora_transformer_blocks_0_attn_to_q", "net.block.7.q", "odd_name"]
"""diffusers' bare name, OneTrainer's, a dotted one of nobody, and one without any dot."""


def read(path, read_options=DEFAULTS):
    (found,) = expand(Local(path))
    return read_adapter(found.path, "a", str(path), read_options)


def pair(d_out=12, d_in=8, r=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    return draw(d_out, r), draw(r, d_in)


def texts(adapter, severity):
    return [f.text for f in adapter.info.findings if f.severity == severity]


def at(name):
    """Where a file's name puts a module."""
    return shown(name if "." in name else from_kohya(name)[0])


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("up", "down"),
    [
        ("lora_up.weight", "lora_down.weight"),
        ("lora.up.weight", "lora.down.weight"),
        ("lora_linear_layer.up.weight", "lora_linear_layer.down.weight"),
        ("lora_B.weight", "lora_A.weight"),
        ("lora_B.default.weight", "lora_A.default.weight"),
        ("lora_B", "lora_A"),
    ],
)
def test_a_pair_with_alpha_is_lora_under_any_name(tmp_path, prefix, up, down):
    B, A = pair()
    tensors = {f"{prefix}.{up}": B, f"{prefix}.{down}": A, f"{prefix}.alpha": torch.tensor(2.0)}
    adapter = read(save(tmp_path / "x.safetensors", tensors))
    assert_same(our_deltas(adapter), {at(prefix): 0.5 * B @ A})
    assert (adapter.info.health, adapter.info.scale) == ("ok", "0.5 (α/r = 2/4)")


@pytest.mark.parametrize("algo", ["LohaModule", "LokrModule"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_lycoris_under_any_name(tmp_path, algo, prefix):
    modules = pytest.importorskip("lycoris.modules")
    torch.manual_seed(0)
    module = getattr(modules, algo)(prefix, torch.nn.Linear(24, 16).double(), lora_dim=2, alpha=1.5, factor=4)
    for parameter in module.double().parameters():
        parameter.data = torch.randn_like(parameter)
    path = save(tmp_path / "x.safetensors", {f"{prefix}.{k}": v.detach() for k, v in module.state_dict().items()})
    assert_same(our_deltas(read(path)), {at(prefix): module.get_weight(None).detach()})


def test_the_first_layout_of_diffusers_without_its_pipeline(tmp_path):
    path = "down_blocks.1.attentions.0.transformer_blocks.0.attn1"
    pairs = {side: pair(8, 8, seed=n) for n, side in enumerate(("q", "k", "v", "out"))}
    tensors = {
        f"{path}.processor.to_{side}_lora.{end}.weight": factor
        for side, factors in pairs.items()
        for end, factor in zip(("up", "down"), factors, strict=True)
    }
    names = {side: f"to_{side}{'.0' if side == 'out' else ''}" for side in pairs}
    adapter = read(save(tmp_path / "pytorch_lora_weights.safetensors", tensors))
    assert_same(our_deltas(adapter), {shown(f"{path}.{names[s]}"): B @ A for s, (B, A) in pairs.items()})
    assert adapter.info.scale == "1 (no alpha: 1)"


def test_two_updates_beside_one_processor(tmp_path):
    """XLabs' layout: one LoRA for each stream of a double block."""
    pairs = {f"double_blocks.0.processor.qkv_lora{n}": pair(seed=n) for n in (1, 2)}
    tensors = {f"{p}.{end}.weight": x for p, of in pairs.items() for end, x in zip(("up", "down"), of, strict=True)}
    found = our_deltas(read(save(tmp_path / "x.safetensors", tensors)))
    assert len(found) == 2
    for delta, (B, A) in zip(found.values(), pairs.values(), strict=True):
        torch.testing.assert_close(delta, B @ A)


def test_a_model_of_diffusers_saved_without_its_pipelines_prefix(tmp_path):
    model = unet()
    model.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=TARGETS))
    randomised(model, 3)
    theirs = {
        shown(path): layer.get_delta_weight("default").detach().flatten(1)
        for path, layer in model.named_modules()
        if hasattr(layer, "get_delta_weight")
    }
    path = save(tmp_path / "x.safetensors", get_peft_model_state_dict(model))
    adapter = read(path)
    assert adapter.modules.keys() == theirs.keys()
    assert not adapter.info.scaled
    assert_same(our_deltas(read(path, ReadOptions(alpha=4))), theirs)


def test_oft_is_refused_by_name(tmp_path):
    oft = {
        "lora_unet_a.oft_blocks": torch.ones(2, 4, 4),
        "layers.0.q_proj.oft_R.weight": torch.ones(2, 6),
        "transformer_blocks.0.attn.to_q.boft_R": torch.ones(1, 2, 4, 4),
    }
    for n, (key, tensor) in enumerate(oft.items()):
        adapter = read(save(tmp_path / f"{n}.safetensors", {key: tensor}))
        assert "OFT or BOFT" in texts(adapter, "error")[0]
        assert not adapter.modules


def test_bundled_embeddings_are_named(tmp_path):
    B, A = pair()
    name = "lora_transformer_single_transformer_blocks_0_proj_mlp"
    tensors = {f"{name}.lora_up.weight": B, f"{name}.lora_down.weight": A, f"{name}.alpha": torch.tensor(4.0)}
    adapter = read(save(tmp_path / "x.safetensors", tensors | {"bundle_emb.token.clip_l": torch.ones(2, 8)}))
    assert_same(our_deltas(adapter), {at(name): B @ A})
    (warning,) = texts(adapter, "warning")
    assert "embeddings bundled with the LoRA" in warning
    assert adapter.info.health == "warning"


@pytest.mark.parametrize("key", ["x.lora_up.weight", "x.hada_w1_b", "x.lokr_w2", "x.to_k_lora.down.weight"])
def test_a_factor_that_is_left_out_is_an_error(tmp_path, key):
    """Beside mlx's factors, whose reader knows no other."""
    B, A = pair()
    tensors = {"layers.0.q.lora_a": A.T.contiguous(), "layers.0.q.lora_b": B.T.contiguous(), key: B}
    adapter = read(save(tmp_path / "adapters.safetensors", tensors))
    assert len(adapter.modules) == 1
    (error,) = texts(adapter, "error")
    assert key in error
    assert "no tensor of a LoRA" not in error


@pytest.mark.parametrize("key", ["model.layers.0.mlp.weight", "alpha", "x.lora_A.bias", "lora_up", "encoder.diffuse"])
def test_what_is_no_slot_is_none(key):
    assert place(key) is None


def test_a_file_without_a_slot_is_no_adapter(tmp_path):
    save(tmp_path / "x.safetensors", {"act.alpha": torch.ones(3), "norm.w_norm": torch.ones(3)})
    with pytest.raises(InspectorError, match="No adapter"):
        read(tmp_path)


def test_stray_underscores_are_no_part_of_a_name(tmp_path):
    B, A = pair()
    name = "lora_unet_single_transformer_blocks_0_attn_to_k_"
    adapter = read(save(tmp_path / "x.safetensors", {f"{name}.lora_up.weight": B, f"{name}.lora_down.weight": A}))
    assert adapter.info.targets == ("attn_to_k",)
