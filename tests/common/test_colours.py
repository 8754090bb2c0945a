"""One hue a sign, lightness that grows away from zero, seen by everybody."""

import math
from itertools import pairwise

import numpy as np
import pytest

from inspector.common.colours import (
    DARK,
    LIGHT,
    LINES,
    NEGATIVE_HUE,
    POSITIVE_HUE,
    hexed,
    hue,
    ink_on,
    lightness,
    oklab,
    rgb,
    shade,
)
from inspector.report.style import PALETTE

VALUES = [n / 50 for n in range(51)]
BLIND = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB."""


def seen(colour, kind):
    """A colour as somebody sees it who lacks one kind of cones."""
    channels = np.array(colour) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    left = np.clip(np.array(BLIND[kind]) @ linear, 0, 1)
    back = np.where(left <= 0.0031308, 12.92 * left, 1.055 * left ** (1 / 2.4) - 0.055)
    return tuple(int(c) for c in np.round(255 * back))


def difference(one, other):
    """ΔE of OKLab, in hundredths: 2 is just seen."""
    return 100 * math.dist(oklab(one), oklab(other))


def turn(one, other):
    return abs((one - other + 180) % 360 - 180)


def test_known_colours_have_the_published_coordinates():
    assert oklab((255, 255, 255)) == pytest.approx((1, 0, 0), abs=1e-4)
    assert oklab((0, 0, 0)) == pytest.approx((0, 0, 0), abs=1e-6)
    assert oklab((255, 0, 0)) == pytest.approx((0.62796, 0.22486, 0.12585), abs=1e-4)
    assert hexed(rgb("#0072b2")) == "#0072b2"


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("ramp", ["signed", "grey"])
def test_zero_is_the_background_and_lightness_leaves_it_steadily(dark, ramp):
    assert shade(0.0, ramp, dark=dark) == (DARK if dark else LIGHT)
    away = 1 if dark else -1
    for sign in (1, -1):
        lights = [away * lightness(shade(sign * v, ramp, dark=dark)) for v in VALUES]
        steps = [b - a for a, b in pairwise(lights)]
        assert min(steps) > 0
        assert max(steps) < 2 * sum(steps) / len(steps), "smooth"
    assert shade(-7.0, ramp, dark=dark) == shade(-1.0, ramp, dark=dark)


@pytest.mark.parametrize("dark", [True, False])
def test_a_sign_has_one_hue_and_sizes_have_none(dark):
    for value in VALUES[5:]:
        assert turn(hue(shade(value, dark=dark)), POSITIVE_HUE) < 4
        assert turn(hue(shade(-value, dark=dark)), NEGATIVE_HUE) < 4
        assert len(set(shade(value, "grey", dark=dark))) == 1


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("kind", BLIND)
def test_sign_and_order_stay_without_one_kind_of_cones(kind, dark):
    tenths = [n / 10 for n in range(11)]
    for sign in (1, -1):
        lights = [lightness(seen(shade(sign * v, dark=dark), kind)) for v in tenths]
        assert all((b > a) is dark for a, b in pairwise(lights))
    for value in tenths[2:]:
        assert difference(seen(shade(value, dark=dark), kind), seen(shade(-value, dark=dark), kind)) > 8


@pytest.mark.parametrize("dark", [True, False])
def test_numbers_on_every_shade_contrast(dark):
    def luminance(colour):
        channels = np.array(colour) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    for value in VALUES:
        for background in (shade(value, dark=dark), shade(-value, dark=dark), shade(value, "grey", dark=dark)):
            two = sorted((luminance(background), luminance(ink_on(background))))
            assert (two[1] + 0.05) / (two[0] + 0.05) >= 4.5


def test_the_report_draws_adapters_in_the_same_colours_and_signs_in_the_same_hues():
    from inspector.report import drawing, style

    assert PALETTE == LINES
    assert turn(hue(rgb(style.POSITIVE)), POSITIVE_HUE) < 10
    assert turn(hue(rgb(style.NEGATIVE)), NEGATIVE_HUE) < 10
    assert drawing.shade is shade


@pytest.mark.parametrize(
    ("value", "ramp", "dark", "colour"),
    [
        (1.0, "signed", True, "#8ecbff"),
        (0.25, "signed", True, "#184466"),
        (-1.0, "signed", True, "#ffae81"),
        (-0.25, "signed", True, "#603419"),
        (1.0, "signed", False, "#005c94"),
        (0.25, "signed", False, "#acd8ff"),
        (-1.0, "signed", False, "#8b3f00"),
        (-0.25, "signed", False, "#fcc5a7"),
        (0.5, "grey", True, "#6a6a6a"),
        (0.5, "grey", False, "#a8a8a8"),
        (-0.5, "grey", False, "#a8a8a8"),
    ],
)
def test_shades_stay_as_they_are(value, ramp, dark, colour):
    assert hexed(shade(value, ramp, dark=dark)) == colour


@pytest.mark.parametrize(("grey", "ink"), [(0, 255), (117, 255), (118, 0), (255, 0)])
def test_ink_is_what_contrasts_more(grey, ink):
    assert ink_on((grey,) * 3) == (ink,) * 3


def test_hues_turn_from_red_to_blue():
    assert [round(hue(colour)) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))] == [29, 142, 264]
    assert rgb("#0172b3") == (1, 0x72, 0xB3)
