"""Modules, embeddings and tokens saved whole: merged minus base by PEFT itself."""

import json
import warnings

import pytest
import torch
from peft import LoraConfig, PeftModel, TrainableTokensConfig, get_peft_model
from safetensors.torch import load_file, save_file

from inspector.study.module_id import ModuleId
from tests.adapters.peft.merged import compare, merged_minus, read, stored, texts, trained_dora, weights
from tests.adapters.peft.models import llama, our_deltas, saved, trained

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning",
    "ignore::UserWarning",
    "ignore:The following alpha_pattern keys did not match:RuntimeWarning",
)


def test_modules_to_save_embeddings_and_biases(tmp_path):
    base = stored(llama(), tmp_path / "base")
    config = LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["lm_head", "embed_tokens", "norm"])
    model = trained(llama(), config)
    generator = torch.Generator().manual_seed(4)
    for name, parameter in model.named_parameters():
        if "modules_to_save" in name:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    adapter = read(saved(model, tmp_path / "adapter"), base)
    compare(our_deltas(adapter), merged_minus(weights(llama()), model), {"embed_tokens"})
    reasons = {t.key.removeprefix("base_model.model."): t.reason for t in adapter.tensors if t.role != "used"}
    # PEFT saves every module whose name ends so: the norms of the layers as well.
    assert len(reasons) == 5
    assert set(reasons.values()) == {"absolute values of no matrix: not compared"}
    without = read(tmp_path / "adapter")
    assert {id_.projection for id_ in without.modules} == {"q_proj"}
    assert sum(t.reason.startswith("modules_to_save: absolute values") for t in without.tensors) == 7


def test_a_head_the_base_lacks_has_one_account(tmp_path):
    base = stored(llama(), tmp_path / "base")
    model = trained(llama(), LoraConfig(r=4, target_modules=["q_proj"]))
    folder = saved(model, tmp_path / "adapter", state_dict=None)
    tensors = load_file(folder / "adapter_model.safetensors")
    head = {f"base_model.model.score.{end}": torch.ones(shape) for end, shape in (("weight", (3, 16)), ("bias", 3))}
    save_file(tensors | head, folder / "adapter_model.safetensors")
    config = json.loads((folder / "adapter_config.json").read_text()) | {"task_type": "SEQ_CLS"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    adapter = read(folder, base)
    assert {t.reason for t in adapter.tensors if t.key in head} == {
        f"absolute values: the base {base.name} has no such module"
    }
    assert len(adapter.info.findings) == 1


def test_embeddings_saved_along(tmp_path):
    base = stored(llama(), tmp_path / "base")
    model = trained(llama(), LoraConfig(r=4, target_modules=["q_proj"]))
    model.get_input_embeddings().weight.data[3] += 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(tmp_path / "adapter", save_embedding_layers=True)
    ours = our_deltas(read(tmp_path / "adapter", base))
    embedding = ours[ModuleId(None, "model.embed_tokens")]
    assert embedding.shape == (16, 50)
    torch.testing.assert_close(embedding[:, 3], torch.ones(16, dtype=torch.float64))
    assert float(embedding.norm()) == pytest.approx(4.0)
    assert float(ours[ModuleId(None, "lm_head")].norm()) == 0


def test_a_resized_vocabulary_is_not_compared(tmp_path):
    base = stored(llama(), tmp_path / "base")
    larger = llama()
    larger.resize_token_embeddings(52)
    model = trained(larger, LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["embed_tokens"]))
    adapter = read(saved(model, tmp_path / "adapter"), base)
    assert {id_.projection for id_ in adapter.modules} == {"q_proj"}
    assert any("another shape in the base: 50×16" in text for text in texts(adapter, "warning"))


@pytest.mark.parametrize("named", [False, True])
def test_trainable_tokens(tmp_path, named):
    """The rows of three tokens, exactly: rank three."""
    base = stored(llama(), tmp_path / "base")
    indices = {"embed_tokens": [7, 2, 40]} if named else [7, 2, 40]
    model = trained(llama(), LoraConfig(r=4, target_modules=["q_proj"], trainable_token_indices=indices))
    generator = torch.Generator().manual_seed(4)
    for name, parameter in model.named_parameters():
        if "trainable_tokens_delta" in name:
            parameter.data += torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    adapter = read(saved(model, tmp_path / "adapter"), base)
    compare(our_deltas(adapter), merged_minus(weights(llama()), model), {"embed_tokens"})
    assert adapter.modules[ModuleId(None, "model.embed_tokens")].rank == 3
    without = read(tmp_path / "adapter")
    assert any("trainable tokens: absolute values" in text for text in texts(without, "warning"))


def test_the_method_of_trainable_tokens(tmp_path):
    base = stored(llama(), tmp_path / "base")
    config = TrainableTokensConfig(target_modules=["embed_tokens"], token_indices=[1, 9])
    model = get_peft_model(llama(), config)
    for name, parameter in model.named_parameters():
        if "trainable_tokens_delta" in name:
            parameter.data += 1
    adapter = read(saved(model, tmp_path / "adapter"), base)
    compare(our_deltas(adapter), merged_minus(weights(llama()), model), {"embed_tokens"})
    assert adapter.info.format == "PEFT trainable tokens"


def test_all_tokens_trained_take_the_rank_of_the_width(tmp_path):
    """Ones for 30 tokens would be of rank 30; the rows have rank 16 at most, and the file may name 10⁵ of them."""
    base = stored(llama(), tmp_path / "base")
    model = get_peft_model(llama(), TrainableTokensConfig(target_modules=["embed_tokens"], token_indices=[*range(30)]))
    for name, parameter in model.named_parameters():
        if "trainable_tokens_delta" in name:
            parameter.data += torch.arange(16)
    adapter = read(saved(model, tmp_path / "adapter"), base)
    compare(our_deltas(adapter), merged_minus(weights(llama()), model), {"embed_tokens"})
    assert [module.rank for module in adapter.modules.values()] == [16]


def test_layer_replication_finds_the_layers_of_the_base(tmp_path):
    """Layer 2 of the replicated model is layer 1 of the base: its DoRA is told with that one's weights."""
    base = stored(llama(), tmp_path / "base")
    config = LoraConfig(r=4, target_modules=["q_proj"], use_dora=True, layer_replication=[[0, 2], [1, 2]])
    model = trained_dora(llama(), config)
    adapter = read(saved(model, tmp_path / "adapter"), base)
    W = {id_: w for id_, w in weights(llama()).items() if id_.path == "self_attn.q_proj"}
    ours = our_deltas(adapter)
    assert [id_.layer for id_ in ours] == [0, 1, 2]
    for id_, delta in ours.items():
        layer = model.get_submodule(f"base_model.model.model.layers.{id_.layer}.self_attn.q_proj")
        W0 = W[ModuleId(min(id_.layer, 1), id_.path)]
        V = W0 + layer.get_delta_weight("default").detach()
        magnitude = layer.lora_magnitude_vector["default"].weight.detach()
        torch.testing.assert_close(delta, (magnitude / V.norm(dim=1))[:, None] * V - W0)


def test_peft_reads_what_these_tests_save(tmp_path):
    """The oracle itself: PEFT loads the DoRA folder and merges it to the same weights."""
    config = LoraConfig(r=4, target_modules=["q_proj"], use_dora=True)
    model = trained_dora(llama(), config)
    again = PeftModel.from_pretrained(llama(), saved(model, tmp_path))
    compare(merged_minus(weights(llama()), again), merged_minus(weights(llama()), model))
