"""What goes wrong in a training is caught by its kind, and what is healthy raises nothing."""

import math
from dataclasses import replace

import pytest

from inspector.trajectory.alarms import KINDS, alarms
from inspector.trajectory.measure import Meter
from inspector.trajectory.runs import Scanner
from inspector.trajectory.weights_log import Header, Record, WeightsLog, parse
from tests.trajectory.live import At, attached, base, layers, train

pytestmark = pytest.mark.filterwarnings("ignore")
ALL = tuple(KINDS)


def found(folder):
    """(kind, step) of all alarms, by what the callback recorded."""
    return [(a.kind, a.step) for a in alarms(parse((folder / "weights.jsonl").read_text()), ALL)]


def of_checkpoints(folder):
    """The same by the plain checkpoints of the folder."""
    (folder / "weights.jsonl").unlink()
    (curve,) = Meter().update(Scanner(folder).scan(0)).curves
    return [(a.kind, a.step) for a in alarms(curve.history, ALL)] if curve.history else []


def some(model, n=3):
    return list(layers(model).values())[:n]


def poison(model):
    some(model, 1)[0].lora_B["default"].weight.data[0, 0] = math.nan


def spike(model):
    weight = list(layers(model).values())[3].lora_B["default"].weight.data
    weight[:, 0] += 8 * weight.norm() / weight.shape[0] ** 0.5


def freeze(model):
    for layer in some(model):
        layer.requires_grad_(requires_grad=False)
    return model


def zero(model):
    for layer in layers(model).values():
        layer.lora_B["default"].weight.data.zero_()


@pytest.mark.parametrize(
    ("expected", "inject", "more"),
    [
        ([("nan", 6)], At(poison, {6}), {}),
        ([("spike", 8)], At(spike, {8}), {}),
        ([("collapse", 2)], None, {"learning_rate": 1.0}),
        ([("collapse", 2)], None, {"learning_rate": 0.1}),
        ([("dead", 12)], At(freeze, {6}), {}),
        ([("dead", 12)], At(zero), {}),
    ],
    ids=["NaN", "spike", "far too high a rate", "too high a rate", "frozen half", "B stays 0"],
)
def test_failures_are_caught(tmp_path, expected, inject, more):
    train(tmp_path, None, *([inject] if inject else []), save_strategy="steps", save_steps=2, **more)
    assert found(tmp_path) == expected
    if expected[0][0] != "collapse":  # which is told by the base's weights
        assert of_checkpoints(tmp_path) == expected


def test_a_half_that_was_frozen_from_the_start(tmp_path):
    train(tmp_path, freeze(attached()))
    assert found(tmp_path) == [("dead", 12)]


@pytest.mark.parametrize("attach", [False, True])
def test_an_adapter_that_is_not_attached(tmp_path, attach):
    """None is there, or it is and switched off."""
    model = attached() if attach else base()
    for layer in layers(model).values():
        layer.enable_adapters(enabled=False)
    model.requires_grad_(requires_grad=True)
    train(tmp_path, model)
    assert found(tmp_path) == [("dead", 12 if attach else 0)]


