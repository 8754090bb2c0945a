"""What the weighted trainer adds up and logs, and rows laid end to end, in numbers."""

# ruff: noqa: E501 - a case a line

import math
from types import SimpleNamespace

import pytest
import torch
from trl.trainer.sft_trainer import SFTTrainer

from inspector.common.errors import InspectorError
from trainer.methods.weighted import Rift, Sft
from trainer.objectives.weighted import _SUMS, Collator, WeightedTrainer

LOG_P = torch.tensor([[-1.0, -2.0, -3.0], [-4.0, -5.0, -6.0], [-7.0, -8.0, -9.0]])
MASK = torch.tensor([[True, True, False], [False, True, True], [False, False, False]])


def watched(objective, *weights):
    """The sums after batches of these weights."""
    told = SimpleNamespace(_sums=torch.zeros(len(_SUMS), dtype=torch.float64), _objective=objective)
    for weight in weights:
        WeightedTrainer._watch(told, LOG_P, MASK, torch.tensor(weight), 10)
    return dict(zip(_SUMS, told._sums.tolist(), strict=True))


def test_what_is_added_up():
    """ℓ and tokens of rows of either sign; rows without a target, or of weight 0, on neither side."""
    once = watched(Sft(), [0.5, -0.25, -1.0])
    assert once == {"up": 3, "up_tokens": 2, "down": 11, "down_tokens": 2, "negatives": 1, "vanished": 0, "tokens": 10}
    twice = watched(Rift(), [0.0, -0.25, 1.0], [-1.0, -1.0, -1.0])
    assert twice == {"up": 0, "up_tokens": 0, "down": 25, "down_tokens": 6, "negatives": 3, "vanished": 0, "tokens": 20}
    deep = SimpleNamespace(_sums=torch.zeros(len(_SUMS), dtype=torch.float64), _objective=Rift(probability="sequence"))
    WeightedTrainer._watch(deep, 20 * LOG_P, MASK, torch.tensor([-1.0, -1.0, -1.0]), 7)
    assert dict(zip(_SUMS, deep._sums.tolist(), strict=True))["vanished"] == 1
    assert deep._sums[-1] == 7


@pytest.mark.parametrize(
    ("sums", "counts", "logged"),
    [
        ((6.0, 4, 10.0, 5, 3, 2, 20), True, {"tokens": 20, "nll_up": 1.5, "nll_down": 2, "negatives": 3, "vanished": 2, "runaway": 0}),
        ((6.0, 4, 0.0, 0, 0, 0, 20), False, {"tokens": 20, "nll_up": 1.5}),
        ((0.0, 0, 10.0, 5, 3, 2, 0), False, {"nll_down": 2, "runaway": 0}),
        ((0.0,) * 7, True, {"negatives": 0, "vanished": 0}),
    ],
)  # fmt: skip
def test_what_is_logged(sums, counts, logged, monkeypatch):
    monkeypatch.setattr(SFTTrainer, "log", lambda _self, logs, _start=None: kept.update(logs))
    kept = {}
    made = WeightedTrainer.__new__(WeightedTrainer)
    made._sums, made._counts_vanished, made._first, made.warned = (
        torch.tensor(sums, dtype=torch.float64),
        counts,
        None,
        "",
    )
    made.accelerator = SimpleNamespace(reduce=lambda found, _how: found, device="cpu", is_main_process=True)
    made.log({"loss": 1.0})
    assert kept == {"loss": 1.0} | logged
    assert not made._sums.any()


def test_a_runaway_is_beyond_three_nats(capsys):
    made = WeightedTrainer.__new__(WeightedTrainer)
    made._first, made.warned, made.state = None, "", SimpleNamespace(global_step=5)
    made.accelerator = SimpleNamespace(is_main_process=True)
    said = []
    for now in (2.0, 1.0, 5.0, 5.01, 9.0, 2.0):
        logs = {"nll_down": now}
        made._warn(logs)
        said.append(logs["runaway"])
    assert said == [0, 0, 0, 1, 1, 0]
    assert capsys.readouterr().err.count("Step 5: the rows of negative weight went from 2.00 to 5.01 nats") == 1
    made._warn(logs := {"loss": 1.0})
    assert logs == {"loss": 1.0}
    made.warned, made.accelerator.is_main_process = "", False
    made._warn({"nll_down": 9.0})
    assert made.warned
    assert capsys.readouterr().err == ""


