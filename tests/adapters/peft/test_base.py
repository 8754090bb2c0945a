"""What needs the base: merged minus base by PEFT itself, against the reader's ΔW with the base given."""

import warnings

import pytest
import torch
from peft import LoraConfig, PeftModel, TrainableTokensConfig, VeraConfig, get_peft_model
from torch import nn
from transformers import MixtralConfig, MixtralForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

from inspector.adapters.base_weights import BaseWeights
from inspector.adapters.formats import read_adapter
from inspector.adapters.given import Given
from inspector.adapters.opening import identity
from inspector.adapters.summary import account
from inspector.names import ModuleId, canonical
from tests.adapters.peft.models import gpt2, llama, our_deltas, saved, trained

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning",
    "ignore::UserWarning",
    "ignore:The following alpha_pattern keys did not match:RuntimeWarning",
)
FULL = 1000


def stored(model, folder):
    """The model's folder as a base."""
    model.save_pretrained(folder)
    return BaseWeights("tiny/base", lambda: folder)


def read(folder, base=None, rank=FULL):
    return read_adapter(folder, folder.name, str(folder), Given(base, rank=rank))


def weights(model):
    return {canonical(name.removesuffix(".weight")): p.detach().clone() for name, p in model.named_parameters()}


def merged_minus(before, model):
    """Module -> merged − base as stored, of the matrices that changed."""
    after = weights(model.merge_and_unload())
    deltas = {id_: after[id_] - W for id_, W in before.items() if W.dim() > 1}
    return {id_: delta for id_, delta in deltas.items() if float(delta.norm()) > 0}


def compare(ours, other, transposed=(), rtol=1e-9, atol=1e-11):
    assert ours.keys() == other.keys()
    assert ours
    for id_, delta in ours.items():
        want = other[id_].T if id_.projection in transposed else other[id_]
        torch.testing.assert_close(delta, want.double().flatten(1), rtol=rtol, atol=atol)


def texts(adapter, severity):
    return [f.text for f in adapter.info.findings if f.severity == severity]


def trained_dora(model, config):
    """As if trained: the magnitudes moved too."""
    wrapped = trained(model, config)
    generator = torch.Generator().manual_seed(5)
    for name, parameter in wrapped.named_parameters():
        if "magnitude" in name:
            parameter.data = 0.5 + torch.rand(parameter.shape, generator=generator, dtype=torch.float64)
    return wrapped


@pytest.mark.parametrize("rslora", [False, True])
def test_dora(tmp_path, rslora):
    base = stored(llama(), tmp_path / "base")
    targets = ["q_proj", "down_proj", "embed_tokens"]
    config = LoraConfig(r=4, lora_alpha=6, target_modules=targets, use_dora=True, use_rslora=rslora)
    model = trained_dora(llama(), config)
    before = weights(llama())
    adapter = read(saved(model, tmp_path / "dora"), base)
    compare(our_deltas(adapter), merged_minus(before, model), {"embed_tokens"})
    assert {t.role for t in adapter.tensors} == {"used"}
    assert adapter.info.findings == ()
    assert "DoRA" in adapter.info.scale


def test_dora_of_a_model_that_stores_its_weights_transposed(tmp_path):
    """c_proj is square in gpt2: only the kind of model tells which way round it is."""
    base = stored(gpt2(), tmp_path / "base")
    config = LoraConfig(r=4, target_modules=["c_attn", "c_proj"], use_dora=True, fan_in_fan_out=True)
    model = trained_dora(gpt2(), config)
    adapter = read(saved(model, tmp_path / "dora"), base)
    compare(our_deltas(adapter), merged_minus(weights(gpt2()), model), {"c_attn", "c_proj"})


