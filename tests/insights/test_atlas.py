"""The atlas of sketches whose cosines are known: who is near, together, alike, far out, and whom to keep."""

import math

import numpy as np
import pytest

from inspector.geometry.sketch_error import standard_error
from inspector.insights.atlas import atlas, blocks, candidates, connected, keep
from inspector.study.sketches import Sketch, Sketches

STAR = (0.9, 0.8, 0.7, 0.05, 0.045, -0.5)
"""Cosines to the first adapter; those of the others are the products of theirs. Three standard errors are 0.047."""
NO_PAIRS = np.zeros((0, 2), dtype=np.int_)


def star(*cosines):
    """Unit vectors with these cosines to the first, each with the rest of its length in a direction of its own."""
    found = np.eye(1 + len(cosines))
    for n, cosine in enumerate(cosines, 1):
        found[n, 0], found[n, n] = cosine, math.sqrt(1 - cosine**2)
    return found


def sketches(updates, **columns):
    """Sketches without spread; each column has a value for every adapter."""
    rows = []
    for n, update in enumerate(updates):
        values = {
            "name": f"{n}", "digest": f"{n}", "norm": 1.0, "effective_rank": 2.0, "findings": [], "shapes": ["m 4x4"],
            "outputs": np.eye(len(updates))[n], "rows": np.eye(len(updates))[n],
        } | {name: column[n] for name, column in columns.items()}  # fmt: skip
        given = dict.fromkeys(Sketch.__dataclass_fields__, "") | {"modules": ["m"], "version": 1, "seed": 20260601}
        spreads = dict.fromkeys(("update_spread", "outputs_spread", "rows_spread"), 0.0)
        rows.append(Sketch(**given | spreads | {"update": np.asarray(update, dtype=float)} | values))
    return Sketches(rows)


def exact(found, pairs):
    return np.array([found.pair(i, j) for i, j in pairs.tolist()])


def names(pairs):
    return " ".join("abcdefgh"[i] + "abcdefgh"[j] for i, j in np.asarray(pairs).tolist())


def test_candidates_are_the_nearest_that_an_estimate_can_tell_from_zero():
    found = sketches(star(*STAR))
    assert names(candidates(found)) == "ab ac ad ae ag bc bd bg cd cg dg"
    assert names(candidates(found, 1)) == "ab ac ad ae bc bd bg cd cg dg", "three of each"
    copied = sketches([*star(*STAR), star(*STAR)[1]], digest=[*"0123456", "1"])
    assert "bh" not in names(candidates(copied)).split()
    assert "ah" in names(candidates(copied)).split()
    assert candidates(sketches(np.eye(3))).shape == (0, 2)


def test_a_block_holds_those_an_estimate_sets_above_three_tenths():
    found = sketches(star(0.31, 0.3, 0.9))
    assert blocks(found, np.array([(0, 1), (0, 2)])) == ((0, 1), (2,))
    assert blocks(found, np.array([(0, 3), (1, 3)])) == ((0, 3), (1,))
    assert blocks(found, NO_PAIRS) == ()


def test_connected_parts_are_in_order_the_largest_first():
    pairs = np.array([(5, 4), (1, 2), (2, 6)])
    assert connected(8, pairs, (0, 1, 2, 4, 5, 6)) == ((1, 2, 6), (4, 5), (0,))
    assert connected(8, NO_PAIRS, (3, 0, 3)) == ((0,), (3,))


def test_groups_hold_measured_and_estimated_cosines_and_copies():
    """a-b and c-d from 0.7 on, b-c below, d only estimated; e has no pair, f and g are one file."""
    updates = star(0.7, 0.2, 0.1, 0.0, 0.3, 0.3)
    updates[3] = updates[2]
    updates[6] = updates[5]
    found = sketches(updates, digest=[*"abcdeff"])
    pairs = np.array([(0, 1), (1, 2), (2, 3)])
    made = atlas(found, pairs, np.array([0.7, math.nextafter(0.7, 0), math.nan]))
    assert made.groups == ((0, 1), (2, 3), (5, 6))
    assert made.alone == (4,)
    assert made.copies == ((5, 6),)
    assert made.estimated == 1
    assert made.twins == ()


def test_neighbours_are_measured_or_estimated_with_their_error():
    outputs = star(0.25, 0.5, 0.75, 0.0)
    found = sketches(star(0.9, 0.8, 0.7, 0.6), outputs=outputs, digest=[*"abcdb"])
    pairs = np.array([(0, 1), (0, 2), (0, 3)])
    made = atlas(found, pairs, np.array([0.5, math.nan, 0.5]))
    rows = [(n.index, n.cosine, n.error, n.outputs) for n in made.neighbours[0]]
    error = float(standard_error(np.array(0.8), 0, 0))
    assert rows == [(2, 0.8, pytest.approx(error), 0.5), (1, 0.5, 0, 0.25), (3, 0.5, 0, 0.75)]
    assert made.neighbours[0][2].outputs_error == pytest.approx(float(standard_error(np.array(0.75), 0, 0)))
    assert [(n.index, n.cosine, n.error) for n in made.neighbours[1]] == [(4, 1.0, 0), (0, 0.5, 0)]
    assert [n.index for n in made.neighbours[4]] == [1]
    assert [n.index for n in atlas(found, pairs, np.array([0.5, math.nan, 0.5]), 2).neighbours[0]] == [2, 1]
    many = sketches(star(*np.linspace(0.9, 0.79, 12)))
    every = candidates(many)
    assert {len(near) for near in atlas(many, every, exact(many, every)).neighbours} == {10}


