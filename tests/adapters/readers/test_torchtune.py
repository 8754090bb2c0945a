"""torchtune's own checkpoints of adapters against its own conversion to PEFT."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.formats import read_adapter
from inspector.adapters.locate import expand
from inspector.adapters.options import ReadOptions
from inspector.adapters.sources import Local
from inspector.common.errors import InspectorError
from tests.adapters.peft.models import assert_same, our_deltas
from tests.makers import random_factors
from tests.shown import shown

HEADS, KV_HEADS, DIM, HEAD_DIM = 4, 2, 16, 8
SHAPES = {
    "layers.0.attn.q_proj": ("model.layers.0.self_attn.q_proj", (32, 16)),
    "layers.0.attn.k_proj": ("model.layers.0.self_attn.k_proj", (16, 16)),
    "layers.1.attn.v_proj": ("model.layers.1.self_attn.v_proj", (16, 16)),
    "layers.1.attn.output_proj": ("model.layers.1.self_attn.o_proj", (16, 32)),
    "layers.1.mlp.w1": ("model.layers.1.mlp.gate_proj", (24, 16)),
    "layers.1.mlp.w2": ("model.layers.1.mlp.down_proj", (16, 24)),
    "layers.1.mlp.w3": ("model.layers.1.mlp.up_proj", (24, 16)),
    "output": ("lm_head", (50, 16)),
}
PICKLE = ReadOptions(allow_pickle=True)


def interleaved(rows, heads):
    """torchtune's order of Hugging Face's rows: hf_to_tune's `_permute`."""
    return rows.view(heads, 2, -1, rows.shape[-1]).transpose(1, 2).reshape(rows.shape)


