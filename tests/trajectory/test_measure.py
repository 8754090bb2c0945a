"""The numbers over steps against closed forms and dense float64, each measured once."""

import math
import time

import numpy as np
import pytest
import torch

from inspector.common.errors import CancelledError, InspectorError
from inspector.trajectory import measure
from inspector.trajectory.measure import Meter
from inspector.trajectory.result import rows
from inspector.trajectory.runs import Scanner
from tests.trajectory.training import SCALE, begin, damage, drift, land, trained

CLOSE = 1e-9


def dense(step, seed=0):
    """ΔW of every module, float64."""
    return [SCALE * (B.double() @ A.double()).numpy() for B, A in drift(step, seed).values()]


def norm(update):
    return np.sqrt(sum((W**2).sum() for W in update))


def cosine(one, other):
    return sum((a * b).sum() for a, b in zip(one, other, strict=True)) / (norm(one) * norm(other))


def rank(update):
    found = []
    for W in update:
        p = np.linalg.svd(W, compute_uv=False)[:4]
        p = p / p.sum()
        found.append(np.exp(-(p * np.log(p)).sum()))
    return np.mean(found)


def measured(root, against="", meter=None, **more):
    return (meter or Meter()).update(Scanner(root).scan(time.time()), against, **more)


@pytest.fixture
def groups(monkeypatch):
    """The checkpoints that went through the analysis, group by group."""
    seen, real = [], measure.analyse

    def spy(adapters, settings):
        seen.append([adapter.info.name for adapter in adapters])
        return real(adapters, settings)

    monkeypatch.setattr(measure, "analyse", spy)
    return seen


def test_dense_oracle(tmp_path):
    trained(tmp_path / "a", 10, 20, 30, seed=1)
    trained(tmp_path / "b", 20, 40, seed=2)
    a, b = measured(tmp_path, "b").curves
    for curve, seed, last in ((a, 1, 30), (b, 2, 40)):
        for point in curve.points:
            update = dense(point.step, seed)
            assert point.norm == pytest.approx(norm(update), rel=CLOSE)
            assert point.effective_rank == pytest.approx(rank(update), rel=CLOSE)
            assert point.cosine_final == pytest.approx(cosine(update, dense(last, seed)), abs=CLOSE)
            assert point.cosine_other_final == pytest.approx(cosine(update, dense(40, 2)), abs=CLOSE)
    same = {point.step: point.cosine_other_step for point in a.points}
    assert math.isnan(same[10])
    assert math.isnan(same[30])
    assert same[20] == pytest.approx(cosine(dense(20, 1), dense(20, 2)), abs=CLOSE)


def test_closed_forms(tmp_path):
    """B·t moves straight: norms as t, cosines 1; the opposite way −1; a zero update has no direction."""
    unit = drift(10)
    for name, sign in (("there", 1), ("back", -1)):
        run = begin(tmp_path / name)
        for step in (0, 1, 2, 4):
            land(run, step, {path: (sign * step * B, A) for path, (B, A) in unit.items()})
    back, there = measured(tmp_path, "there").curves
    first = there.points[1].norm
    assert [point.norm for point in there.points] == pytest.approx([0, first, 2 * first, 4 * first], rel=CLOSE)
    assert [point.cosine_final for point in there.points[1:]] == pytest.approx([1, 1, 1], abs=CLOSE)
    assert [point.cosine_other_final for point in back.points[1:]] == pytest.approx([-1, -1, -1], abs=CLOSE)
    assert [point.cosine_other_step for point in back.points[1:]] == pytest.approx([-1, -1, -1], abs=CLOSE)
    assert len({round(point.effective_rank, 9) for point in there.points[1:]}) == 1
    zero = back.points[0]
    assert zero.norm == 0
    assert all(math.isnan(getattr(zero, name)) for name in ("effective_rank", "cosine_final", "cosine_other_final"))


def test_orthogonal_runs(tmp_path):
    """Outputs in different halves of the space: cosine 0."""
    for name, half in (("a", slice(0, None, 2)), ("b", slice(1, None, 2))):
        factors = {}
        for path, (B, A) in drift(10).items():
            factors[path] = (B.clone(), A)
            factors[path][0][half] = 0
        land(begin(tmp_path / name), 10, factors)
    a, _ = measured(tmp_path, "b").curves
    assert a.points[0].cosine_other_final == pytest.approx(0, abs=1e-12)


