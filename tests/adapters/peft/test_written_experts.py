"""What is written of a mixture's experts loads: PEFT places every tensor, and its merge is the update that was read."""

import json
import shutil

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.peft.writer import Factors, write_peft
from inspector.workflows.convert import convert
from inspector.workflows.merge_preview import merge_preview
from tests.adapters.peft.merged import stored
from tests.adapters.peft.mixtures import (
    SEVEN,
    E,
    assert_same_deltas,
    deepseek,
    gpt_oss,
    granite,
    llama4,
    loaded_deltas,
    mixtral,
    on_stacks,
    qwen2_moe,
    qwen3_moe,
    qwen3_next,
)
from tests.adapters.peft.models import saved, trained
from tests.makers import write_adapter, write_config

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning",
    "ignore::UserWarning",
    "ignore:The following .* keys did not match:RuntimeWarning",
    "ignore:target_modules=.* were set but no module was matched:RuntimeWarning",
)


def disk(folder):
    return load_file(folder / "model.safetensors")


def as_transformers_loads(base, deltas):
    """Parameter -> its change in memory when the tensors of a base's files change so."""
    changed = base.with_name("changed")
    shutil.copytree(base, changed, dirs_exist_ok=True)
    save_file({key: W + deltas.get(key, 0) for key, W in disk(base).items()}, changed / "model.safetensors")
    old, new = (dict(AutoModelForCausalLM.from_pretrained(f).named_parameters()) for f in (base, changed))
    changes = {name: p.detach() - old[name].detach() for name, p in new.items()}
    return {name: change for name, change in changes.items() if float(change.abs().max()) > 0}


def apart(folder, shapes, rank=lambda _path: 2, alpha=8):
    """An adapter with a LoRA on every module by itself, as from transformers 4, and what it adds to each weight."""
    generator = torch.Generator().manual_seed(1)
    factors, deltas, ranks = {}, {}, {}
    for path, (d_out, d_in) in shapes.items():
        r = ranks[path] = rank(path)
        B, A = (torch.randn(*size, generator=generator, dtype=torch.float64) for size in ((d_out, r), (r, d_in)))
        factors[path], deltas[f"{path}.weight"] = (B, A), alpha / r * B @ A
    write_adapter(folder, factors, alpha=alpha, r=2, rank_pattern={p: r for p, r in ranks.items() if r != 2})
    return deltas


def linear(base):
    """The matrices of a base's layers."""
    matrices = {key.removesuffix(".weight"): W.shape for key, W in disk(base).items() if W.dim() == 2}
    return {path: tuple(shape) for path, shape in matrices.items() if "layers" in path}


def converted(source, dest, base=None):
    read_options = ReadOptions(base) if base else DEFAULTS
    assert convert(str(source), dest, read_options) == 0
    return dest


FUSED = {
    "qwen3_moe": (qwen3_moe, on_stacks(alpha_pattern={"mlp.experts.down_proj": 10})),
    "rslora": (qwen3_moe, on_stacks(use_rslora=True, rank_pattern={"mlp.experts.gate_up_proj": 3})),
    "seven": (qwen3_moe, LoraConfig(r=2, lora_alpha=6, target_modules=SEVEN)),
    "all_linear": (qwen3_next, LoraConfig(r=2, lora_alpha=6, target_modules="all-linear")),
    "granite": (granite, on_stacks("block_sparse_moe.experts")),
    "gpt_oss": (gpt_oss, on_stacks()),
    "llama4": (llama4, on_stacks("feed_forward.experts")),
    "down_alone": (mixtral, LoraConfig(r=2, target_modules=["q_proj"], target_parameters=["down_proj"])),
}


@pytest.mark.parametrize("case", FUSED)
def test_stacks_are_written_as_peft_has_them(tmp_path, case):
    make, config = FUSED[case]
    base = stored(make(), tmp_path / "base")
    source = saved(trained(make(), config), tmp_path / "in")
    want = loaded_deltas(make(), source)
    assert_same_deltas(loaded_deltas(make(), converted(source, tmp_path / "out", base)), want, atol=1e-12)


@pytest.mark.parametrize("make", [qwen3_moe, qwen2_moe, mixtral, deepseek])
def test_single_experts_load_into_a_model_that_fuses_them(tmp_path, make):
    """Routers, shared experts and dense layers too, which PEFT would take for experts by their names."""
    base = tmp_path / "base"
    make().save_pretrained(base)
    deltas = apart(tmp_path / "in", linear(base), rank=lambda path: 3 if path.endswith(("down_proj", "w2")) else 2)
    want = as_transformers_loads(base, deltas)
    assert len(want) > 6
    assert_same_deltas(loaded_deltas(make(), converted(tmp_path / "in", tmp_path / "out")), want)


def test_what_a_file_lacks_of_its_experts_is_written_as_zeros(tmp_path, capsys):
    """PEFT fuses gates with up projections and wants down projections around them."""
    base = tmp_path / "base"
    qwen3_moe().save_pretrained(base)
    gates = {path: shape for path, shape in linear(base).items() if path.endswith("gate_proj")}
    want = as_transformers_loads(base, apart(tmp_path / "in", gates))
    assert_same_deltas(loaded_deltas(qwen3_moe(), converted(tmp_path / "in", tmp_path / "out")), want)
    said = capsys.readouterr().err
    assert "12 modules of zeros, such as model.layers." in said
    assert "stacked" not in said


