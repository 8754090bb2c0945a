"""GGUF LoRA files written by the gguf package, in the layout of llama.cpp's convert_lora_to_gguf.py."""

import json

import gguf
import numpy as np
import pytest
import torch

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.formats import read_adapter
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.readers import gguf_weights
from inspector.common.errors import InspectorError
from inspector.study.module_id import ModuleId
from tests.adapters.peft.models import assert_same, our_deltas
from tests.hostile import gguf_cases
from tests.makers import random_factors
from tests.shown import shown

HEADS = {"q": 4, "k": 2}
SHAPES = {
    "model.layers.0.self_attn.q_proj": (32, 16),
    "model.layers.0.self_attn.k_proj": (16, 16),
    "model.layers.1.self_attn.v_proj": (16, 16),
    "model.layers.1.self_attn.o_proj": (16, 32),
    "model.layers.1.mlp.down_proj": (16, 64),
    "lm_head": (50, 16),
}
NAMES = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output", "down_proj": "ffn_down"}


def permute(weights, heads):
    """`LlamaModel.permute` of llama.cpp's conversion, on B alone as its LoraTorchTensor applies it."""
    return weights.reshape(heads, 2, weights.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weights.shape)


def write(path, factors, *, architecture="llama", alpha=8.0, qtype=None, permuted=None, kind="lora"):
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, kind)
    if alpha is not None:
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    writer.add_base_model_count(1)
    writer.add_base_model_repo_url(0, "https://huggingface.co/org/base")
    for name, (B, A) in factors.items():
        layer, end = name.split(".")[2:3], name.rpartition(".")[2]
        base = f"blk.{layer[0]}.{NAMES[end]}.weight" if layer else "output.weight"
        if end[0] in HEADS and (architecture == "llama" if permuted is None else permuted) and layer:
            rows = permute(B, HEADS[end[0]])
        else:
            rows = B
        for tensor, half in (A, "lora_a"), (rows, "lora_b"):
            data = tensor.contiguous().numpy()
            if qtype is not None and data.shape[-1] % 32 == 0:
                writer.add_tensor(f"{base}.{half}", gguf.quants.quantize(data, qtype), raw_dtype=qtype)
            else:
                writer.add_tensor(f"{base}.{half}", data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def config(folder, **more):
    fields = {"model_type": "llama", "num_attention_heads": HEADS["q"], "num_key_value_heads": HEADS["k"]} | more
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(fields))
    return folder


def read(path, read_options=DEFAULTS):
    return read_adapter(path, "a", str(path), read_options)