def test_only_what_is_new_is_measured(tmp_path, groups):
    run, meter = trained(tmp_path / "a", 10, 20, 30), Meter()
    trained(tmp_path / "b", 10, 20, 30, seed=1)
    before = measured(tmp_path, meter=meter)
    assert sorted(map(sorted, groups)) == [["a@10", "a@20", "a@30"], ["b@10", "b@20", "b@30"]]
    groups.clear()
    assert measured(tmp_path, meter=meter) == before
    assert groups == []
    land(run, 40)
    after = measured(tmp_path, meter=meter)
    assert [sorted(group) for group in groups] == [["a@10", "a@20", "a@30", "a@40"]]
    assert after.curves[1] == before.curves[1]
    assert [p.cosine_final for p in after.curves[0].points] == pytest.approx(
        [cosine(dense(step), dense(40)) for step in (10, 20, 30, 40)], abs=CLOSE
    )


def test_many_checkpoints_go_in_groups(tmp_path, groups):
    trained(tmp_path / "a", *range(1, 31))
    counts = []
    found = measured(tmp_path, partial=lambda _so_far, missing: counts.append(missing))
    assert counts[0] == 29 + 30
    assert counts == sorted(counts, reverse=True)
    assert all(len(group) <= 10 for group in groups)
    assert [p.cosine_final for p in found.curves[0].points] == pytest.approx(
        [cosine(dense(step), dense(30)) for step in range(1, 31)], abs=CLOSE
    )


def test_a_damaged_checkpoint_is_left_out_with_a_word_until_it_is_whole(tmp_path):
    run, meter = trained(tmp_path / "a", 10, 20, 30), Meter()
    whole = (run / ".checkpoints" / "checkpoint-30" / "adapter_model.safetensors").read_bytes()
    damage(run / ".checkpoints" / "checkpoint-30")
    found = measured(tmp_path, meter=meter)
    assert [point.step for point in found.curves[0].points] == [10, 20]
    assert found.curves[0].points[0].cosine_final == pytest.approx(cosine(dense(10), dense(20)), abs=CLOSE)
    (note,) = found.notes
    assert note.startswith("a step 30: ")
    assert "cut off" in note
    (run / ".checkpoints" / "checkpoint-30" / "adapter_model.safetensors").write_bytes(whole)
    found = measured(tmp_path, meter=meter)
    assert ([point.step for point in found.curves[0].points], found.notes) == ([10, 20, 30], ())


def test_a_checkpoint_that_vanishes_while_it_is_read(tmp_path, monkeypatch):
    trained(tmp_path / "a", 10, 20)
    real = measure.analyse

    def analyse(adapters, settings):
        (tmp_path / "a" / ".checkpoints" / "checkpoint-20" / "adapter_model.safetensors").unlink(missing_ok=True)
        return real(adapters, settings)

    monkeypatch.setattr(measure, "analyse", analyse)
    found = measured(tmp_path)
    assert [point.step for point in found.curves[0].points] == [10]
    assert len(found.notes) == 1


def test_a_checkpoint_that_cannot_be_analysed_leaves_the_others(tmp_path, monkeypatch):
    trained(tmp_path / "a", 10, 20, 30)
    real = measure.analyse

    def analyse(adapters, settings):
        if any(adapter.info.name == "a@20" for adapter in adapters):
            raise InspectorError("It is odd.")
        return real(adapters, settings)

    monkeypatch.setattr(measure, "analyse", analyse)
    found = measured(tmp_path)
    assert [point.step for point in found.curves[0].points] == [10, 30]
    assert found.notes == ("a step 20: It is odd.",)
    assert found.curves[0].points[0].cosine_final == pytest.approx(cosine(dense(10), dense(30)), abs=CLOSE)


def test_not_a_number_is_said(tmp_path):
    factors = {path: (B.clone(), A) for path, (B, A) in drift(20).items()}
    next(iter(factors.values()))[0][0, 0] = torch.nan
    land(trained(tmp_path / "a", 10), 20, factors)
    found = measured(tmp_path)
    assert found.notes == ("a step 20: NaN or Inf in 1 module, left out",)
    assert math.isfinite(found.curves[0].points[1].norm)


def test_rows_are_tidy(tmp_path):
    trained(tmp_path / "a", 10, 20)
    trained(tmp_path / "b", 20)
    found = list(rows(measured(tmp_path, "b")))
    assert [(r.run, r.step, r.metric, r.against, r.against_step) for r in found if "other" in r.metric] == [
        ("a", 10, "cosine_other_final", "b", 20),
        ("a", 20, "cosine_other_final", "b", 20),
        ("a", 20, "cosine_other_step", "b", 20),
    ]
    assert sum(row.metric == "loss" for row in found) == 40
    assert {row.against_step for row in found if row.metric == "cosine_final" and row.run == "a"} == {20}


def test_cancelled(tmp_path):
    trained(tmp_path / "a", 10)
    with pytest.raises(CancelledError):
        measured(tmp_path, cancelled=lambda: True)