def test_experts_of_which_some_are_missing_are_written_with_a_word(tmp_path, capsys):
    shapes = {
        f"model.layers.0.mlp.experts.{e}.{name}_proj": (16, 16) for e in (0, 2) for name in ("gate", "up", "down")
    }
    apart(tmp_path / "in", shapes)
    converted(tmp_path / "in", tmp_path / "out")
    assert "6 modules of single experts" in capsys.readouterr().err


def test_experts_are_fused_in_whatever_order_they_come(tmp_path):
    """A merge has them in the order of their names as text: 10 before 2."""
    names = [f"model.layers.0.mlp.experts.{e}.{name}_proj" for e in (1, 0, 2) for name in ("up", "down", "gate")]
    ones = torch.ones(4, 2)
    write_peft(tmp_path / "out", {name: Factors(ones, ones.T, 1.0) for name in names}, base="b")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert "gate_up_proj" in " ".join(config["rank_pattern"])


def packed(path, a, b, F=12, H=16):
    """Factors of stacked experts under the keys that `a` and `b` end, and each expert's ΔW at scale 1."""
    generator = torch.Generator().manual_seed(1)
    tensors, deltas = {}, {}
    for layer in range(2):
        for name, (d_out, d_in) in {"gate_proj": (F, H), "up_proj": (F, H), "down_proj": (H, F)}.items():
            A, B = (torch.randn(E, *size, generator=generator, dtype=torch.float64) for size in ((2, d_in), (d_out, 2)))
            key = f"{path.format(layer)}.{name}"
            tensors |= {f"{key}{a}": A, f"{key}{b}": B}
            deltas[layer, name] = B @ A
    return tensors, deltas


@pytest.mark.parametrize(
    ("make", "holder", "F"),
    [
        (gpt_oss, "mlp.experts", 16),
        (llama4, "feed_forward.experts", 12),
        (mixtral, "block_sparse_moe.switch_mlp", 12),
        (qwen2_moe, "mlp.switch_mlp", 12),
    ],
)
def test_mlx_experts_go_where_the_base_has_them(tmp_path, make, holder, F):
    """Fused, in turns and the other way round, or under Mixtral's names."""
    base = stored(make(), tmp_path / "base")
    tensors, deltas = packed(f"model.layers.{{}}.{holder}", ".lora_a", ".lora_b", F)
    router = {gpt_oss: "mlp.router", llama4: "feed_forward.router"}.get(make, "mlp.gate")
    A, B = torch.ones(16, 2, dtype=torch.float64), torch.ones(2, E, dtype=torch.float64)
    for layer in range(2):
        tensors |= {
            f"model.layers.{layer}.{router}.lora_a": A.clone(),
            f"model.layers.{layer}.{router}.lora_b": B.clone(),
        }
    write_config(tmp_path / "in", peft_type=None, lora_parameters={"rank": 2, "scale": 1.0})
    save_file(tensors, tmp_path / "in" / "adapters.safetensors")
    found = loaded_deltas(make(), converted(tmp_path / "in", tmp_path / "out", base))
    place = holder.replace("block_sparse_moe", "mlp").replace("switch_mlp", "experts")
    want = {f"model.layers.{layer}.{router}.weight": (A @ B).T for layer in range(2)}
    for layer in range(2):
        both = torch.cat([deltas[layer, "gate_proj"], deltas[layer, "up_proj"]], 1)
        if make is gpt_oss:
            both = both.unflatten(1, (2, F)).transpose(1, 2).flatten(1, 2)
        for name, delta in (("gate_up_proj", both), ("down_proj", deltas[layer, "down_proj"])):
            turned = make in {gpt_oss, llama4}
            want[f"model.layers.{layer}.{place}.{name}"] = delta.mT if turned else delta
    assert_same_deltas(found, want)


def test_packed_experts_of_a_parameter_are_written_as_peft_has_them(tmp_path, capsys):
    generator = torch.Generator().manual_seed(1)
    tensors, want = {}, {}
    for layer in range(2):
        for name, (d_out, d_in) in {"gate_up_proj": (24, 16), "down_proj": (16, 12)}.items():
            A, B = (torch.randn(E, *size, generator=generator, dtype=torch.float64) for size in ((2, d_in), (d_out, 2)))
            path = f"model.layers.{layer}.mlp.experts.{name}"
            tensors |= {f"base_model.model.{path}.lora_A.weight": A, f"base_model.model.{path}.lora_B.weight": B}
            want[path] = 4 * B @ A
    write_config(tmp_path / "in", r=2, lora_alpha=8, target_parameters=["mlp.experts.gate_up_proj"])
    save_file(tensors, tmp_path / "in" / "adapter_model.safetensors")
    assert_same_deltas(loaded_deltas(qwen3_moe(), converted(tmp_path / "in", tmp_path / "out")), want, atol=1e-12)
    assert "6 modules of experts, stacked as PEFT has them: --base is needed" in capsys.readouterr().err


def test_a_sum_of_stacks_loads(tmp_path):
    base = stored(qwen3_moe(), tmp_path / "base")
    want = {}
    for n, (name, weight) in enumerate({"a": 0.5, "b": -2.0}.items()):
        folder = saved(trained(qwen3_moe(), on_stacks(), seed=n), tmp_path / name)
        for path, delta in loaded_deltas(qwen3_moe(), folder).items():
            want[path] = want.get(path, 0) + weight * delta
    sources = [f"{tmp_path / 'a'}:0.5", f"{tmp_path / 'b'}:-2"]
    made = merge_preview(
        sources, rank=None, dest=tmp_path / "sum", out=None, device="cpu", read_options=ReadOptions(base, rank=64)
    )
    assert made == 0
    assert_same_deltas(loaded_deltas(qwen3_moe(), tmp_path / "sum"), want, atol=1e-12)
