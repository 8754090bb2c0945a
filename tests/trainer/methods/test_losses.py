"""Each loss against its gradient in closed form, in float64: log π from free logits, so that nothing is between."""

import math

import pytest
import torch

from trainer.methods.krafton import KraftonCode, KraftonPost
from trainer.methods.weighted import Dft, Rift, Sft
from trainer.objectives.weighted import kl, token_mean

ROWS, TOKENS, WORDS = 3, 5, 7
PROBABILITIES = ("token", "geo-mean", "sequence")
weighted, dft = Sft().loss, Dft().loss


def rift(log_p, mask, reward, kind="token"):
    return Rift(probability=kind).loss(log_p, mask, reward)


@pytest.fixture
def free():
    """(logits, function to log π of fixed labels, mask): rows of 5, 3 and 1 completion tokens."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(ROWS, TOKENS, WORDS, dtype=torch.float64, generator=generator).requires_grad_()
    labels = torch.randint(WORDS, (ROWS, TOKENS, 1), generator=generator)
    mask = torch.arange(TOKENS)[None] >= torch.tensor([0, 2, 4])[:, None]
    return logits, lambda: logits.log_softmax(-1).gather(2, labels).squeeze(2), mask


def gradient(value, logits):
    return torch.autograd.grad(value, logits)[0]


def rewards(*values):
    return torch.tensor(values, dtype=torch.float64)


ONES = rewards(1, 1, 1)


def test_sft_is_the_mean_of_minus_log_p(free):
    _logits, log_p, mask = free
    loss = token_mean(weighted(log_p(), mask, ONES), mask.sum())
    assert loss.item() == pytest.approx(-log_p()[mask].mean().item(), rel=1e-12)


def test_rift_with_rewards_1_is_sft(free):
    _logits, log_p, mask = free
    for kind in PROBABILITIES:
        assert torch.equal(rift(log_p(), mask, ONES, kind), weighted(log_p(), mask, ONES))


def test_dft_gradient_is_minus_the_gradient_of_the_probabilities(free):
    logits, log_p, mask = free
    found = gradient(dft(log_p(), mask, ONES).sum(), logits)
    wanted = -gradient(log_p().exp()[mask].sum(), logits)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-15)


def test_dft_where_the_model_is_sure_is_sft(free):
    """π_t → 1 makes the gate 1: with log π = −1e-9 the two losses differ by a part in 1e9."""
    mask = free[2]
    log_p = torch.full((ROWS, TOKENS), -1e-9, dtype=torch.float64)
    torch.testing.assert_close(dft(log_p, mask, ONES), weighted(log_p, mask, ONES), rtol=2e-9, atol=0)


@pytest.mark.parametrize(
    ("kind", "probability"),
    [
        ("token", lambda log_p, mask: log_p.exp()),
        ("geo-mean", lambda log_p, mask: (log_p * mask).sum(1, keepdim=True).div(mask.sum(1, keepdim=True)).exp()),
        ("sequence", lambda log_p, mask: (log_p * mask).sum(1, keepdim=True).exp()),
    ],
)
def test_rift_negatives_are_linear_in_the_probability(free, kind, probability):
    """Gradient |r|·Σ_t w·∇log π_t, w the probability held fixed."""
    logits, log_p, mask = free
    reward = rewards(-0.2, -0.2, -0.5)
    found = gradient(rift(log_p(), mask, reward, kind).sum(), logits)
    held = probability(log_p(), mask).detach()
    wanted = gradient((-reward[:, None] * held * log_p() * mask).sum(), logits)
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-15)


def test_rift_loss_of_a_negative_is_bounded(free):
    log_p = torch.full((1, 4), -50.0)
    mask = torch.ones(1, 4, dtype=torch.bool)
    assert rift(log_p, mask, torch.tensor([-0.2]), "token").sum().item() == pytest.approx(0.2 * 4 * math.exp(-50))


def test_sequence_probability_underflows_beyond_100_nats():
    """float32: exp(−99) is a number (a denormal one), exp(−110) is 0; with the token's probability none vanishes."""
    mask = torch.ones(3, 11, dtype=torch.bool)
    log_p = torch.tensor([-9.0, -10.0, -10.0])[:, None].expand(3, 11).contiguous()
    reward = torch.tensor([-0.2, -0.2, 1.0])
    assert Rift(probability="sequence").vanished(log_p, mask, reward).tolist() == [False, True, False]
    assert not Rift(probability="token").vanished(log_p, mask, reward).any()
    assert not Rift(probability="geo-mean").vanished(log_p, mask, reward).any()
    lost = rift(log_p, mask, reward, "sequence")
    assert lost[1].abs().sum() == 0
    assert torch.equal(lost[2], weighted(log_p, mask, reward)[2])


def test_kl_is_zero_at_the_reference_and_never_negative(free):
    _logits, log_p, mask = free
    assert kl(log_p(), log_p().detach(), mask).abs().max() == 0
    other = log_p().detach() + torch.randn(
        ROWS, TOKENS, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )
    assert (kl(log_p(), other, mask)[mask] > 0).all()
    assert kl(log_p(), other, mask)[~mask].abs().sum() == 0


def test_kl_in_closed_form():
    """π_ref = 2π: 2 − log 2 − 1; π_ref = π/2: ½ + log 2 − 1."""
    log_p = torch.tensor([[-1.0, -1.0, -1.0]], dtype=torch.float64)
    reference = log_p + math.log(2) * torch.tensor([[1, -1, 1]])
    found = kl(log_p, reference, torch.tensor([[True, True, False]]))
    assert found[0].tolist() == pytest.approx([1 - math.log(2), math.log(2) - 0.5, 0])


def test_nothing_outside_the_mask(free):
    _, log_p, mask = free
    for loss in (weighted, dft, rift, KraftonPost().loss, KraftonCode().loss):
        assert loss(log_p(), mask, rewards(1, -1, 0.5))[~mask].abs().sum() == 0


def test_a_step_without_tokens_is_zero_not_nan(free):
    _, log_p, _ = free
    none = torch.zeros(ROWS, TOKENS, dtype=torch.bool)
    loss = token_mean(weighted(log_p(), none, ONES), none.sum())
    assert loss.item() == 0
    loss.backward()


@pytest.mark.parametrize("cuts", [[3], [1, 2], [1, 1, 1]])
def test_cutting_a_step_changes_nothing(free, cuts):
    """Σ of the parts over the N of the whole."""
    _logits, log_p, mask = free
    weight = rewards(0.9, -0.4, 0.1)
    whole = token_mean(weighted(log_p(), mask, weight), mask.sum())
    parts = zip(log_p().split(cuts), mask.split(cuts), weight.split(cuts), strict=True)
    sums = sum(token_mean(weighted(p, m, w), mask.sum()) for p, m, w in parts)
    assert sums.item() == pytest.approx(whole.item(), rel=1e-14)


@pytest.mark.parametrize("probability", ["token", "geo-mean", "sequence"])
def test_a_row_without_a_token_teaches_nothing_and_harms_no_other(free, probability):
    logits, log_p, mask = free
    alone = gradient(rift(log_p(), mask, rewards(-1, 0, 0), probability).sum(), logits)
    mask[1] = False
    beside = gradient(rift(log_p(), mask, rewards(-1, -1, 0), probability).sum(), logits)
    assert torch.equal(beside, alone)
    assert alone[0].any()