def deltas(factors, scale):
    return {shown(path): scale * B.double() @ A.double() for path, (B, A) in factors.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_llama_rows_come_back_into_hugging_faces_order(tmp_path, dtype):
    factors = random_factors(SHAPES, r=4, dtype=dtype)
    path = write(config(tmp_path) / "lora.gguf", factors)
    adapter = read(path)
    assert_same(our_deltas(adapter), deltas(factors, 2.0))
    assert adapter.info.scale == "2 (α/r = 8/4)"
    assert (adapter.info.base, adapter.info.format, adapter.info.health) == ("org/base", "GGUF LoRA", "ok")
    assert adapter.depends_on == "{'q_proj': 4, 'k_proj': 2}"
    assert {m.path for m in adapter.modules.values()} == set(SHAPES)


def test_without_heads_query_and_key_are_left_out_and_said(tmp_path):
    factors = random_factors(SHAPES, r=4)
    path = write(tmp_path / "lora.gguf", factors)
    adapter = read(path)
    assert adapter.depends_on == ""
    others = {path: pair for path, pair in factors.items() if not path.endswith(("q_proj", "k_proj"))}
    assert_same(our_deltas(adapter), deltas(others, 2.0))
    assert len(adapter.info.excluded) == 2
    (warning,) = [f.text for f in adapter.info.findings if f.severity == "warning"]
    assert "--base" in warning
    assert "attn_q" in warning
    base = config(tmp_path / "base")
    assert_same(our_deltas(read(path, ReadOptions(base=BaseWeights("base", lambda: base)))), deltas(factors, 2.0))


def test_qwen_is_not_permuted(tmp_path):
    factors = random_factors(SHAPES, r=4)
    assert_same(our_deltas(read(write(tmp_path / "a.gguf", factors, architecture="qwen3"))), deltas(factors, 2.0))


def test_alpha_0_counts_as_the_rank_and_none_is_unknown(tmp_path):
    factors = random_factors(SHAPES, r=4)
    adapter = read(write(tmp_path / "a.gguf", factors, architecture="qwen2", alpha=0.0))
    assert_same(our_deltas(adapter), deltas(factors, 1.0))
    assert adapter.info.scale == "1 (α 0: 1)"
    adapter = read(write(tmp_path / "b.gguf", factors, architecture="qwen2", alpha=None))
    assert {module.scale.value for module in adapter.modules.values()} == {None}


@pytest.mark.parametrize("name", ["Q8_0", "Q4_0", "BF16"])
def test_quantised_types_are_what_the_package_dequantises(tmp_path, name):
    qtype = gguf.GGMLQuantizationType[name]
    factors = random_factors({"model.layers.0.mlp.down_proj": (64, 128)}, r=32)
    adapter = read(write(tmp_path / "a.gguf", factors, qtype=qtype, alpha=64.0))
    exact = {
        path: tuple(gguf.quants.dequantize(gguf.quants.quantize(t.numpy(), qtype), qtype) for t in pair)
        for path, pair in factors.items()
    }
    exact = {path: tuple(torch.from_numpy(np.array(t)) for t in pair) for path, pair in exact.items()}
    assert_same(our_deltas(adapter), deltas(exact, 2.0))
    assert adapter.info.dtype == name


def plain(path, tensors, *, architecture="qwen2", name="", repository=""):
    """What is read of an adapter with α 4 and tensors under the names they are given."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, 4.0)
    if name:
        writer.add_base_model_name(0, name)
    if repository:
        writer.add_base_model_repo_url(0, repository)
    for key, tensor in tensors.items():
        writer.add_tensor(key, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return read(path)


def ab(name, a, b):
    """Factors of these shapes, of different numbers."""
    numbers = (np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + n for n, shape in enumerate((a, b)))
    return {f"{name}.weight.lora_{half}": data for half, data in zip("ab", numbers, strict=True)}


def test_names_llama_cpp_alone_knows_are_kept_and_said(tmp_path):
    tensors = ab("blk.0.ssm_in", (2, 8), (6, 2)) | {"blk.0.attn_norm.weight": np.ones(8, np.float32)}
    adapter = plain(tmp_path / "a.gguf", tensors | {"other.weight": np.ones(8, np.float32)}, architecture="mamba")
    assert [str(m) for m in adapter.modules] == ["0.ssm_in"]
    (unnamed, unknown) = [f.text for f in adapter.info.findings if f.severity == "warning"]
    assert unnamed.startswith("1 module under llama.cpp's own names, which do not meet other formats': blk.0.ssm_in")
    assert "other.weight" in unknown
    assert [t.role for t in adapter.tensors] == ["used", "used", "ignored", "unknown"]


def test_an_embeddings_a_is_stored_transposed(tmp_path):
    """Its rows are looked up: (vocabulary, r)."""
    tensors = ab("token_embd", (50, 2), (8, 2)) | ab("output", (2, 8), (50, 2))
    adapter = plain(tmp_path / "a.gguf", tensors)
    embedding, head = ModuleId(None, "model.embed_tokens"), ModuleId(None, "lm_head")
    parts = {embedding: ("token_embd", True), head: ("output", False)}
    wanted = {}
    for id_, (name, turned) in parts.items():
        a, b = (torch.from_numpy(tensors[f"{name}.weight.lora_{half}"]).double() for half in "ab")
        wanted[id_] = 2 * b @ (a.T if turned else a)
    assert_same(our_deltas(adapter), wanted)
    assert {id_: (m.d_out, m.d_in, m.rank) for id_, m in adapter.modules.items()} == {
        embedding: (8, 50, 2),
        head: (50, 8, 2),
    }


@pytest.mark.parametrize(
    ("told", "base"),
    [
        ({"name": "Some Model", "repository": "https://huggingface.co/org/base"}, "org/base"),
        ({"repository": "https://example.org/base"}, "https://example.org/base"),
        ({"name": "Some Model"}, "Some Model"),
        ({}, ""),
    ],
)
def test_the_base_as_the_conversion_noted_it(tmp_path, told, base):
    assert plain(tmp_path / "a.gguf", ab("output", (2, 8), (50, 2)), **told).info.base == base


@pytest.mark.parametrize(
    ("architecture", "known"), [("llama", True), ("qwen3", True), ("mamba", True), ("of-tomorrow", False)]
)
def test_an_order_of_rows_that_is_not_known_is_said(tmp_path, architecture, known):
    adapter = plain(tmp_path / "a.gguf", ab("blk.0.attn_q", (2, 8), (16, 2)), architecture=architecture)
    assert any("'of-tomorrow' is not known here" in f.text for f in adapter.info.findings) != known
    assert bool(adapter.modules) == (architecture != "llama")


@pytest.mark.parametrize(
    ("heads", "excluded"),
    [
        ({"num_attention_heads": 16, "num_key_value_heads": 8}, []),
        ({"num_attention_heads": 32, "num_key_value_heads": 8}, ["q_proj"]),
        ({"num_attention_heads": 12, "num_key_value_heads": 8}, ["q_proj"]),
        ({"num_attention_heads": 4, "num_key_value_heads": 16}, ["k_proj"]),
    ],
)
def test_rows_that_make_no_pairs_of_halves_of_as_many_heads_are_left_out(tmp_path, heads, excluded):
    path = write(config(tmp_path, **heads) / "lora.gguf", random_factors(SHAPES, r=4))
    assert [id_.projection for id_ in read(path).info.excluded] == excluded


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        ((2, 8), (6, 3), "does not multiply"),
        ((2, 8), (6, 2, 1), "stacked in a third axis"),
        ((3, 2, 8), (6, 2), "stacked in a third axis"),
        ((1, 1, 2, 8), (6, 2), "does not multiply"),
        ((2, 8), (12,), "1-D or zero-size"),
    ],
)
def test_factors_that_are_no_pair(tmp_path, a, b, reason):
    adapter = plain(tmp_path / "a.gguf", ab("blk.0.ffn_down", a, b) | ab("output", (2, 8), (50, 2)))
    assert list(adapter.modules) == [ModuleId(None, "lm_head")]
    assert adapter.info.excluded == (ModuleId(0, "mlp.down_proj"),)
    (error,) = [f.text for f in adapter.info.findings if f.severity == "error"]
    assert reason in error


def test_a_model_is_no_adapter_and_another_kind_is_refused(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_tensor("blk.0.attn_q.weight", np.ones((2, 8), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(InspectorError, match="no adapter"):
        read(tmp_path / "model.gguf")
    with pytest.raises(InspectorError, match="of type 'control_vector'"):
        read(write(tmp_path / "a.gguf", random_factors(SHAPES), kind="control_vector"))


def test_cut_anywhere_it_is_refused(tmp_path):
    path = write(tmp_path / "a.gguf", random_factors({"model.layers.0.mlp.down_proj": (8, 16)}, r=2))
    content = path.read_bytes()
    for size in range(300, len(content) - 1, 37):
        path.write_bytes(content[:size])
        with pytest.raises(InspectorError):
            read(path)


def with_array(path, numbers):
    """An adapter whose metadata has an array of numbers, without a tensor."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_array("x", numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_an_array_that_never_ends_is_refused(tmp_path):
    path = with_array(tmp_path / "a.gguf", [1, 2, 3])
    content = path.read_bytes()
    endless = (3).to_bytes(8, "little")
    at = content.rindex(endless + (1).to_bytes(4, "little"))
    path.write_bytes(content[:at] + (2**60).to_bytes(8, "little") + content[at + 8 :])
    with pytest.raises(InspectorError, match="longer than an adapter's"):
        read(path)


@pytest.mark.parametrize("limit", ["_MOST_VALUES", "_LARGEST_METADATA", "_MOST_TENSORS"])
def test_metadata_and_tensors_have_a_limit(tmp_path, monkeypatch, limit):
    """Four fields, of which the last has its value so far from the start, and two tensors are read; more are not."""
    path = tmp_path / "a.gguf"
    plain(path, ab("output", (2, 8), (50, 2)))
    last = b"adapter.lora.alpha"
    at = path.read_bytes().index(last) + len(last) + 4
    most = {"_MOST_VALUES": 4, "_LARGEST_METADATA": at, "_MOST_TENSORS": 2}[limit]
    monkeypatch.setattr(gguf_weights, limit, most)
    assert len(read(path).modules) == 1
    monkeypatch.setattr(gguf_weights, limit, most - 1)
    with pytest.raises(InspectorError, match=r"metadata larger than an adapter's|2 tensors are more than an adapter's"):
        read(path)


def test_an_array_as_long_as_an_adapters(tmp_path, monkeypatch):
    path = with_array(tmp_path / "a.gguf", list(range(20)))
    monkeypatch.setattr(gguf_weights, "_MOST_VALUES", 19)
    with pytest.raises(InspectorError, match="an array longer than an adapter's"):
        read(path)
    monkeypatch.setattr(gguf_weights, "_MOST_VALUES", 20)
    with pytest.raises(InspectorError, match="metadata larger than an adapter's"):
        read(path)


@pytest.mark.parametrize(("offset", "fine"), [(64, True), (96, True), (32, False), (0, False)])
def test_tensors_that_share_bytes_are_refused(tmp_path, offset, fine):
    """The first one has the bytes from 0 to 64."""
    b = gguf_cases.tensor(b"blk.0.attn_q.weight.lora_b", (12, 2), offset)
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf_cases.gguf(tensors=[gguf_cases.PAIR[0], b], data=bytes(192)))
    if fine:
        assert len(read(path).modules) == 1
    else:
        with pytest.raises(InspectorError, match="impossible shape or place of blk"):
            read(path)
