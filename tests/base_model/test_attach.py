"""Adapters run unmerged as a dense float64 merge would, switch exactly, and leave the base alone."""

import hashlib
import re
from dataclasses import replace

import pytest
import torch

from inspector.adapters.alignment import aligned
from inspector.base_model.attach import attach
from inspector.common.errors import InspectorError
from inspector.study.module_id import ModuleId
from tests.adapters.peft.mixtures import qwen3_moe
from tests.base_model.bases import base, fitting, merged
from tests.memory import adapter

IDS = torch.arange(3, 43).view(2, 20)


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=IDS).logits


def weights_digest(model: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if "lora_" not in name:
            digest.update(value.numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_one_adapter_and_a_path_equal_the_dense_merge_in_float64(family: str) -> None:
    onto = base(family)
    a, b = fitting(onto, "a", 1), fitting(onto, "b", 2, scale=0.5)
    references = {weight: logits(merged(onto, [(a, weight), (b, 1 - weight)])) for weight in (-0.5, 0.0, 0.3, 1.0, 1.5)}
    alone = logits(merged(onto, [(a, 1.0)]))
    attached = attach(onto, [a, b])
    attached.use("a")
    torch.testing.assert_close(logits(onto.model), alone, rtol=1e-10, atol=1e-10)
    for weight, reference in references.items():
        attached.mix({"a": weight, "b": 1 - weight})
        torch.testing.assert_close(logits(onto.model), reference, rtol=1e-10, atol=1e-10)


def test_an_adapter_runs_on_a_base_under_other_wrappers_and_after_it_was_aligned() -> None:
    """As a vision-language model's adapter names its language half, beside one that has the base's own names."""
    onto = base()
    plain, other = fitting(onto, "plain", 1), fitting(onto, "other", 2)
    wrapped = replace(other, modules={
        id_: replace(module, path=f"language_model.model.{module.path.partition('.')[2]}")
        for id_, module in other.modules.items()
    })  # fmt: skip
    reference = logits(merged(onto, [(other, 1.0)]))
    attached = attach(onto, aligned([plain, wrapped]))
    attached.use("other")
    torch.testing.assert_close(logits(onto.model), reference, rtol=1e-10, atol=1e-10)


def test_the_path_is_not_the_path_of_the_factors() -> None:
    onto = base()
    a, b = fitting(onto, "a", 1), fitting(onto, "b", 2)
    halves = {
        id_: tuple((one + other) / 2 for one, other in zip(a.load(id_), b.load(id_), strict=True)) for id_ in a.modules
    }
    crossed = logits(merged(onto, [(adapter("half", halves), 1.0)]))
    attached = attach(onto, [a, b])
    attached.mix({"a": 0.5, "b": 0.5})
    assert (logits(onto.model) - crossed).abs().max() > 1e-3


def test_both_ends_of_a_path_are_the_adapters_alone_to_the_last_bit() -> None:
    onto = base(dtype=torch.float32)
    attached = attach(onto, [fitting(onto, "a", 1), fitting(onto, "b", 2)])
    alone = {}
    for name in ("a", "b"):
        attached.use(name)
        alone[name] = logits(onto.model)
    attached.mix({"a": 1.0, "b": 0.0})
    assert torch.equal(logits(onto.model), alone["a"])
    attached.mix({"a": 0.0, "b": 1.0})
    assert torch.equal(logits(onto.model), alone["b"])


def test_the_bare_base_is_untouched_before_between_and_after() -> None:
    onto = base(dtype=torch.float32)
    bare, digest = logits(onto.model), weights_digest(onto.model)
    attached = attach(onto, [fitting(onto, "a", 1)])
    assert torch.equal(logits(onto.model), bare)
    attached.use("a")
    assert not torch.equal(logits(onto.model), bare)
    attached.use(None)
    assert torch.equal(logits(onto.model), bare)
    attached.add(fitting(onto, "b", 2))
    attached.use("a")
    attached.use(None)
    assert torch.equal(logits(onto.model), bare)
    found = {key.replace(".base_layer", ""): value for key, value in onto.model.state_dict().items()}
    fresh = torch.nn.Module()
    fresh.state_dict = lambda: found
    assert weights_digest(fresh) == digest


def test_an_adapter_is_never_rounded_to_the_bases_precision() -> None:
    onto = base(dtype=torch.bfloat16)
    attach(onto, [fitting(onto, "a", 1)])
    layer = onto.model.model.layers[0].self_attn.q_proj
    assert layer.lora_A["a0"].weight.dtype == torch.float32
    assert layer.base_layer.weight.dtype == torch.bfloat16


def test_a_half_precision_adapter_runs_in_the_bases_precision() -> None:
    onto = base(dtype=torch.float32)
    whole = fitting(onto, "a", 1)
    half = adapter("half", {id_: tuple(f.bfloat16() for f in whole.load(id_)) for id_ in whole.modules})
    attach(onto, [half])
    assert onto.model.model.layers[0].self_attn.q_proj.lora_B["a0"].weight.dtype == torch.float32


@pytest.mark.parametrize("id_", [ModuleId(7, "self_attn.q_proj"), ModuleId(None, "embed_tokens")], ids=str)
def test_a_module_the_base_does_not_have_or_that_is_no_linear_map_is_named(id_: ModuleId) -> None:
    onto = base()
    rows, columns = onto.model.get_input_embeddings().weight.shape
    foreign = adapter("a", {id_: (torch.ones(rows, 2), torch.ones(2, columns))})
    with pytest.raises(InspectorError, match=rf"does not fit a: it has no module {re.escape(str(id_))}.*--base"):
        attach(onto, [foreign])


@pytest.mark.parametrize("path", ["experts.3.gate_proj", "experts.3.gate_up_proj", "experts.gate_up_proj"])
def test_experts_in_one_parameter_are_refused_by_what_they_are(path) -> None:
    onto = replace(base(), model=qwen3_moe())
    one = adapter("a", {ModuleId(0, f"mlp.{path}"): (torch.ones(32, 2), torch.ones(2, 32))})
    with pytest.raises(
        InspectorError, match=r"a cannot run: 0\.mlp\.experts.* is of an expert that .* in one parameter"
    ):
        attach(onto, [one])


def test_a_shape_that_differs_is_named_and_nothing_is_attached() -> None:
    onto = base()
    wrong = adapter("b", {ModuleId(0, "self_attn.q_proj"): (torch.ones(64, 2), torch.ones(2, 32))})
    with pytest.raises(InspectorError, match=r"0\.self_attn\.q_proj is 32×32 in the base, 64×32 in the adapter"):
        attach(onto, [fitting(onto, "a", 1), wrong])
    assert not hasattr(onto.model.model.layers[0].self_attn.q_proj, "lora_A")


@pytest.mark.parametrize("bad", [torch.nan, -torch.inf])
@pytest.mark.parametrize("factor", [0, 1], ids=["B", "A"])
def test_an_adapter_with_one_number_that_is_none_is_refused(factor: int, bad: float) -> None:
    onto = base()
    factors = torch.ones(32, 2), torch.ones(2, 32)
    factors[factor][1, 1] = bad
    with pytest.raises(InspectorError, match=r"NaN or Inf in 0\.self_attn\.q_proj"):
        attach(onto, [adapter("a", {ModuleId(0, "self_attn.q_proj"): factors})])


def test_adapters_of_different_modules_mix() -> None:
    onto = base()
    a, b = fitting(onto, "a", 1, ("q_proj",)), fitting(onto, "b", 2, ("v_proj", "o_proj"), r=2)
    reference = logits(merged(onto, [(a, 0.25), (b, 0.75)]))
    attached = attach(onto, [a, b])
    attached.mix({"a": 0.25, "b": 0.75})
    torch.testing.assert_close(logits(onto.model), reference, rtol=1e-10, atol=1e-10)
