"""Row weights, worked by hand; the decompositions that the docstrings name, on gradients of a free policy."""

import pytest
import torch

from tests.trainer.methods.graded import Graded
from trainer.methods.weighted import OfflineGrpo, RiftLinear, Sft

REWARDS, GROUPS = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0], ["a", "a", "a", "b", "b", "c", "c"]


def test_advantages():
    """Group a has mean 1/3: 1 − 1/3 + b and −1/3 + b; b and c are all equal: b alone, right or wrong."""
    found = OfflineGrpo(0.1).weights(Graded(REWARDS, GROUPS))
    assert found == pytest.approx([2 / 3 + 0.1, -1 / 3 + 0.1, -1 / 3 + 0.1, 0.1, 0.1, 0.1, 0.1])


def test_groups_need_not_stand_together():
    mixed = [2, 0, 5, 1, 3, 6, 4]
    found = OfflineGrpo().weights(Graded([REWARDS[n] for n in mixed], [GROUPS[n] for n in mixed]))
    straight = OfflineGrpo().weights(Graded(REWARDS, GROUPS))
    assert found == pytest.approx([straight[n] for n in mixed])


@pytest.fixture
def sides():
    """(loss of row weights, g⁺, g⁻) of one group, one right of four, the gradient of a free policy."""
    logits = torch.randn(4, 6, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    mask = torch.ones(4, 6, dtype=torch.bool)

    def gradient(row_weights):
        log_p = logits.log_softmax(-1)[..., 0]
        loss = Sft().loss(log_p, mask, torch.tensor(row_weights, dtype=torch.float64)).sum()
        return torch.autograd.grad(loss, logits)[0]

    return gradient, gradient([1.0, 0, 0, 0]), gradient([0.0, 1, 1, 1])


ONE_OF_FOUR = [1.0, 0.0, 0.0, 0.0]


def test_rift_linear_is_less_of_the_positives(sides):
    """(1−λ)g⁺ + g⁻."""
    gradient, up, down = sides
    torch.testing.assert_close(
        gradient(RiftLinear(0.3).weights(Graded(ONE_OF_FOUR, ["g"] * 4))), 0.7 * up + down, rtol=1e-12, atol=1e-15
    )


def test_offline_grpo_of_one_group(sides):
    """(1−r̄+b)g⁺ + (b−r̄)g⁻ with r̄ = 1/4."""
    gradient, up, down = sides
    found = gradient(OfflineGrpo(0.1).weights(Graded(ONE_OF_FOUR, ["g"] * 4)))
    torch.testing.assert_close(found, 0.85 * up - 0.15 * down, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("reward", [0.0, 1.0])
def test_offline_grpo_of_equal_rewards_is_b_times_sft(sides, reward):
    gradient, up, down = sides
    found = gradient(OfflineGrpo(0.1).weights(Graded([reward] * 4, ["g"] * 4)))
    torch.testing.assert_close(found, 0.1 * (up + down), rtol=1e-12, atol=1e-15)