def test_dora_of_a_convolution(tmp_path):
    from safetensors.torch import save_file

    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 6, 3)).double()
    (tmp_path / "base").mkdir()
    save_file({k: v.clone() for k, v in plain.state_dict().items()}, tmp_path / "base" / "model.safetensors")
    before = weights(plain)
    model = trained_dora(plain, LoraConfig(r=2, target_modules=["0"], use_dora=True))
    adapter = read(saved(model, tmp_path / "dora"), BaseWeights("conv", lambda: tmp_path / "base"))
    compare(our_deltas(adapter), merged_minus(before, model))


def test_the_rank_kept_and_what_it_leaves_out(tmp_path):
    base = stored(llama(), tmp_path / "base")
    model = trained_dora(llama(), LoraConfig(r=2, target_modules=["down_proj"], use_dora=True))
    folder = saved(model, tmp_path / "dora")
    whole, part = our_deltas(read(folder, base)), read(folder, base, rank=3)
    for id_, delta in our_deltas(part).items():
        sigma = torch.linalg.svdvals(whole[id_])
        assert part.modules[id_].rank == 3
        left = float((whole[id_] - delta).norm() ** 2 / whole[id_].norm() ** 2)
        assert part.left_out(id_) == pytest.approx(left, abs=1e-12)
        assert left == pytest.approx(float((sigma[3:] ** 2).sum() / (sigma**2).sum()), abs=1e-12)
        assert left > 0
    assert {read(folder, base).left_out(id_) for id_ in whole} == {0.0}


def test_an_update_told_with_the_base_is_known_by_it(tmp_path):
    base = stored(llama(), tmp_path / "base")
    model = trained_dora(llama(), LoraConfig(r=2, target_modules=["down_proj"], use_dora=True))
    folder = saved(model, tmp_path / "dora")
    assert len({identity(read(folder)), identity(read(folder, base)), identity(read(folder, base, rank=3))}) == 3
    lora = saved(trained(llama(), LoraConfig(r=2, target_modules=["down_proj"])), tmp_path / "lora")
    assert identity(read(lora)) == identity(read(lora, base, rank=3))


def test_a_base_that_does_not_fit_leaves_the_direction_part(tmp_path):
    base = stored(gpt2(), tmp_path / "base")
    model = trained_dora(llama(), LoraConfig(r=4, target_modules=["q_proj"], use_dora=True))
    folder = saved(model, tmp_path / "dora")
    adapter = read(folder, base)
    direction = our_deltas(read(folder))
    assert {id_: d.tolist() for id_, d in our_deltas(adapter).items()} == {k: d.tolist() for k, d in direction.items()}
    assert any("only the direction part" in text for text in texts(adapter, "warning"))
    assert any("the base tiny/base has no such module" in text for text in texts(adapter, "info"))


@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_inits_that_the_base_alone_tells(tmp_path, init):
    base = stored(llama().float(), tmp_path / "base")
    before = weights(llama().float())
    config = LoraConfig(r=4, lora_alpha=6, target_modules=["q_proj", "down_proj"], init_lora_weights=init)
    model = get_peft_model(llama().float(), config)
    generator = torch.Generator().manual_seed(3)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    adapter = read(saved(model, tmp_path / "adapter"), base)
    compare(our_deltas(adapter), merged_minus(before, model), rtol=1e-4, atol=1e-5)
    assert {m.rank for m in adapter.modules.values()} == {8}
    assert adapter.info.scale == "1.5 (α/r = 6/4)"
    assert texts(adapter, "info")[0].startswith(f"{init}: ΔW = s·(BA − B₀A₀) with B₀A₀ from the base")
    alone = read_adapter(tmp_path / "adapter", "adapter", "adapter")
    assert "give the base with --base" in texts(alone, "error")[0]
    assert not texts(alone, "info")
    assert (alone.info.modules, alone.info.scale, alone.info.scales) == (0, "", ())
    told = dict(account(alone.info))["format"]
    assert told.endswith(f"no usable module · {alone.info.parameters:,} parameters in the file")


