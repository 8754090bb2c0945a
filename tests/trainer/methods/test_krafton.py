"""KRAFTON's two lines, each against its own text written out in float64."""

import math
import statistics

import pytest
import torch

from tests.trainer.methods.graded import Graded
from trainer.methods.krafton import KraftonCode, KraftonPost

REWARDS, GROUPS = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0], ["a", "a", "a", "b", "b", "c", "c", "d"]
ROWS, TOKENS = 3, 5


@pytest.fixture
def free():
    """(logits, function to log π of fixed labels, mask): rows of 5, 3 and 1 completion tokens, some of them sure."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(ROWS, TOKENS, 7, dtype=torch.float64, generator=generator)
    labels = torch.randint(7, (ROWS, TOKENS, 1), generator=generator)
    logits[:, 3:].scatter_add_(2, labels[:, 3:], torch.full((ROWS, 2, 1), 6.0, dtype=torch.float64))
    logits.requires_grad_()
    mask = torch.arange(TOKENS)[None] >= torch.tensor([0, 2, 4])[:, None]
    return logits, lambda: logits.log_softmax(-1).gather(2, labels).squeeze(2), mask


def test_the_posts_advantages_are_divided_by_the_spread_and_biased_in_right_groups():
    """a: mean 1/3, spread √(1/3); b and d are all right, c all wrong: no spread, and b for the right ones."""
    spread = math.sqrt(1 / 3)
    found = KraftonPost().weights(Graded(REWARDS, GROUPS))
    assert found == pytest.approx([2 / 3 / spread, -1 / 3 / spread, -1 / 3 / spread, 0.5, 0.5, 0, 0, 0.5])
    graded = KraftonPost(b=2.0).weights(Graded([0.5, 1.0, 0.9], ["a"] * 3))
    assert statistics.fmean(graded) == pytest.approx(2.0)
    assert statistics.stdev(graded) == pytest.approx(1.0)


def test_the_codes_advantages_are_not_divided():
    found = KraftonCode().weights(Graded(REWARDS, GROUPS))
    assert found == pytest.approx([2 / 3, -1 / 3, -1 / 3, 0.1, 0.1, 0, 0, 0.1])


def test_the_post_clips_from_below(free):
    """min[πÂ, max(π, 1−ε)Â] a token: a right one is learned at any π, a wrong one unlearned above 1 − ε alone."""
    logits, log_p, mask = free
    advantages = [0.7, -0.3, -1.1]
    found = KraftonPost(clip_low=0.2).loss(log_p(), mask, torch.tensor(advantages, dtype=torch.float64))
    pi, total = log_p().detach().exp(), 0.0
    for row, a in enumerate(advantages):
        for t in range(TOKENS):
            p = float(pi[row, t])
            wanted = -min(p * a, max(p, 0.8) * a) if mask[row, t] else 0.0
            assert found[row, t].item() == pytest.approx(wanted, rel=1e-14)
            total += wanted
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    moved = gradient.abs().sum(-1) > 0
    assert moved[0].all()
    assert (moved[1:] == (mask & (pi > 0.8))[1:]).all()
    assert moved[1:].any()
    assert not moved[1:].all()
    assert found.sum().item() == pytest.approx(total)


def test_the_code_divides_by_the_longest_response(free):
    """−πÂ/L a token: what the mean over an answer's tokens, which comes after it, divides by |o| is |o|/L here."""
    _, log_p, mask = free
    advantages = torch.tensor([0.7, -0.3, -1.1], dtype=torch.float64)
    found = KraftonCode(response_length=40).loss(log_p(), mask, advantages) / mask.sum(1, keepdim=True)
    wanted = -(log_p().exp() * advantages[:, None] / 40) * mask
    torch.testing.assert_close(found, wanted, rtol=1e-14, atol=0)


def test_their_numbers():
    assert (KraftonPost().b, KraftonPost().kl, KraftonPost().clip_low, KraftonPost().entropy) == (0.5, 0.1, 0.2, 0)
    code = KraftonCode()
    assert (code.b, code.kl, code.entropy, code.response_length) == (0.1, 0.2, 0.001, 31744)
