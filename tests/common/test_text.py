"""Numbers as they are said."""

import pytest

from inspector.common.text import rounded


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0 K"),
        (4_992, "5.0 K"),
        (999_949, "999.9 K"),
        (999_950, "1.0 M"),
        (39_123_456, "39.1 M"),
        (1_234_000_000, "1.2 B"),
    ],
)
def test_rounded(number, said):
    assert rounded(number) == said
