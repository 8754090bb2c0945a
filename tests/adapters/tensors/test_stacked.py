"""Experts in a third axis, by every format that writes them so: one module an expert, else a reason of its own."""

import json

import gguf
import pytest
import torch
from safetensors.torch import save_file

from inspector.adapters.alignment import aligned
from inspector.adapters.formats import read_adapter
from inspector.adapters.tensors.stacked import is_stack
from inspector.study.module_id import ModuleId
from tests.adapters.peft.merged import read, stored
from tests.adapters.peft.mixtures import gpt_oss, on_stacks
from tests.adapters.peft.models import assert_same, our_deltas, saved, trained
from tests.makers import write_config

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
E, H, F, R = 3, 16, 8, 2
PLACES = ("mlp.experts", "block_sparse_moe.experts", "feed_forward.experts")


def factors(name, d_out, d_in, *, shared=""):
    """A (E, r, d_in) and B (E, d_out, r), one of them shared by all experts."""
    generator = torch.Generator().manual_seed(len(name) + d_out)
    A = torch.randn(1 if shared == "A" else E, R, d_in, generator=generator)
    B = torch.randn(1 if shared == "B" else E, d_out, R, generator=generator)
    return A, B


def by_expert(A, B, scale):
    """E products, in float64."""
    return scale * torch.matmul(B.double(), A.double()).expand(E, -1, -1)


def peft(folder, tensors, **config):
    write_config(folder, r=R, lora_alpha=8, **config)
    save_file({f"base_model.model.{key}": t for key, t in tensors.items()}, folder / "adapter_model.safetensors")
    return read_adapter(folder, "a", "a")


@pytest.mark.parametrize("holder", PLACES)
@pytest.mark.parametrize("names", [("w1", "w2", "w3"), ("gate_up_proj", "down_proj")])
def test_peft_keys(tmp_path, holder, names):
    """As hosted trainers and Megatron's exporters write them; a side may be shared."""
    tensors, want = {}, {}
    for name in names:
        d_out, d_in = (H, F) if name in {"w2", "down_proj"} else (F, H)
        A, B = factors(name, d_out, d_in, shared={"w1": "A", "w2": "B"}.get(name, ""))
        path = f"model.layers.1.{holder}.{name}"
        tensors |= {f"{path}.lora_A.weight": A, f"{path}.lora_B.weight": B}
        want |= {ModuleId(1, f"{holder}.{e}.{name}"): d for e, d in enumerate(by_expert(A, B, 4.0))}
    adapter = peft(tmp_path, tensors, target_modules="all-linear")
    assert_same(our_deltas(adapter), want)
    assert {t.role for t in adapter.tensors} == {"used"}
    assert adapter.info.findings == ()


def test_rslora_and_patterns_apply_to_stacks(tmp_path):
    A, B = factors("up_proj", F, H)
    path = "model.layers.0.mlp.experts.up_proj"
    tensors = {f"{path}.lora_A.weight": A, f"{path}.lora_B.weight": B}
    adapter = peft(tmp_path, tensors, use_rslora=True, alpha_pattern={"experts.up_proj": 6})
    want = by_expert(A, B, 6 / R**0.5)
    assert_same(our_deltas(adapter), {ModuleId(0, f"mlp.experts.{e}.up_proj"): d for e, d in enumerate(want)})


@pytest.mark.parametrize(
    ("a", "b"), [((E, R, H), (E + 1, F, R)), ((E, H, R), (E, F, R)), ((E, R, H), (F, R)), ((R, H), (E, F, R))]
)
def test_a_layout_that_is_not_read_says_so(tmp_path, a, b):
    path = "model.layers.0.mlp.experts.up_proj"
    q = "model.layers.0.self_attn.q_proj"
    tensors = {f"{path}.lora_A.weight": torch.ones(a), f"{path}.lora_B.weight": torch.ones(b)}
    tensors |= {f"{q}.lora_A.weight": torch.ones(R, H), f"{q}.lora_B.weight": torch.ones(H, R)}
    adapter = peft(tmp_path, tensors)
    assert list(adapter.modules) == [ModuleId(0, "self_attn.q_proj")]
    (error,) = [f.text for f in adapter.info.findings if f.severity == "error"]
    assert "experts stacked in a third axis, in a layout that is not read" in error


def test_experts_along_the_rank_under_keys_of_their_own_are_not_one_matrix(tmp_path):
    """B·A multiplies, and would be the sum of all experts."""
    path = "model.layers.0.mlp.experts.up_proj"
    tensors = {f"{path}.lora_A.weight": torch.ones(E * R, H), f"{path}.lora_B.weight": torch.ones(F, E * R)}
    adapter = peft(tmp_path, tensors)
    assert not adapter.modules
    assert any("experts stacked along the rank" in f.text for f in adapter.info.findings)


