"""DPO, IPO, SimPO and KTO: their values and gradients at and off the start, worked from the model's own log-probs."""

import math

import pytest
import torch
import torch.nn.functional as F

from tests.trainer.small import Catch, close, first_step, made, nats, rollouts, tiny

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("base"))


@pytest.fixture
def file(tmp_path):
    return rollouts(tmp_path, groups=8)


def scores(trainer, count=8):
    """(log π_w, log π_l, log ref_w, log ref_l, |w|, |l|) of the first step's pairs, by plain logits."""
    found = {key: [] for key in ("w", "l", "rw", "rl", "nw", "nl")}
    inner = trainer.model
    for n in range(count):
        pair = trainer.train_dataset[n]
        for side, ids in (("w", pair["chosen_ids"]), ("l", pair["rejected_ids"])):
            whole, start = torch.tensor([pair["prompt_ids"] + ids]), len(pair["prompt_ids"])

            def log_p(whole=whole, start=start):
                logits = inner(input_ids=whole).logits[0, :-1].log_softmax(-1)
                return logits.gather(1, whole[0, 1:, None])[start - 1 :].sum()

            found[side].append(log_p())
            with torch.no_grad(), inner.disable_adapter():
                found[f"r{side}"].append(log_p())
            found[f"n{side}"].append(torch.tensor(float(len(ids))))
    return {key: torch.stack(values) for key, values in found.items()}


def gradient(trainer, value):
    named = {n: p for n, p in trainer.model.named_parameters() if p.requires_grad}
    return dict(zip(named, torch.autograd.grad(value, named.values()), strict=True))


def run(trainer):
    catch = Catch()
    trainer.add_callback(catch)
    trainer.train()
    return catch


def test_dpo_at_the_start(base, file, tmp_path):
    """B = 0: ln 2 with both log-ratios 0, and gradient −(β/2)·mean(∇log π_w − ∇log π_l)."""
    trainer = made(base, "dpo", file, tmp_path, shift=0.0, beta=0.1)
    s = scores(trainer)
    wanted = gradient(trainer, -(0.1 / 2) * (s["w"] - s["l"]).mean())
    caught = run(trainer)
    assert caught.loss == nats(math.log(2))
    assert caught.logs["rewards/chosen"] == nats(0)
    assert caught.logs["rewards/rejected"] == nats(0)
    assert close(wanted, caught.gradient)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("dpo", lambda s: -F.logsigmoid(0.1 * ((s["w"] - s["rw"]) - (s["l"] - s["rl"])))),
        ("ipo", lambda s: ((s["w"] - s["rw"]) / s["nw"] - (s["l"] - s["rl"]) / s["nl"] - 1 / 0.2) ** 2),
        ("ipo-sum", lambda s: ((s["w"] - s["rw"]) - (s["l"] - s["rl"]) - 1 / 0.2) ** 2),
        ("simpo", lambda s: -F.logsigmoid(2 * s["w"] / s["nw"] - 2 * s["l"] / s["nl"] - 1)),
    ],
)
def test_the_published_formula_off_the_start(base, file, tmp_path, name, formula):
    name, _, variant = name.partition("-")
    trainer = made(base, name, file, tmp_path, shift=0.3, variant=variant)
    value = formula(scores(trainer)).mean()
    wanted = gradient(trainer, value)
    caught = run(trainer)
    assert caught.loss == nats(value.item())
    assert close(wanted, caught.gradient)
    assert {"rewards/margins", "rewards/accuracies", "num_tokens"} <= caught.logs.keys()
    if variant == "sum":
        s = scores(made(base, name, file, tmp_path, shift=0.3, variant=variant))
        apart = (s["w"] - s["rw"]) - (s["l"] - s["rl"])
        assert caught.logs["rewards/margins"] == pytest.approx(0.1 * apart.mean().item(), rel=1e-3)
        assert caught.logs["rewards/accuracies"] == pytest.approx((apart > 0).float().mean().item())


@pytest.mark.parametrize("name", ["dpo", "ipo", "ipo-sum", "simpo"])
@pytest.mark.parametrize("micro", [1, 2])
def test_a_step_does_not_depend_on_how_it_is_cut(base, file, tmp_path, name, micro):
    name, _, variant = name.partition("-")
    whole = first_step(base, name, file, tmp_path, variant=variant)
    cut = first_step(base, name, file, tmp_path, micro_batch=micro, variant=variant)
    assert cut[0] == nats(whole[0])
    assert close(whole[1], cut[1])


def test_the_reference_is_scored_once_a_pair(base, file, tmp_path):
    """32 draws of 8 pairs, and the model saw 8."""
    trainer = made(base, "dpo", file, tmp_path, steps=4)
    assert len(trainer.train_dataset) == 32
    by_ids = {}
    for row in trainer.train_dataset:
        by_ids.setdefault(tuple(row["chosen_ids"]), set()).add(row["ref_chosen_logps"])
    assert all(len(values) == 1 for values in by_ids.values())


def test_kto(base, file, tmp_path):
    """z is the KL of the turned completions, here of one micro-batch of eight, and never below 0."""
    trainer = made(base, "kto", file, tmp_path, shift=0.3, beta=0.1)
    rows = [trainer.train_dataset[n] for n in range(8)]

    def log_p(row, ids):
        whole, start = torch.tensor([row["prompt_ids"] + ids]), len(row["prompt_ids"])
        logits = trainer.model(input_ids=whole).logits[0, :-1].log_softmax(-1)
        return logits.gather(1, whole[0, 1:, None])[start - 1 :].sum()

    def ratio(row, ids):
        with torch.no_grad(), trainer.model.disable_adapter():
            reference = log_p(row, ids)
        return log_p(row, ids) - reference

    z = torch.stack([ratio(row, row["KL_completion_ids"]) for row in rows]).mean().detach().clamp(min=0)
    losses = [
        1 - torch.sigmoid(0.1 * (ratio(row, row["completion_ids"]) - z) * (1 if row["label"] else -1)) for row in rows
    ]
    value = torch.stack(losses).mean()
    wanted = gradient(trainer, value)
    caught = run(trainer)
    assert caught.loss == nats(value.item())
    assert close(wanted, caught.gradient)


def test_no_second_adapter_in_what_is_saved(base, file, tmp_path):
    assert list(made(base, "dpo", file, tmp_path).model.peft_config) == ["default"]
