"""What of an update is left when it is served, against the same in float64; and `inspector survival` as it is run."""

import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from inspector.adapters.opening import open_sources
from inspector.adapters.options import ReadOptions
from inspector.base_model.attach import attach
from inspector.base_model.base import Base, base_weights
from inspector.base_model.encode import Encoded
from inspector.checking.fit import fit
from inspector.checking.precision import beside, merged, served
from inspector.checking.rounding import BY_NAME, RULES, largest_of
from inspector.checking.served_loss import losses
from inspector.common.errors import InspectorError
from inspector.study.module_id import ModuleId
from inspector.workflows.survival import survival
from tests.makers import random_factors, write_adapter

SHAPES = {f"model.layers.{n}.self_attn.{p}": (d, 64) for n in range(2) for p, d in (("q_proj", 64), ("v_proj", 32))}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=60, pad_token_id=0,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("base")
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    factors = {path: (1e-2 * B, A) for path, (B, A) in random_factors(SHAPES).items()}
    return write_adapter(tmp_path_factory.mktemp("adapters") / "small", factors, alpha=8)


def opened(source):
    return open_sources([str(source)])[0][0]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_cosine_and_strength_of_every_rule_are_those_of_whole_matrices(base, source, rule):
    adapter, weights = opened(source), base_weights(str(base))
    found = served(adapter, weights, fit(adapter, weights), RULES)[rule.name]
    before, sums = load_file(base / "model.safetensors"), torch.zeros(3, dtype=torch.float64)
    for path in SHAPES:
        id_ = ModuleId(int(path.split(".")[2]), path.split(".", 3)[3])
        B, A = adapter.load(id_)
        delta, W = 2 * B @ A, before[f"{path}.weight"]
        was = rule.rounded(W, largest_of(W))
        after = (was if rule.held else W) + delta
        done = (rule.rounded(after, largest_of(after)) - was).double()
        both = torch.stack([(done * delta).sum(), (done * done).sum(), (delta.double() ** 2).sum()])
        one = found.modules[id_]
        assert one.cosine == pytest.approx(float(both[0] / (both[1] * both[2]).sqrt()), rel=1e-4)
        assert one.strength == pytest.approx(float(both[0] / both[2]), rel=1e-4)
        sums += both
    assert found.whole.cosine == pytest.approx(float(sums[0] / (sums[1] * sums[2]).sqrt()), rel=1e-4)


def test_a_matrix_of_several_row_blocks_has_one_scale_in_fp8():
    """The largest weight stands in the last block: with a scale a block the first would be finer."""
    generator = torch.Generator().manual_seed(0)
    W, B, A = (torch.randn(shape, generator=generator) for shape in ((1500, 64), (1500, 2), (2, 64)))
    W[1400] *= 50
    rule, delta = BY_NAME["fp8"], 0.01 * B @ A
    whole = rule.rounded(W + delta, largest_of(W + delta)) - rule.rounded(W, largest_of(W))
    expected = float((whole * delta).sum() / whole.norm() / delta.norm())
    assert merged(W, B, A, 0.01, (rule,))["fp8"].cosine == pytest.approx(expected, rel=1e-4)


def test_beside_the_base_only_the_factors_round(source):
    adapter = opened(source)
    assert beside(adapter, torch.float32).whole.cosine == pytest.approx(1, abs=1e-12)
    found = beside(adapter, torch.bfloat16)
    for id_, one in found.modules.items():
        B, A = (factor.double() for factor in adapter.load(id_))
        held = B.bfloat16().double() @ A.bfloat16().double()
        apart = float(((held - B @ A).norm() / (B @ A).norm()) ** 2)
        assert one.energy_lost == pytest.approx(apart, rel=1e-6)
        assert 0.999 < one.cosine < 1


