"""A metric with a chance level, registered from outside by one definition, is everywhere that metrics are."""

from dataclasses import replace

import numpy as np
import pytest

from inspector.analysis.analyse import analyse
from inspector.claims.verdicts import evaluate
from inspector.geometry.chance import direction_chance
from inspector.insights.pairwise import pair_chance
from inspector.report.build import report
from inspector.report.document import Lines, Matrix
from inspector.study.aggregate import aggregate
from inspector.study.diff import differences
from inspector.study.export import load, save
from inspector.study.metrics import DEFINITIONS, family, register
from inspector.study.metrics.definition import Chance, Chart, Definition
from inspector.study.study import SCOPES, Settings
from inspector.tables.studies import print_study
from inspector.tui.help import help_text
from inspector.tui.state import AppState
from inspector.tui.theme import ink_for
from inspector.tui.views.base import Area
from inspector.tui.views.layers.view import LayersView
from inspector.tui.views.map import MapView
from tests.claims.studies import claim, claims
from tests.memory import random_adapter

DISTANCE = Definition(
    "u1_distance",
    "distance of output directions",
    "pair",
    "",
    "1 − abs⟨u₁,u₁'⟩",
    "mean over the scope's modules",
    measure=lambda found: 1 - found.u1,
    diagonal=0.0,
    range=(0.0, 1.0),
    chance=Chance(
        "that distance by chance",
        "1 − √(2/πd)",
        lambda d, _p, _q: 1 - direction_chance(d),
        lambda sigma, _k: sigma[..., 0],
    ),
    shown=("map", "layers", "glance"),
    short="u₁ distance",
    chart=Chart("directions", "Distance of output directions", "That distance by layer"),
)
CHANCE = 1 - (direction_chance(24) + direction_chance(8)) / 2


@pytest.fixture
def study():
    """Three adapters measured with the metric registered; without it again after the test."""
    before = dict(DEFINITIONS)
    register(DISTANCE)
    yield analyse([random_adapter(name, seed) for seed, name in enumerate("abc")], Settings(k=3))
    DEFINITIONS.clear()
    DEFINITIONS.update(before)


def painted(view, state):
    return "\n".join(strip.text for strip in view.paint(state, Area(ink_for("ansi-dark", coloured=False), 120, 30)))


def test_measured_at_every_scope_beside_its_chance_level(study):
    for scope in SCOPES:
        block, u1 = (study.block(metric, scope) for metric in ("u1_distance", "u1"))
        np.testing.assert_allclose(block[0, 1], 1 - u1[0, 1])
        assert not block[np.arange(3), np.arange(3)].any(), "an adapter is at distance 0 from itself"
    assert study.block("u1_distance_chance", "global") == pytest.approx(CHANCE)
    assert pair_chance(study, "u1_distance", 0, 2) == pytest.approx(CHANCE)
    again = aggregate(replace(study, blocks={k: v for k, v in study.blocks.items() if k[1] == "module"}))
    np.testing.assert_array_equal(again.block("u1_distance", "layer"), study.block("u1_distance", "layer"))


@pytest.mark.parametrize("suffix", ["json", "parquet"])
def test_exported_and_loaded(study, tmp_path, suffix):
    save(study, tmp_path / f"study.{suffix}")
    back = load(tmp_path / f"study.{suffix}")
    for metric in ("u1_distance", "u1_distance_chance"):
        for scope in SCOPES:
            np.testing.assert_array_equal(back.block(metric, scope), study.block(metric, scope))


def test_on_map_and_layers_with_its_help(study):
    state = AppState.of(study)
    seen = set()
    while state.metric not in seen and state.metric != "u1_distance":
        seen.add(state.metric)
        MapView().cycle(state, 1)
    assert state.metric == state.layers_metric == "u1_distance", "by the key for the next metric"
    value, level = (f"{x:.2f}" for x in (study.block("u1_distance", "global")[0, 1, 0], CHANCE))
    shown = painted(MapView(), state)
    line = next(line for line in shown.splitlines() if "u₁ distance" in line)
    assert DISTANCE.title in shown
    assert f"{value}" in line
    assert f"chance {level}" in line
    shown = painted(LayersView(), state)
    assert f"{DISTANCE.title} by layer" in shown
    assert "chance" in shown
    assert DISTANCE.formula in help_text(MapView(), (), state, ink_for("ansi-dark", coloured=False), 100).plain


def test_in_tables_report_and_diff(study, capsys):
    print_study(study)
    assert (
        f"u1_distance: {DISTANCE.formula}; {DISTANCE.over_modules}. By chance: {CHANCE:.2f}." in capsys.readouterr().out
    )
    directions = next(section for section in report(study).sections if section.id == "directions")
    matrix = next(part for part in directions.parts if isinstance(part, Matrix) and part.id == "u1-distance")
    assert matrix.caption == f"Distance of output directions; {CHANCE:.2f} by chance"
    assert matrix.apart
    assert not np.diag(matrix.values).any()
    chart = next(part for part in directions.parts if isinstance(part, Lines) and part.id == "u1-distance-by-layer")
    assert [level.label for level in chart.levels] == ["by chance"]
    nearer = replace(study, blocks={k: v * (0.5 if k[0] == "u1_distance" else 1) for k, v in study.blocks.items()})
    assert {moved.metric for moved in differences(study, nearer).moved} == {"u1_distance"}


def test_claimed(study, tmp_path):
    said = claim("metric: u1_distance; pairs: [[a, b]]; relation: between; value: [0.4, 1]")
    (outcome,) = evaluate(claims(tmp_path, said), [study])
    assert outcome.verdict == "holds"
    assert outcome.measured[0].values == (study.block("u1_distance", "global")[0, 1, 0],)


def test_a_metric_of_pairs_says_what_it_is_on_the_diagonal():
    with pytest.raises(ValueError, match="u1_distance: which value has an adapter beside itself"):
        replace(DISTANCE, diagonal=None)


def test_families_are_complete():
    """No chance level without the metric that it is of, no metric without its level and quartiles."""
    for definition in list(DEFINITIONS.values()):
        assert {part.metric for part in family(definition)} <= set(DEFINITIONS)
        if definition.level_of and not definition.probe:  # a probe measures its own level
            assert DEFINITIONS[definition.level_of].chance is not None


def test_a_metric_without_a_chance_level_has_none(study):
    for metric in ("cosine", "energy_ratio", "orthogonal_fraction_global"):
        assert np.isnan(pair_chance(study, metric, 0, 1)).all()
