"""What rounding leaves beyond a bound is cut: cosines of collinear updates, either way."""

import numpy as np
import pytest

from inspector.geometry.cosine import cosine
from inspector.geometry.sums import sums


@pytest.mark.parametrize("sign", [1, -1])
def test_no_cosine_is_beyond_one(sign):
    """⟨a, b⟩ and the squares of both are rounded each for itself: the plain quotient is above 1 for some."""
    drawn = np.random.default_rng(0)
    a = drawn.standard_normal((500, 7))
    b = sign * drawn.uniform(0.1, 10, (500, 1)) * a
    inner, square_a, square_b = (np.einsum("md,md->m", x, y) for x, y in ((a, b), (a, a), (b, b)))
    plain = inner / (np.sqrt(square_a) * np.sqrt(square_b))
    assert (np.abs(plain) > 1).any()
    found = cosine(inner, square_a, square_b)
    of_first = sums(np.array([[square_a, inner], [inner, square_b]]), np.array([1.0, 0.0])).cosines(np.eye(500))[1]
    for values in (found, of_first):
        assert np.abs(values).max() == 1
        assert values == pytest.approx(sign, abs=1e-14)