HEALTHY = [
    ({}, {}),
    ({"r": 2}, {}),
    ({"r": 16, "lora_alpha": 16}, {}),
    ({"r": 32, "use_rslora": True}, {}),
    ({"use_dora": True}, {}),
    ({"init_lora_weights": "pissa"}, {}),
    ({"init_lora_weights": "olora"}, {}),
    ({"init_lora_weights": "gaussian"}, {}),
    ({"lora_dropout": 0.2}, {}),
    ({"target_modules": "all-linear"}, {}),
    ({"modules_to_save": ["lm_head"]}, {}),
    ({}, {"learning_rate": 1e-5}),
    ({}, {"learning_rate": 3e-3}),
    ({}, {"lr_scheduler_type": "cosine", "warmup_steps": 10}),
    ({}, {"lr_scheduler_type": "cosine_with_restarts", "lr_scheduler_kwargs": {"num_cycles": 3}}),
    ({}, {"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 20}),
    ({}, {"optim": "sgd", "learning_rate": 0.1}),
    ({}, {"optim": "adafactor"}),
    ({}, {"weight_decay": 0.1, "max_grad_norm": 0.1}),
    ({}, {"gradient_accumulation_steps": 3, "per_device_train_batch_size": 1}),
]


@pytest.mark.slow
@pytest.mark.parametrize("n", range(len(HEALTHY)))
def test_healthy_runs_raise_nothing(tmp_path, n):
    config, more = HEALTHY[n]
    train(
        tmp_path,
        attached(n, **config),
        seed=n,
        every=4,
        save_strategy="steps",
        save_steps=8,
        **({"max_steps": 60} | more),
    )
    assert found(tmp_path) == []
    assert of_checkpoints(tmp_path) == []


def log(*records, base_norm=(10.0, 10.0), losses=()):
    made = (
        Record(10 * n, math.hypot(*sigma), rank, learning_rate=1.0, module_norm=sigma, module_sigma1=sigma)
        for n, (sigma, rank) in enumerate(records)
    )
    return WeightsLog(Header(modules=("a", "b"), base_norm=base_norm), tuple(made), losses)


def kinds(found, asked=ALL):
    return [str(alarm) for alarm in alarms(found, asked)]


def test_a_spike_is_judged_against_what_the_module_grew_before():
    grows = [((n, 1.0 * n), 4.0) for n in range(4)]
    assert kinds(log(*grows, ((4.0, 9.0), 4.0)), ["spike"])[0].startswith("spike at step 40: σ₁ of b went from 3 to 9")
    assert kinds(log(*grows, ((4.0, 7.5), 4.0)), ["spike"]) == []  # 4.5 times what it grew before
    assert kinds(log(*grows[:2], ((2.0, 9.0), 4.0)), ["spike"]) == []  # of one interval nothing is known yet
    small = [((10.0 + n / 10, 10.0 + n / 10), 4.0) for n in range(4)]
    assert kinds(log(*small, ((10.4, 12.0), 4.0)), ["spike"]) == []  # a fifth more of what there was


def test_a_rate_that_rises_is_no_spike():
    found = log(*[((1.0 * n, 1.0 * n), 4.0) for n in range(4)], ((13.0, 13.0), 4.0))
    fast = replace(found.records[-1], learning_rate=10.0)
    assert kinds(replace(found, records=(*found.records[:-1], fast)), ["spike"]) == []


def test_collapse_by_rank_and_by_the_base():
    told = kinds(log(((0.0, 0.0), math.nan), ((1.0, 1.0), 6.0), ((2.0, 2.0), 2.9)))
    assert told == ["collapse at step 20: the effective rank fell to 2.9 from 6.0 at step 10."]
    assert kinds(log(((1.0, 1.0), 6.0), ((2.0, 2.0), 3.1))) == []
    (told,) = kinds(log(((1.0, 1.0), 6.0), ((1.1, 6.0), 6.0)))
    assert told.startswith("collapse at step 10: ‖ΔW‖ of a module reached 0.6 times")
    assert kinds(log(((1.0, 1.0), 6.0), ((1.1, 6.0), 6.0), base_norm=(math.nan, math.nan))) == []


def test_dead_needs_a_rate_and_two_still_intervals():
    moves = [((1.0 + n, 1.0 + n), 4.0) for n in range(4)]
    still = tuple(replace(record, still=(1,)) for record in log(*moves).records)
    whole = replace(log(*moves), records=still)
    assert kinds(whole) == ["dead at step 30: nothing has moved lately in 1 of 2 modules (b)."]
    assert kinds(replace(whole, records=(*still[:2], replace(still[2], still=()), still[3]))) == []
    resting = tuple(replace(record, learning_rate=0.0) for record in still)
    assert kinds(replace(whole, records=resting)) == []
    assert kinds(log(((0.0, 0.0), math.nan))) == []  # at step 0
    assert kinds(log(((0.0, 0.0), 4.0), ((1.0, 0.0), 4.0))) == ["dead at step 10: ΔW is still 0 in 1 of 2 modules (b)."]


def test_a_loss_that_is_not_finite():
    assert kinds(log(((1.0, 1.0), 4.0), losses=((5, math.nan),))) == ["nan at step 5: the loss is not finite."]