@pytest.mark.parametrize(
    ("a", "b", "stack"),
    [
        ((4096, 2, 5000), (4096, 6000, 2), True),  # the widest layers are wider than there are experts
        ((1, 2, 5000), (4096, 6000, 2), True),
        ((4097, 2, 8), (4097, 8, 2), False),
        ((1, 2, 8), (4097, 8, 2), False),
        ((4097, 2, 8), (1, 8, 2), False),
    ],
)
def test_a_stack_is_told_by_its_first_axis(a, b, stack):
    assert is_stack(a, b) is stack


def test_a_convolution_of_one_axis_is_no_stack(tmp_path):
    A, B = torch.randn(R, 1, 4), torch.randn(F, R, 1)
    adapter = peft(tmp_path, {"conv.lora_A.weight": A, "conv.lora_B.weight": B})
    want = 4 * B.double().flatten(1) @ A.double().flatten(1)
    assert_same(our_deltas(adapter), {ModuleId(None, "conv"): want})


@pytest.mark.parametrize("holder", [*PLACES, "mlp.switch_mlp"])
def test_mlx(tmp_path, holder):
    A, B = factors("up_proj", F, H)
    path = f"model.layers.0.{holder}.up_proj"
    save_file({f"{path}.lora_a": A, f"{path}.lora_b": B}, tmp_path / "adapters.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"lora_parameters": {"rank": R, "scale": 3.0}}))
    adapter = read_adapter(tmp_path / "adapters.safetensors", "a", "a")
    place = holder.replace("switch_mlp", "experts")
    want = {ModuleId(0, f"{place}.{e}.up_proj"): d for e, d in enumerate(by_expert(A, B, 3.0))}
    assert_same(our_deltas(adapter), want)


@pytest.mark.parametrize("qtype", [None, gguf.GGMLQuantizationType.F16])
def test_gguf(tmp_path, qtype):
    """`ffn_*_exps`, beside a router and a shared expert."""
    writer = gguf.GGUFWriter(tmp_path / "lora.gguf", "qwen2moe")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, 8.0)
    want = {}
    stacks = {"gate": (F, H), "up": (F, H), "down": (H, F)}
    for name, (d_out, d_in) in stacks.items():
        A, B = (t.half().float() for t in factors(name, d_out, d_in))
        want |= {ModuleId(0, f"mlp.experts.{e}.{name}_proj"): d for e, d in enumerate(by_expert(A, B, 4.0))}
        for half, tensor in (("a", A), ("b", B)):
            data = tensor.numpy() if qtype is None else tensor.half().numpy()
            writer.add_tensor(f"blk.0.ffn_{name}_exps.weight.lora_{half}", data)
    for name, path in {"ffn_gate_inp": "mlp.gate", "ffn_up_shexp": "mlp.shared_expert.up_proj"}.items():
        A, B = torch.ones(R, H), torch.ones(F, R)
        want[ModuleId(0, path)] = 4 * B.double() @ A.double()
        for half, tensor in (("a", A), ("b", B)):
            writer.add_tensor(f"blk.0.{name}.weight.lora_{half}", tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    adapter = read_adapter(tmp_path / "lora.gguf", "a", "a")
    assert_same(our_deltas(adapter), want)
    assert adapter.info.findings == ()


def test_gates_that_take_turns_with_up_projections_meet_those_that_are_apart(tmp_path):
    """gpt-oss as PEFT trains it, fused, and as mlx-lm does: the same update."""
    base = stored(gpt_oss(), tmp_path / "base")
    fused = read(saved(trained(gpt_oss(), on_stacks()), tmp_path / "fused"), base)
    tensors: dict[str, list[torch.Tensor]] = {}
    for id_, module in fused.modules.items():
        B, A = fused.load(id_)
        holder, _, name = module.path.rpartition(".")
        rows = {"gate_proj": B[::2], "up_proj": B[1::2]} if name == "gate_up_proj" else {name: B}
        for own, part in rows.items():
            key = f"{holder.rpartition('.')[0]}.{own}" if "experts" in holder else module.path
            tensors.setdefault(f"{key}.lora_a", []).append(A)
            tensors.setdefault(f"{key}.lora_b", []).append(part)
    stacks = {k: torch.stack(t) if "experts" in k else t[0].T.contiguous() for k, t in tensors.items()}
    (tmp_path / "apart").mkdir()
    save_file(stacks, tmp_path / "apart" / "adapters.safetensors")
    config = {"lora_parameters": {"rank": 2, "scale": 3.0}}
    (tmp_path / "apart" / "adapter_config.json").write_text(json.dumps(config))
    apart = read_adapter(tmp_path / "apart" / "adapters.safetensors", "b", "b")
    one, other = aligned([fused, apart])
    assert_same(our_deltas(one), our_deltas(other))