@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_untrained_starts_have_no_update(tmp_path, init):
    base = stored(llama().float(), tmp_path / "base")
    model = get_peft_model(llama().float(), LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=init))
    for delta in our_deltas(read(saved(model, tmp_path / "adapter"), base)).values():
        assert float(delta.norm()) < 1e-6


@pytest.mark.parametrize("init", ["pissa_niter_4", "corda", "lora_ga"])
def test_inits_that_the_base_does_not_tell(tmp_path, init):
    base = stored(llama().float(), tmp_path / "base")
    folder = saved(trained(llama(), LoraConfig(r=4, target_modules=["q_proj"])), tmp_path / "adapter")
    config = folder / "adapter_config.json"
    config.write_text(config.read_text().replace('"init_lora_weights": true', f'"init_lora_weights": "{init}"'))
    adapter = read(folder, base)
    assert adapter.modules == {}
    assert f"init_lora_weights '{init}' changed the base weights" in texts(adapter, "error")[0]
    assert "--base" not in texts(adapter, "error")[0]


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


@pytest.mark.parametrize("make", [llama, gpt2])
def test_vera(tmp_path, make):
    """down_proj reads more than q_proj: each takes its share of the one projection."""
    base = stored(make(), tmp_path / "base")
    targets = ["c_attn", "c_fc"] if make is gpt2 else ["q_proj", "down_proj"]
    model = trained(make(), VeraConfig(r=5, target_modules=targets))
    adapter = read(saved(model, tmp_path / "adapter"), base)
    compare(our_deltas(adapter), merged_minus(weights(make()), model), {"c_attn", "c_fc"}, rtol=1e-5, atol=1e-6)
    assert {t.role for t in adapter.tensors} == {"used"}
    without = read(tmp_path / "adapter")
    assert without.modules == {}
    assert any("only the base's shapes tell the width" in text for text in texts(without, "warning"))


@pytest.mark.filterwarnings("ignore:Specified to not save vera_A:UserWarning")
def test_vera_without_its_projections(tmp_path):
    base = stored(llama(), tmp_path / "base")
    model = trained(llama(), VeraConfig(r=5, target_modules=["q_proj"], save_projection=False))
    adapter = read(saved(model, tmp_path / "adapter"), base)
    assert adapter.modules == {}
    assert any("drawn from a random seed" in text for text in texts(adapter, "info"))


def test_strangers_among_the_projections_of_vera_are_accounted_for(tmp_path):
    from safetensors.torch import load_file, save_file

    base = stored(llama(), tmp_path / "base")
    folder = saved(trained(llama(), VeraConfig(r=5, target_modules=["q_proj"])), tmp_path / "adapter")
    path = folder / "adapter_model.safetensors"
    save_file(load_file(path) | {"base_model.lora_A.weight": torch.zeros(2, 2)}, path)
    adapter = read(folder, base)
    assert len(adapter.modules) == 2
    assert [t.key for t in adapter.tensors if t.role != "used"] == ["base_model.lora_A.weight"]


MOE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 50,
    "pad_token_id": 0,
}


def qwen3_moe(intermediate=12):
    torch.manual_seed(0)
    sizes = {"num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": intermediate, "head_dim": 8}
    return Qwen3MoeForCausalLM(Qwen3MoeConfig(**MOE, **sizes, intermediate_size=24, decoder_sparse_step=1)).double()


def mixtral():
    torch.manual_seed(0)
    return MixtralForCausalLM(MixtralConfig(**MOE, intermediate_size=12, num_local_experts=3)).double()


EXPERTS = LoraConfig(
    r=2,
    lora_alpha=6,
    target_modules=["q_proj"],
    target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
    alpha_pattern={"mlp.experts.down_proj": 10},
)