@pytest.mark.parametrize(
    ("cosine", "norm", "twins"),
    [
        (0.999, 1.0, True), (0.9989, 1.0, False), (math.nan, 1.0, False), (1.0, 1.01 + 1e-9, False), (1.0, 0.991, True),
        (1.0, 0.9899, False), (1.0, 1.0099, True), (1.0, math.nan, False),
    ],
)  # fmt: skip
def test_two_nearly_the_same_agree_in_measured_cosine_and_norm(cosine, norm, twins):
    found = sketches(star(0.0, 1.0, 0.5), norm=[3.0, 1.0, norm, 9.0])
    made = atlas(found, np.array([(0, 3), (2, 1)]), np.array([1.0, cosine]))
    assert made.twins == (((2, 1, cosine),) if twins else ())


def test_kin_are_two_errors_above_a_shared_start():
    """Two errors are 0.041 at an overlap of 0.85, so that 0.85 is enough for 0.8 and 0.84 is not."""
    found = sketches(np.eye(4), rows=star(0.85, 0.84, 0.1))
    assert atlas(found, NO_PAIRS, np.zeros(0)).kin == ((0, 1),)
    found = sketches(np.eye(4), rows=star(0.1, 0.85, 0.98))
    assert atlas(found, NO_PAIRS, np.zeros(0)).kin == ((0, 2, 3),)


def outliers(**columns):
    count = len(next(iter(columns.values())))
    return atlas(sketches(np.eye(count), **columns), NO_PAIRS, np.zeros(0)).outliers


LOGS = (-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3)
"""With one more above and one below, median 0 and median deviation 0.2: 5 robust z are 1.483."""


@pytest.mark.parametrize(
    ("above", "below", "said"),
    [
        (1.49, -9.0, [(1, "4.44 times"), (9, "0.000123 times")]),
        (1.47, -1.47, []),
        (1.49, -1.47, [(1, "4.44 times")]),
    ],
)
def test_sizes_that_stand_out_are_far_from_the_median(above, below, said):
    """The zero update at the front has no size to compare."""
    norms = [0.0, *np.exp([above, *LOGS, below])]
    assert outliers(norm=norms) == tuple((i, f"‖ΔW‖ {text} the median") for i, text in said)
    ranks = outliers(effective_rank=norms)
    assert ranks == tuple((i, f"effective rank {text} the median") for i, text in said)


def test_sizes_stand_out_by_a_factor_among_enough_of_one_model():
    assert outliers(norm=[1.0] * 7 + [2.0]) == ((7, "‖ΔW‖ 2 times the median"),)
    assert outliers(norm=[1.0] * 7 + [0.5]) == ((7, "‖ΔW‖ 0.5 times the median"),)
    assert outliers(norm=[1.0] * 7 + [1.99]) == ()
    assert outliers(norm=[1.0] * 6 + [9.0]) == (), "seven are too few"
    assert outliers(norm=[0.0] + [1.0] * 6 + [9.0]) == (), "so are seven beside a zero"
    models = [["m 4x4"]] * 8 + [["m 8x8"]] * 8
    found = outliers(norm=[1.0] * 8 + [9.0] * 7 + [1.0], shapes=models)
    assert found == ((15, "‖ΔW‖ 0.111 times the median"),)


def test_the_first_finding_that_is_more_than_a_remark():
    said = [["info: x"], ["info: x", "warning: y", "error: z"], [], ["error: z"]]
    made = atlas(sketches(np.eye(4), findings=said), NO_PAIRS, np.zeros(0))
    assert made.unhealthy == ((1, "warning: y"), (3, "error: z"))


def line(*points, **more):
    """Adapters on one line, at these places: norm times a unit vector or its opposite."""
    return sketches([[math.copysign(1.0, x), 0.0] for x in points], norm=[abs(x) for x in points], **more)


def test_to_keep_are_the_farthest_and_each_stands_for_its_nearest():
    """In parts of the largest norm they lie at 0.625, 0.25, 1, −0.75 and 0.5; 0.625 is halfway from 1 to 0.25."""
    found = line(2.5, 1.0, 4.0, -3.0, 2.0)
    assert keep(found, 1) == [(2, 4, 1.75)]
    assert keep(found, 2) == [(2, 3, 0.75), (3, 0, 0.0)]
    assert keep(found, 3) == [(2, 1, 0.375), (3, 0, 0.0), (1, 1, 0.25)]
    assert keep(line(-1.0, 4.0), 9) == [(1, 0, 0.0), (0, 0, 0.0)]
    unknown = sketches([[1.0, 0.0], [0.0, 1.0]], norm=[math.nan, 0.5])
    assert keep(unknown, 2) == [(0, 0, 0.0), (1, 0, 0.0)]
    assert keep(unknown, 1) == [(0, 1, pytest.approx(math.hypot(1, 0.5)))]


def test_one_of_several_copies_is_kept_once():
    assert keep(line(1.0, 1.0, 1.0, -1.0), 4) == [(0, 2, 0.0), (3, 0, 0.0)]
    assert keep(line(0.0, 0.0), 2) == [(0, 1, 0.0)]