def test_losses_of_the_rounded_model_are_those_of_one_that_was_saved_so(base, source, tmp_path):
    """nf4: the base, the merge and the adapter beside it, against models made by hand; then the base is as before."""
    adapter, rule = opened(source), BY_NAME["nf4"]
    texts = [
        Encoded(tuple(torch.randint(1, 60, (9,), generator=torch.Generator().manual_seed(n)).tolist()), 5 + n)
        for n in range(3)
    ]

    def model(change):
        made = LlamaForCausalLM.from_pretrained(base).eval()
        for name, module in made.named_modules():
            if isinstance(module, torch.nn.Linear) and name != "lm_head":
                module.weight.data = change(name, module.weight.data)
        return made

    def delta(name):
        if name not in SHAPES:
            return 0
        B, A = adapter.load(ModuleId(int(name.split(".")[2]), name.split(".", 3)[3]))
        return 2 * B @ A

    def nll(made):
        total = count = 0
        for text in texts:
            with torch.inference_mode():
                logs = made(torch.tensor([text.ids])).logits[0, :-1].log_softmax(-1)
            total -= sum(float(logs[n - 1, text.ids[n]]) for n in range(text.start, len(text.ids)))
            count += text.targets
        return total / count

    rounded = lambda W: rule.rounded(W, largest_of(W))  # noqa: E731
    loaded = Base(
        LlamaForCausalLM.from_pretrained(base).eval(),
        SimpleNamespace(pad_token_id=0, eos_token_id=None),
        "b",
        "d",
        "cpu",
        "float32",
    )
    found = losses(attach(loaded, [adapter]), [adapter], [rule], texts, "p")
    one = found.served["small", "nf4"]
    assert found.base.mean == pytest.approx(nll(model(lambda _n, W: W)), rel=1e-5)
    assert found.adapters["small"].mean == pytest.approx(nll(model(lambda n, W: W + delta(n))), rel=1e-5)
    assert one.base.mean == pytest.approx(nll(model(lambda _n, W: rounded(W))), rel=1e-5)
    assert one.merged.mean == pytest.approx(nll(model(lambda n, W: rounded(W + delta(n)))), rel=1e-5)
    assert one.beside.mean == pytest.approx(nll(model(lambda n, W: rounded(W) + delta(n))), rel=1e-5)
    assert len({round(loss.mean, 6) for loss in (found.base, one.base, one.merged, one.beside)}) == 4
    assert nll(loaded.model) == pytest.approx(found.base.mean, rel=1e-5)


def test_as_it_is_run(base, source, tmp_path, capsys):
    options = ReadOptions(base_weights(str(base)))
    assert survival([str(source)], options) == 0
    said = capsys.readouterr().out
    assert all(len(line) <= 80 for line in said.splitlines())
    assert [line.split()[-5] for line in said.splitlines() if line.startswith(" merged")] == [r.name for r in RULES]
    write_adapter(tmp_path / "an adapter of another name", random_factors(SHAPES, seed=1), alpha=8)
    both = [str(source), str(tmp_path / "an adapter of another name")]
    assert survival(both, options) == 0
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines())
    assert survival(both, options, as_text=False) == 0
    report = json.loads(capsys.readouterr().out)
    assert [len(one["merged"]["nf4"]["modules"]) for one in report["adapters"]] == [4, 4]
    assert 0 < report["adapters"][0]["merged"]["nf4"]["cosine"] < report["adapters"][1]["merged"]["nf4"]["cosine"] <= 1


@pytest.mark.parametrize(
    ("more", "said"), [({"r": 2}, "small does not fit the base: of another shape"), ({}, "name it with --base")]
)
def test_what_cannot_be_measured_is_refused(base, source, tmp_path, more, said):
    options = ReadOptions(base_weights(str(base)) if more else None)
    wide = {path: (d + 8, 64) for path, (d, _) in SHAPES.items()}
    where = write_adapter(tmp_path / "small", random_factors(wide)) if more else source
    with pytest.raises(InspectorError, match=said):
        survival([str(where)], options)