class Model:
    """Answers what is given with log-probs of its own; the reference is 1 nat below."""

    training = True

    def __call__(self, *, use_cache, fused_lm_head, **given):
        assert (use_cache, fused_lm_head, set(given)) == (False, True, {"input_ids"})
        entropy = torch.full_like(LOG_P, 0.5).masked_fill(~MASK, 0)
        return SimpleNamespace(log_probs=LOG_P, label_mask=MASK, entropy=entropy)


NLL = 0.5 * (1 + 2) - 0.25 * (5 + 6)
K3 = math.exp(-1)  # of δ = −1: exp(δ) − δ − 1
MEANS = 0.5 * (1 + 2) / 2 - 0.25 * (5 + 6) / 2


@pytest.mark.parametrize(
    ("numbers", "items", "processes", "loss"),
    [
        ({}, None, 1, NLL / 4),
        ({}, 10, 1, NLL / 10),
        ({}, 10, 4, 4 * NLL / 10),
        ({"kl": 2.0}, 10, 1, (NLL + 2 * 4 * K3) / 10),
        ({"entropy": 0.25}, 10, 1, (NLL - 0.25 * 4 * 0.5) / 10),
        ({"reduction": "completion-mean"}, None, 4, MEANS / 3),
        ({"reduction": "completion-mean"}, 10, 4, 4 * MEANS / (8 * 4)),
    ],
)
def test_the_loss_of_a_pass(numbers, items, processes, loss):
    """Over all tokens, or rows, of the step on all processes, whose mean DDP takes."""
    made = WeightedTrainer.__new__(WeightedTrainer)
    made._objective = type("Made", (Sft,), {"__doc__": "f", **numbers})()
    made.accelerator = SimpleNamespace(num_processes=processes)
    made.args, made.model = SimpleNamespace(per_device_train_batch_size=8), Model()
    made._reference = lambda given: LOG_P - 1
    made._sums, made._counts_vanished = torch.zeros(len(_SUMS), dtype=torch.float64), False
    inputs = {"input_ids": "ids", "weight": torch.tensor([0.5, -0.25, 1.0]), "lengths": [3, 3, 2]}
    found, outputs = made.compute_loss(made.model, inputs, return_outputs=True, num_items_in_batch=items)
    assert found.item() == pytest.approx(loss, rel=1e-6)
    assert outputs.log_probs is LOG_P
    assert made._sums.tolist() == [3, 2, 11, 2, 1, 0, 8]
    made.model.training = False
    assert made.compute_loss(made.model, inputs, num_items_in_batch=items).item() == found.item()
    assert made._sums[-1] == 8, "nothing is counted of what is not trained"


def test_a_loss_must_be_one_of_every_token():
    made = WeightedTrainer.__new__(WeightedTrainer)
    made._objective = SimpleNamespace(name="mine", loss=lambda log_p, _mask, _weight: log_p.sum(1))
    with pytest.raises(
        InspectorError, match=r"^mine: its loss is of shape \(3,\), and must be \(rows, tokens\), \(3, 3\)"
    ):
        made.compute_loss(Model(), {"input_ids": "ids", "weight": None, "lengths": [3, 3, 2]})


def test_a_batch_has_the_weight_of_each_row():
    collate = Collator(pad_token_id=0)
    found = collate(
        [
            {"input_ids": [1, 2, 3], "labels": [-100, 2, 3], "weight": 0.5},
            {"input_ids": [4], "labels": [4], "weight": -2},
        ]
    )
    assert found["weight"].tolist() == [0.5, -2]
    assert found["weight"].dtype == torch.float32
    assert found["input_ids"].shape[0] == 2
    assert math.isclose(float(found["weight"].sum()), -1.5)
