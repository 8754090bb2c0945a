"""What each pooling keeps of hidden states, by hand: three prompts that share a beginning and an end."""

import numpy as np
import pytest
import torch

from inspector.base_model.encode import Encoded
from inspector.probes.rows import Rows

PROMPTS = [(1, 2, 5, 9), (1, 2, 6, 7, 8, 9), (1, 2, 7, 3, 9)]
"""Two tokens begin each and one ends it: one, three and two are its own."""
OWN = [range(2, 3), range(2, 5), range(2, 4)]
LAYERS, WIDTH = 2, 3


@pytest.mark.parametrize("pooling", ["last", "mean", "all"])
def test_rows_of_a_pooling_are_in_the_order_of_the_prompts(pooling):
    """Written in two batches in another order, padded on the right; read less the mean of the first rows."""
    rng = np.random.default_rng(0)
    states = [torch.from_numpy(rng.standard_normal((LAYERS + 1, len(ids), WIDTH))) for ids in PROMPTS]
    held = Rows([Encoded(ids, 4) for ids in PROMPTS], pooling, LAYERS)
    for indices in ([2, 0], [1]):
        longest = max(len(PROMPTS[i]) for i in indices)
        padded = torch.full((LAYERS + 1, len(indices), longest, WIDTH), 99.0, dtype=torch.float64)
        mask = torch.zeros(len(indices), longest, dtype=torch.long)
        for row, i in enumerate(indices):
            padded[:, row, : len(PROMPTS[i])], mask[row, : len(PROMPTS[i])] = states[i], 1
        held.write(indices, list(padded), mask)
    kept = {
        "last": [h[1:, -1:] for h in states],
        "mean": [h[1:, own].mean(1, keepdim=True) for h, own in zip(states, OWN, strict=True)],
        "all": [h[1:, own] for h, own in zip(states, OWN, strict=True)],
    }[pooling]
    expected = torch.cat(kept, 1)
    expected = expected - expected.mean(1, keepdim=True)
    assert (held.count, held.width) == ({"last": 3, "mean": 3, "all": 6}[pooling], WIDTH)
    torch.testing.assert_close(held.read(slice(None), slice(None), "cpu"), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(held.read(1, slice(1, 3), "cpu"), expected[1, 1:3], atol=1e-6, rtol=0)
