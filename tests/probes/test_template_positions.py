"""Positions of the template are not data: lens depth and pooled CKA of a run against the obvious."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from inspector.adapters.opening import open_sources
from inspector.analysis.analyse import analyse
from inspector.base_model import hidden
from inspector.base_model.encode import prompts
from inspector.probes.request import Request
from inspector.probes.runner import Prober
from inspector.study.study import Settings
from tests.base_model.tiny_model import saved_adapter, saved_base
from tests.probes.test_cka import textbook_plain

REQUEST = Request(("cka", "lens"), prompts="arithmetic", limit=6, batch=4)


@pytest.fixture
def opened(tmp_path):
    base = saved_base(tmp_path / "base")
    sources = [f"{name}={saved_adapter(tmp_path / name, seed, base=str(base))}" for seed, name in enumerate("ab")]
    adapters, failures = open_sources(sources)
    assert not failures
    return adapters, analyse(adapters, Settings())


def run(opened, **changes):
    """(study, the base with adapters on it, token ids of the prompts, tokens all begin with, tokens all end with)."""
    adapters, study = opened
    prober, request = Prober(), replace(REQUEST, **changes)
    found = prober.run(adapters, study, request)
    attached = prober._loaded[1]
    ids = [e.ids for e in prompts(attached.base.tokenizer, request.checked(adapters).problems("cka"))]
    start = next(n for n in range(99) if len({i[n] for i in ids}) > 1)
    end = next(n for n in range(99) if len({i[-1 - n] for i in ids}) > 1)
    assert start > 3
    assert end > 3
    return found, attached, ids, start, end


def states(attached, name, ids):
    """(L+1, length, d) of one prompt alone, the last before the final norm."""
    attached.use(name)
    with torch.inference_mode(), hidden._captured(attached.base.model) as found:
        attached.base.model.base_model(input_ids=torch.tensor([ids]))
    return torch.stack([h[0] for h in found])


def depths(attached, h):
    """(length,) by the definition, every layer unembedded."""
    model = attached.base.model
    tops = model.get_output_embeddings()(hidden.final_norm(model)(h)).argmax(-1)
    own = [next(n for n in range(len(t)) if bool((t[n:] == t[-1]).all())) for t in tops.T]
    return np.array(own)


def test_lens_depth_is_of_own_positions_and_of_the_last(opened):
    found, attached, ids, start, end = run(opened)
    for name, at in ((None, ()), ("a", (0,)), ("b", (1,))):
        each = [depths(attached, states(attached, name, prompt)) for prompt in ids]
        own = np.concatenate([d[start : len(d) - end] for d in each])
        suffix = "_base" if name is None else ""
        assert found.block(f"lens_depth{suffix}", "global")[at] == pytest.approx(own.mean(), abs=1e-12)
        last = np.mean([d[-1] for d in each])
        assert found.block(f"lens_depth_last{suffix}", "global")[at] == pytest.approx(last, abs=1e-12)
        assert own.mean() != pytest.approx(np.concatenate(each).mean(), abs=1e-6), "or nothing would be shown"


@pytest.mark.parametrize("pooling", ["mean", "all"])
def test_pooled_rows_leave_the_template_out(opened, pooling):
    found, attached, ids, start, end = run(opened, pooling=pooling)
    sides = []
    for name in "ab":
        own = [states(attached, name, prompt)[2, start : len(prompt) - end].double() for prompt in ids]
        sides.append(torch.cat(own).numpy() if pooling == "all" else torch.stack([h.mean(0) for h in own]).numpy())
    assert found.block("cka", "layer")[0, 1, 1] == pytest.approx(textbook_plain(*sides), abs=1e-5)
    info = found.probe("cka")
    assert f"pooling: {pooling} without the first {start} tokens and the last {end} tokens" in info.detail
    rows = sum(len(prompt) - start - end for prompt in ids) if pooling == "all" else 6
    assert f" of {rows} rows distinct" in info.detail


def test_how_many_rows_and_positions_are_distinct_is_reported(opened):
    found, _, ids, start, end = run(opened)
    assert found.probe("cka").detail == "pooling: last; 6 of 6 rows distinct"
    own = sum(len(prompt) - start - end for prompt in ids)
    known = {prompt[: n + 1] for prompt in ids for n in range(start, len(prompt) - end)}
    assert found.probe("lens").detail.endswith(f"; {len(known)} of {own} positions distinct")


def test_the_null_is_of_each_pair_and_layer(opened):
    found = run(opened, pooling="mean")[0]
    mean, sd = (found.block(f"cka_null{part}", "layer")[0, 1] for part in ("", "_sd"))
    assert len(set(mean)) == len(set(sd)) == 2, "another at every layer"
    assert ((mean > 0) & (mean < 1) & (sd > 0) & (sd < 0.5)).all()
    assert found.block("cka_debiased_null_sd", "layer")[1, 0] == pytest.approx((2 / (6 * 3)) ** 0.5)
    assert found.block("cka_debiased_null", "layer")[1, 0] == pytest.approx(0, abs=1e-12)
    assert found.block("cka_null_sd", "global")[0, 1, 0] == pytest.approx(sd.mean())