def checkpoint(folder, *, alpha=6, heads=True):
    """Factors in Hugging Face's order, written as torchtune's `adapter_model.pt`, and its configs."""
    folder.mkdir(parents=True, exist_ok=True)
    factors = random_factors(dict(SHAPES.values()), r=4, dtype=torch.float64)
    tensors = {}
    for name, (hf, _) in SHAPES.items():
        B, A = factors[hf]
        turned = {"q_proj": HEADS, "k_proj": KV_HEADS}.get(name.rpartition(".")[2])
        tensors[f"{name}.lora_a.weight"] = A
        tensors[f"{name}.lora_b.weight"] = interleaved(B, turned) if turned else B
    torch.save(tensors, folder / "adapter_model.pt")
    if alpha is not None:
        fields = {"r": 4, "lora_alpha": alpha, "target_modules": ["q_proj"], "peft_type": "LORA"}
        (folder / "adapter_config.json").write_text(json.dumps(fields | {"base_model_name_or_path": "org/base"}))
    if heads:
        model = {"num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "hidden_size": DIM}
        (folder / "config.json").write_text(json.dumps(model | {"model_type": "llama", "head_dim": HEAD_DIM}))
    return tensors, {shown(hf): alpha / 4 * B @ A for hf, (B, A) in factors.items()} if alpha else {}


def read(folder, read_options=PICKLE):
    (place,) = expand(Local(folder))
    return read_adapter(place.path, "a", str(folder), read_options)


def test_rows_come_back_into_hugging_faces_order(tmp_path):
    _, deltas = checkpoint(tmp_path)
    adapter = read(tmp_path)
    assert_same(our_deltas(adapter), deltas)
    assert (adapter.info.format, adapter.info.base, adapter.info.scale) == (
        "torchtune LoRA",
        "org/base",
        "1.5 (α/r = 6/4)",
    )
    assert adapter.info.health == "ok"
    assert {m.path for m in adapter.modules.values()} == {hf for hf, _ in SHAPES.values()}


def test_as_torchtune_itself_converts(tmp_path):
    """The file holds what `checkpoint` writes, and what torchtune 0.6.1's tune_to_peft_adapter_weights makes of it.

    The library itself needs a torchao of its own time, which does not load beside today's torch.
    """
    checkpoint(tmp_path)
    held = load_file(Path(__file__).parent / "torchtune_0.6.1.safetensors")
    torch.save({key[10:]: t for key, t in held.items() if key.startswith("torchtune/")}, tmp_path / "adapter_model.pt")
    theirs = {key.removeprefix("peft/"): tensor for key, tensor in held.items()}
    paths = [hf for hf, _ in SHAPES.values()]
    converted = {
        shown(path): 1.5
        * theirs[f"base_model.model.{path}.lora_B.weight"]
        @ theirs[f"base_model.model.{path}.lora_A.weight"]
        for path in paths
    }
    assert_same(our_deltas(read(tmp_path)), converted)


def test_what_is_missing_is_said(tmp_path):
    _, deltas = checkpoint(tmp_path / "a", heads=False)
    adapter = read(tmp_path / "a")
    rotary = {id_ for id_ in deltas if id_.projection in {"q_proj", "k_proj"}}
    assert set(adapter.info.excluded) == rotary
    assert_same(our_deltas(adapter), {id_: d for id_, d in deltas.items() if id_ not in rotary})
    assert any("--base" in f.text for f in adapter.info.findings if f.severity == "warning")
    checkpoint(tmp_path / "base")
    read_options = ReadOptions(base=BaseWeights("base", lambda: tmp_path / "base"), allow_pickle=True)
    assert_same(our_deltas(read(tmp_path / "a", read_options)), deltas)
    checkpoint(tmp_path / "b", alpha=None)
    adapter = read(tmp_path / "b")
    assert {module.scale.value for module in adapter.modules.values()} == {None}


def test_rows_that_make_no_pairs_of_halves_of_as_many_heads_are_left_out(tmp_path):
    _, deltas = checkpoint(tmp_path)
    model = json.loads((tmp_path / "config.json").read_text())
    q, _ = SHAPES["layers.0.attn.q_proj"]
    (tmp_path / "config.json").write_text(json.dumps(model | {"num_attention_heads": 32, "head_dim": 1}))
    adapter = read(tmp_path)
    assert adapter.info.excluded == (shown(q),)
    assert_same(our_deltas(adapter), {id_: delta for id_, delta in deltas.items() if id_ != shown(q)})


def test_a_pickle_needs_leave(tmp_path):
    checkpoint(tmp_path)
    with pytest.raises(InspectorError, match="--allow-pickle"):
        read(tmp_path, ReadOptions())


def test_beside_pefts_own_weights_the_folder_is_pefts(tmp_path):
    checkpoint(tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    (place,) = expand(Local(tmp_path))
    assert place.path == tmp_path
    (place,) = expand(Local(tmp_path / "adapter_model.pt"))
    assert read_adapter(place.path, "a", "", PICKLE).info.format == "torchtune LoRA"


def test_a_hostile_pickle_runs_nothing(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"layers.0.attn.q_proj.lora_a.weight": Evil()}, tmp_path / "adapter_0.pt")
    with pytest.raises(InspectorError, match="would run code"):
        read(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_magnitudes_are_in_the_order_of_their_rows(tmp_path):
    """DoRA of a query projection, in torchtune's order, against m∘V/‖V‖ − W₀ in Hugging Face's."""
    tensors, deltas = checkpoint(tmp_path / "a")
    generator = torch.Generator().manual_seed(1)
    name, path = "layers.0.attn.q_proj", SHAPES["layers.0.attn.q_proj"][0]
    m, W = (torch.rand(size, generator=generator, dtype=torch.float64) + 1 for size in ((32, 1), (32, 16)))
    torch.save(tensors | {f"{name}.magnitude": interleaved(m, HEADS).flatten()}, tmp_path / "a" / "adapter_model.pt")
    (tmp_path / "base").mkdir()
    save_file({f"{path}.weight": W}, tmp_path / "base" / "model.safetensors")
    read_options = ReadOptions(base=BaseWeights("base", lambda: tmp_path / "base"), allow_pickle=True)
    V = W + deltas[shown(path)]
    adapter = read(tmp_path / "a", read_options)
    whole = our_deltas(adapter)[shown(path)]
    torch.testing.assert_close(whole, m * V / V.norm(dim=1, keepdim=True) - W, rtol=0, atol=1e-12)
    assert adapter.depends_on.startswith("base at rank 64")


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        ((4, 16), (24, 3), "B·A does not multiply"),
        ((4, 16, 1), (24, 4), "B·A does not multiply"),
        ((4, 16), (24, 4, 1), "B·A does not multiply"),
        ((4,), (24, 4), "1-D or zero-size factor"),
        ((4, 16), None, "without its lora_b.weight"),
    ],
)
def test_what_is_no_pair_is_left_out_with_its_reason(tmp_path, a, b, reason):
    tensors, _ = checkpoint(tmp_path)
    shapes = {"layers.2.mlp.w1.lora_a.weight": a, "layers.2.mlp.w1.lora_b.weight": b}
    more = {key: torch.ones(shape) for key, shape in shapes.items() if shape}
    torch.save(tensors | more | {"layers.2.norm.scale": torch.ones(4)}, tmp_path / "adapter_model.pt")
    adapter = read(tmp_path)
    assert [str(id_) for id_ in adapter.info.excluded] == ["2.mlp.gate_proj"]
    assert all(reason in t.reason for t in adapter.tensors if t.key in more)
    assert [t.key for t in adapter.tensors if t.reason == "no tensor of a LoRA"] == ["layers.2.norm.scale"]
    assert len(adapter.modules) == len(SHAPES)