@pytest.mark.parametrize("make", [qwen3_moe, mixtral])
def test_experts(tmp_path, make):
    """One module per expert, each equal to PEFT's merged expert minus the base's."""
    base = stored(make(), tmp_path / "base")
    before = dict(make().named_parameters())
    model = trained(make(), EXPERTS)
    adapter = read(saved(model, tmp_path / "adapter"), base)
    after = dict(model.merge_and_unload().named_parameters())
    ours = our_deltas(adapter)
    assert len(ours) == 2 + 2 * 2 * 3
    assert {t.role for t in adapter.tensors} == {"used"}
    for layer in range(2):
        for name in ("gate_up_proj", "down_proj"):
            key = f"model.layers.{layer}.mlp.experts.{name}"
            for e in range(3):
                delta = ours[ModuleId(layer, f"mlp.experts.{e}.{name}")]
                torch.testing.assert_close(delta, (after[key] - before[key])[e].detach())


def test_experts_as_peft_before_0_18_wrote_them(tmp_path):
    """In and out the other way round: the same ΔW stored, told by the base's shapes."""
    from safetensors.torch import load_file, save_file

    base = stored(qwen3_moe(), tmp_path / "base")
    folder = saved(trained(qwen3_moe(), EXPERTS), tmp_path / "adapter")
    want = our_deltas(read(folder, base))
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    r, E = 2, 3
    for key in [k for k in tensors if "experts" in k and "lora_A" in k]:
        A, B = tensors[key], tensors[key.replace("lora_A", "lora_B")]
        out, into = B.shape[0], A.shape[1]
        experts_B, experts_A = B.reshape(out, r, E).permute(2, 1, 0), A.reshape(E, r, into)
        tensors[key] = experts_B.reshape(E * r, out).contiguous()
        tensors[key.replace("lora_A", "lora_B")] = experts_A.permute(2, 1, 0).reshape(into, r * E).contiguous()
    save_file(tensors, path)
    ours = our_deltas(read(folder, base))
    assert ours.keys() == want.keys()
    for id_, delta in ours.items():
        torch.testing.assert_close(delta, want[id_])


def test_experts_without_the_base_are_left_out(tmp_path):
    adapter = read(saved(trained(qwen3_moe(), EXPERTS), tmp_path))
    assert {id_.path for id_ in adapter.modules} == {"self_attn.q_proj"}
    assert {id_.path for id_ in adapter.info.excluded} == {"mlp.experts"}
    assert any("only the base's shapes tell experts" in text for text in texts(adapter, "warning"))


def test_square_experts_are_unclear(tmp_path):
    """down_proj is 16×16: it fits both ways round."""
    base = stored(qwen3_moe(16), tmp_path / "base")
    config = LoraConfig(r=2, target_modules=["q_proj"], target_parameters=["mlp.experts.down_proj"])
    adapter = read(saved(trained(qwen3_moe(16), config), tmp_path / "adapter"), base)
    assert {id_.path for id_ in adapter.modules} == {"self_attn.q_proj"}
    assert any("more than one parameter or orientation fits" in text for text in texts(adapter, "warning"))


@pytest.mark.parametrize("with_base", [False, True])
def test_a_parameter_that_is_a_plain_weight(tmp_path, with_base):
    base = stored(llama(), tmp_path / "base") if with_base else None
    config = LoraConfig(r=4, target_modules=["q_proj"], target_parameters=["mlp.up_proj.weight"])
    model = trained(llama(), config)
    adapter = read(saved(model, tmp_path / "adapter"), base)
    compare(our_deltas(adapter), merged_minus(weights(llama()), model))


def test_peft_reads_what_these_tests_save(tmp_path):
    """The oracle itself: PEFT loads the DoRA folder and merges it to the same weights."""
    config = LoraConfig(r=4, target_modules=["q_proj"], use_dora=True)
    model = trained_dora(llama(), config)
    again = PeftModel.from_pretrained(llama(), saved(model, tmp_path))
    compare(merged_minus(weights(llama()), again), merged_minus(weights(llama()), model))
