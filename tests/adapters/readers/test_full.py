"""Full fine-tunes: ΔW = W − W₀ of tiny models saved by transformers, against float64 differences made here."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.files.listing import Folder
from inspector.adapters.formats import places, read_adapter
from inspector.adapters.opening import open_sources
from inspector.adapters.options import ReadOptions
from inspector.analysis.analyse import analyse
from inspector.common.errors import InspectorError
from inspector.study.module_id import ModuleId
from inspector.study.study import Settings
from tests.makers import random_factors, write_adapter, write_random

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
IN_OUT = {"embed_tokens", "wte", "wpe", "c_attn", "c_proj", "c_fc"}
"""What stores input × output: embeddings, GPT-2's Conv1D."""


def model(family, **config):
    torch.manual_seed(0)
    if family == "gpt2":
        return GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=50, n_positions=16, **config))
    return LlamaForCausalLM(LlamaConfig(**SMALL, num_key_value_heads=2, vocab_size=50, pad_token_id=0, **config))


def tuned(base, seed=1, *, only=""):
    """The model with all weights moved, or those whose names contain `only`."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in base.named_parameters():
            if only in name:
                weight.add_(0.01 * torch.randn(weight.shape, generator=generator).to(weight.dtype))
    return base


def saved(model_, folder, **options):
    model_.save_pretrained(folder, **options)
    return folder


def against(folder, rank=64):
    return ReadOptions(BaseWeights("tiny/base", lambda: folder), rank=rank)


def read(folder, read_options):
    return read_adapter(folder, "tuned", str(folder), read_options)


def tensors(folder):
    return {key: t for file in folder.glob("*.safetensors") for key, t in load_file(file).items()}


def update(adapter, id_):
    B, A = adapter.load(id_)
    return B.double() @ A.double()


def texts(adapter, severity):
    return [f.text for f in adapter.info.findings if f.severity == severity]


@pytest.fixture
def pair(tmp_path):
    """A Llama and its fine-tune, as folders."""
    return saved(model("llama"), tmp_path / "base"), saved(tuned(model("llama")), tmp_path / "tuned")


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("shards", [{}, {"max_shard_size": "20KB"}])
def test_every_matrix_is_the_difference_as_an_operator(tmp_path, family, shards):
    base = saved(model(family), tmp_path / "base")
    adapter = read(saved(tuned(model(family)), tmp_path / "tuned", **shards), against(base))
    assert (len(adapter.files) > 1) == bool(shards)
    before, after = tensors(base), tensors(tmp_path / "tuned")
    matrices = {key: after[key].double() - before[key].double() for key in after if after[key].dim() == 2}
    assert len(adapter.modules) == len(matrices)
    for key, delta in matrices.items():
        (id_,) = (id_ for id_, module in adapter.modules.items() if f"{module.path}.weight" == key)
        # An embedding and GPT-2's Conv1D store input × output.
        turned = (
            delta.T if "embed" in key or key.split(".")[-2] in {"wte", "wpe", "c_attn", "c_proj", "c_fc"} else delta
        )
        torch.testing.assert_close(update(adapter, id_), turned, rtol=0, atol=1e-7)
        assert adapter.modules[id_].scale.value == 1
    assert {t.role for t in adapter.tensors} == {"used", "ignored"}
    assert adapter.info.tensors == len(after)
    assert adapter.info.parameters == sum(delta.numel() for delta in matrices.values())
    assert (adapter.info.format, adapter.info.base, adapter.info.health) == ("full fine-tune", "tiny/base", "ok")


def test_the_best_part_of_the_rank_asked_for(pair):
    base, folder = pair
    adapter = read(folder, against(base, rank=5))
    id_ = ModuleId(1, "mlp.down_proj")
    key = "model.layers.1.mlp.down_proj.weight"
    delta = tensors(folder)[key].double() - tensors(base)[key].double()
    U, sigma, Vh = torch.linalg.svd(delta, full_matrices=False)
    torch.testing.assert_close(update(adapter, id_), U[:, :5] * sigma[:5] @ Vh[:5], rtol=0, atol=1e-6)
    assert adapter.info.ranks == (5,)
    left_out = 1 - float((sigma[:5] ** 2).sum() / (sigma**2).sum())
    kept = update(adapter, id_).square().sum() / delta.square().sum()
    assert float(kept) == pytest.approx(1 - left_out, abs=1e-6)


def test_frozen_matrices_have_no_update(tmp_path):
    base = saved(model("llama"), tmp_path / "base")
    adapter = read(saved(tuned(model("llama"), only="q_proj"), tmp_path / "tuned"), against(base))
    zero = {id_ for id_ in adapter.modules if not update(adapter, id_).any()}
    assert {id_.projection for id_ in adapter.modules.keys() - zero} == {"q_proj"}
    assert len(zero) == len(adapter.modules) - 3
    info = analyse([adapter], Settings()).adapters[0]
    assert info.health == "ok"
    assert any(f.text.startswith("frozen, ΔW is exactly zero: 20 of 23 modules") for f in info.findings)


def test_a_copy_of_the_base_is_an_error(tmp_path):
    adapter = read(saved(model("llama"), tmp_path / "copy"), against(saved(model("llama"), tmp_path / "base")))
    assert analyse([adapter], Settings()).adapters[0].health == "error"


def test_what_the_rank_leaves_out_is_measured(pair):
    base, folder = pair
    before, after = tensors(base), tensors(folder)
    study = analyse([read(folder, against(base, rank=3))], Settings())
    left = whole = 0.0
    for key in (key for key in after if after[key].dim() == 2):
        energies = torch.linalg.svdvals(after[key].double() - before[key].double()) ** 2
        left, whole = left + float(energies[3:].sum()), whole + float(energies.sum())
    assert study.block("energy_left_out", "global")[0, 0] == pytest.approx(left / whole, abs=1e-5)
    assert left / whole > 0.05
    told = [f.text for f in study.adapters[0].findings if f.severity == "warning"]
    assert f"{left / whole:.2%} of the energy of ΔW is left out" in told[-1]


def test_a_little_energy_left_out_is_no_warning(pair):
    base, folder = pair
    study = analyse([read(folder, against(base, rank=24))], Settings())
    assert 0 < study.block("energy_left_out", "global")[0, 0] < 0.05
    assert study.adapters[0].health == "ok"


def test_bfloat16_differences_are_taken_in_float32(tmp_path):
    base = saved(model("llama").bfloat16(), tmp_path / "base")
    folder = saved(tuned(model("llama").bfloat16()), tmp_path / "tuned")
    adapter = read(folder, against(base))
    key = "model.layers.0.self_attn.v_proj.weight"
    exact = tensors(folder)[key].double() - tensors(base)[key].double()
    torch.testing.assert_close(update(adapter, ModuleId(0, "self_attn.v_proj")), exact, rtol=0, atol=1e-7)
    assert adapter.info.dtype == "BF16"
    assert adapter.info.health == "ok"


@pytest.mark.parametrize(("here", "there", "said"), [("bfloat16", "float32", True), ("float32", "bfloat16", False)])
def test_a_model_saved_with_fewer_digits_than_its_base_says_so(tmp_path, here, there, said):
    base = saved(model("llama").to(getattr(torch, there)), tmp_path / "base")
    adapter = read(saved(tuned(model("llama")).to(getattr(torch, here)), tmp_path / "tuned"), against(base))
    assert any("rounding to BF16 is part of ΔW" in text for text in texts(adapter, "warning")) == said


def test_norms_and_biases_are_listed_as_not_compared(tmp_path):
    base = saved(model("gpt2"), tmp_path / "base")
    adapter = read(saved(tuned(model("gpt2")), tmp_path / "tuned"), against(base))
    left_out = [t for t in adapter.tensors if t.role == "ignored"]
    assert {len(t.shape) for t in left_out} == {1}
    assert all("not compared" in t.reason for t in left_out)


def test_another_vocabulary_is_left_out_and_said(tmp_path):
    base = saved(model("llama"), tmp_path / "base")
    resized = tuned(model("llama"))
    resized.resize_token_embeddings(54)
    adapter = read(saved(resized, tmp_path / "tuned"), against(base))
    assert set(adapter.info.excluded) == {ModuleId(None, "model.embed_tokens"), ModuleId(None, "lm_head")}
    assert any("54×32, not 50×32 (vocabulary resized?)" in text for text in texts(adapter, "warning"))
    assert len(adapter.modules) == 7 * 3


def test_tied_heads_are_no_loss(tmp_path):
    base = saved(model("llama", tie_word_embeddings=True), tmp_path / "base")
    adapter = read(saved(tuned(model("llama", tie_word_embeddings=True)), tmp_path / "tied"), against(base))
    assert ModuleId(None, "lm_head") not in adapter.modules
    assert adapter.info.health == "ok"
    untied = read(saved(tuned(model("llama")), tmp_path / "untied"), against(base))
    assert any("not in the base: nothing to subtract: lm_head.weight" in t for t in texts(untied, "warning"))
    back = read(tmp_path / "tied", against(tmp_path / "untied"))
    assert any("lm_head.weight" in text for text in texts(back, "info"))


def test_a_base_of_other_shapes_is_refused(tmp_path):
    base = saved(model("gpt2"), tmp_path / "base")
    adapter = read(saved(model("llama"), tmp_path / "tuned"), against(base))
    assert adapter.modules == {}
    assert "no matrix of it has the shape it has in the base tiny/base" in texts(adapter, "error")[0]


def test_prefixes_of_the_model_class_do_not_matter(tmp_path):
    """The published gpt2 has no `transformer.` in its keys; models saved from a class with a head do."""
    base = saved(model("gpt2"), tmp_path / "base")
    bare = {key.removeprefix("transformer."): t for key, t in tensors(base).items()}
    save_file(bare, base / "model.safetensors", metadata={"format": "pt"})
    adapter = read(saved(tuned(model("gpt2")), tmp_path / "tuned"), against(base))
    assert len(adapter.modules) == 2 + 4 * 2
    assert adapter.info.health == "ok"


def test_quantised_weights_are_not_subtracted(pair):
    base, folder = pair
    key = "model.layers.0.mlp.up_proj.weight"
    whole = tensors(folder)
    save_file(whole | {key: whole[key].to(torch.float8_e4m3fn)}, folder / "model.safetensors")
    adapter = read(folder, against(base))
    assert ModuleId(0, "mlp.up_proj") not in adapter.modules
    assert next(t for t in adapter.tensors if t.key == key).role == "unknown"
    other_way = read(base, against(folder))
    assert "quantised in the base" in next(t for t in other_way.tensors if t.key == key).reason


def test_a_missing_shard_is_an_error(tmp_path):
    base = saved(model("llama"), tmp_path / "base")
    folder = saved(tuned(model("llama")), tmp_path / "tuned", max_shard_size="20KB")
    sorted(folder.glob("model-*"))[1].unlink()
    with pytest.raises(InspectorError, match=r"shards of the model are there"):
        read(folder, against(base))


def test_without_a_base_a_model_alone_is_an_error_that_says_what_to_do(pair):
    adapters, failures = open_sources([str(pair[1])])
    assert adapters == []
    assert "--base" in failures[0].message
    assert not failures[0].skipped


def test_a_model_among_adapters_is_skipped_with_a_word(tmp_path, pair):
    write_random(tmp_path / "runs" / "one")
    shutil.copytree(pair[0], tmp_path / "runs" / "base")
    adapters, failures = open_sources([str(tmp_path / "runs")])
    assert [a.info.name for a in adapters] == ["one"]
    assert str(failures[0]).startswith("Skipped: ")
    named = BaseWeights("runs/base", lambda: tmp_path / "runs" / "base")
    adapters, failures = open_sources([str(tmp_path / "runs")], read_options=ReadOptions(named))
    assert [a.info.name for a in adapters] == ["one"]
    assert "is the base itself" in str(failures[0])


def test_an_adapter_beside_a_model_config_is_no_model(tmp_path):
    """PEFT's trainers leave the base's config.json in its folder; a trained head stands under its own name."""
    head = {"base_model.model.score.weight": torch.ones(3, 16)}
    folder = write_adapter(tmp_path / "one", random_factors(), extra=head)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    adapters, failures = open_sources([str(folder)])
    assert (len(adapters), failures) == (1, [])
    assert adapters[0].info.format == "PEFT LoRA"
    (folder / "adapter_config.json").unlink()
    (folder / "adapter_model.safetensors").rename(folder / "tuned.safetensors")
    assert [path.name for path, _ in places(Folder(folder))] == ["tuned.safetensors"]


def test_opening_reads_no_value(pair, monkeypatch):
    base, folder = pair
    read_options = against(base)
    monkeypatch.setattr(type(read_options.base), "tensor", lambda *_: pytest.fail("a tensor was read"))
    assert len(read(folder, read_options).modules) == 7 * 3 + 2
