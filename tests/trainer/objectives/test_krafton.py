"""KRAFTON's lines as they are trained: whole steps by hand, from the model's own logits, and however they are cut."""

import pytest
import torch

from tests.trainer.small import Catch, close, first_step, made, nats, rollouts, tiny

pytestmark = pytest.mark.filterwarnings("ignore")
LENGTH = 40


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("base"))


def by_hand(trainer, policy, eta):
    """Mean over the step's rows of [policy(π, Â, |o|) + κ/|o| Σ k3 − η/|o| Σ H], and its gradient."""
    inner, kappa, total = trainer.model, trainer._objective.kl, 0.0
    for n in range(8):
        row = trainer.train_dataset[n]
        ids, start = torch.tensor([row["input_ids"]]), sum(label == -100 for label in row["labels"])

        def logits(ids=ids, start=start):
            return inner(input_ids=ids).logits[0, start - 1 : -1].double().log_softmax(-1)

        every = logits()
        with torch.no_grad(), inner.disable_adapter():
            reference = logits()
        target = ids[0, start:, None]
        p, delta = every.gather(1, target)[:, 0].exp(), (reference - every).gather(1, target)[:, 0]
        entropy = -(every.exp() * every).sum(-1)
        penalty = kappa * (delta.exp() - delta - 1).mean() - eta * entropy.mean()
        total = total + (policy(p, row["weight"]) + penalty) / 8
    named = {n: p for n, p in inner.named_parameters() if p.requires_grad}
    return total.item(), dict(zip(named, torch.autograd.grad(total, named.values()), strict=True))


@pytest.mark.parametrize(
    ("settings", "policy", "eta"),
    [
        (
            {"variant": "krafton-post", "clip_low": 0.999},
            lambda p, a: -torch.minimum(p * a, p.clamp(min=0.001) * a).mean(),
            0.0,
        ),
        (
            {"variant": "krafton-code", "response_length": LENGTH, "entropy": 0.3},
            lambda p, a: -(p * a).sum() / LENGTH,
            0.3,
        ),
    ],
)
def test_a_step_by_hand_and_in_parts(base, tmp_path, settings, policy, eta):
    """ε of .999, as a random model is sure of nothing: its tokens have probabilities on both sides of .001."""
    file = rollouts(tmp_path)
    how = {"shift": 0.5, "kl": 0.5, **settings}
    trainer, catch = made(base, "offline-grpo", file, tmp_path, **how), Catch()
    loss, gradient = by_hand(trainer, policy, eta)
    trainer.add_callback(catch)
    trainer.train()
    assert catch.loss == nats(loss)
    assert close(gradient, catch.gradient, 2e-5)
    parts = first_step(base, "offline-grpo", file, tmp_path, micro_batch=2, **how)
    assert parts[0] == nats(catch.loss)
    assert close(catch.gradient, parts[1])
