"""How a difference is measured, of which numbers, and where it is: one table over every metric that there is."""

# ruff: noqa: E501 - a case a line

from dataclasses import replace

import numpy as np
import pytest

from inspector.study.diff import differences
from inspector.study.diff_numbers import moved_numbers, scale
from inspector.study.metrics import DEFINITIONS
from tests.report.studies import METHODS, full_study


@pytest.fixture(scope="module")
def study():
    return full_study(METHODS[:3], layers=2, k=3, rank=4)


def changed(study, metric, scope, at, step):
    block = study.blocks[metric, scope].copy()
    block[at] += step
    if DEFINITIONS[metric].subject == "pair":
        block[(at[1], at[0], *at[2:])] = block[at]
    return replace(study, blocks={**study.blocks, (metric, scope): block})


def test_every_number_that_moves_is_found_where_it_is(study):
    """Each metric in each scope: one number is moved, and that one is named."""
    seen = 0
    for metric, scope in study.blocks:
        definition = DEFINITIONS[metric]
        axes = {"none": (), "adapter": (2,)}.get(definition.subject, (0, 2))
        block = study.blocks[metric, scope]
        place = block.shape[len(axes)] - 1
        at = (*axes, place, *([1] if definition.indexed else []))
        step = 0.5 * abs(float(block[at])) + 0.25
        (found,), compared = moved_numbers(
            study, changed(study, metric, scope, at, step), list(study.names), scope, 1e-3
        )
        where = study.places(scope)[place]
        index = {"k": 2.0, "alpha": study.alphas[1]}.get(definition.index)
        names = ["sft", "rift"] if len(axes) == 2 else ["rift", ""] if axes else ["", ""]
        assert (found.metric, found.a, found.b, found.scope, found.layer, found.module, found.k) == (
            metric,
            *names,
            scope,
            where.layer,
            where.path,
            index,
        )
        assert (found.old, found.new) == (block[at], block[at] + step)
        assert found.difference == pytest.approx(step)
        assert found.size == pytest.approx(step / _unit(metric, found.old, found.new))
        assert compared > 0
        seen += 1
    assert seen == len(study.blocks) > 100


def _unit(metric, old, new):
    """90 for degrees, 10 for counts of ten, the larger one of what has no bound."""
    definition = DEFINITIONS[metric]
    if definition.unit == "°":
        return 90
    if metric == "intruder_dimensions_k":
        return 20
    if metric.startswith("intruder_dimensions"):
        return 10
    bounded = {"energy_left_out"}
    own = (
        definition.subject in {"adapter", "none"}
        and definition.probe in {"", "weights", "lens"}
        and metric not in bounded
    )
    return max(abs(old), abs(new)) if own or metric == "mcnemar_wins" else 1


def test_how_many_numbers_are_compared(study):
    """Pairs once, ordered ones both ways, no adapter with itself; what either lacks not at all."""
    names = list(study.names)

    def compared(metrics, new=study, of=names):
        kept = {key: block for key, block in study.blocks.items() if key[0] in metrics}
        more = {key: block for key, block in new.blocks.items() if key[0] in metrics}
        return [
            moved_numbers(replace(study, blocks=kept), replace(new, blocks=more), of, scope, 1e-3)[1]
            for scope in ("global", "layer", "module")
        ]

    assert compared({"norm"}) == [3, 3 * 2, 3 * 14]
    assert compared({"cosine"}) == [3, 3 * 2, 3 * 14]
    assert compared({"orthogonal_fraction_module"}) == [6, 6 * 2, 6 * 14]
    assert compared({"principal_angle"}) == [3 * 3, 3 * 3 * 2, 3 * 3 * 14]
    assert compared({"u1_chance"}) == [1, 2, 14]
    assert compared({"singular_value"}) == [0, 0, 3 * 14 * 4]
    assert compared({"norm", "cosine"}, of=names[:2]) == [3, 3 * 2, 3 * 14]
    gaps = study.blocks["norm", "global"].copy()
    gaps[0] = np.nan
    assert compared({"norm"}, replace(study, blocks={**study.blocks, ("norm", "global"): gaps}))[0] == 2
    shorter = {**study.blocks, ("principal_angle", "global"): study.blocks["principal_angle", "global"][..., :2]}
    assert compared({"principal_angle"}, replace(study, blocks=shorter))[0] == 3 * 2


def test_paths_are_compared_at_the_points_both_have(study):
    at = [0, 4, 10]
    blocks = {key: block[..., at] if key[0] == "lmc_loss" else block for key, block in study.blocks.items()}
    new = replace(study, blocks=blocks, alphas=tuple(study.alphas[n] for n in at))
    new = changed(new, "lmc_loss", "global", (0, 1, 0, 1), 0.5)
    ((one,), _), ((back,), _) = (
        moved_numbers(*both, list(study.names), "global", 1e-3) for both in ((study, new), (new, study))
    )
    assert (one.k, back.k) == (study.alphas[4],) * 2
    assert one.difference == pytest.approx(0.5) == -back.difference


def test_the_threshold_itself_is_no_move(study):
    block = study.blocks["cosine", "global"].copy()
    block[0, 1, 0] = block[1, 0, 0] = 0.5
    old = replace(study, blocks={**study.blocks, ("cosine", "global"): block})
    new = changed(old, "cosine", "global", (0, 1, 0), 0.25)
    assert [len(differences(old, new, threshold=t).moved) for t in (0.2499, 0.25, 0.26)] == [1, 0, 0]
    small = changed(old, "cosine", "global", (0, 1, 0), 1.5e-3)
    assert len(differences(old, small).moved) == 1
    assert not differences(old, changed(old, "cosine", "global", (0, 1, 0), 0.9e-3)).moved


@pytest.mark.parametrize(
    ("metric", "old", "new", "unit"),
    [
        ("principal_angle", 10, 20, 90), ("norm", 1, 4, 4), ("norm", -4, 1, 4), ("norm", 1, -4, 4), ("norm", 4, 1, 4), ("norm", 0, 0, 1e-30), ("cosine", 0.1, 0.9, 1),
        ("intruder_dimensions", 1, 2, 10), ("energy_left_out", 0.1, 0.2, 1), ("sum_cosine", 0.1, 0.2, 1), ("accuracy", 0.1, 0.2, 1), ("mcnemar_wins", 5, 20, 20),
        ("lens_depth", 8, 4, 8), ("u1_chance", 0.02, 0.04, 0.04), ("sum_norm", 2, 1, 2), ("effective_rank", 2, 8, 8), ("lmc_loss", 2, 8, 1), ("mcnemar_p", 0.1, 0.2, 1),
    ],
)  # fmt: skip
def test_what_a_difference_is_divided_by(metric, old, new, unit):
    assert float(np.asarray(scale(metric, np.array(float(old)), np.array(float(new))))) == unit


def test_what_goes_with_others_is_known_by_its_name(study):
    beside = {
        metric for metric in dict.fromkeys(metric for metric, _ in study.blocks)
        for scope in ("global", "layer", "module") if (metric, scope) in study.blocks
        for found in moved_numbers(study, replace(study, blocks={(metric, scope): study.blocks[metric, scope] + 0.5}), list(study.names), scope, 1e-3)[0][:1]
        if found.beside
    }  # fmt: skip
    ends = ("_q25", "_q75", "_chance", "_null", "_low", "_high", "_at", "_sd")
    expected = {m for m, _ in study.blocks if m.removesuffix("_rollouts").endswith(ends) or m == "spectral_gap"}
    assert beside == expected
    assert len(beside) > 10


def test_changes_are_told_with_old_and_new(study):
    info = study.adapters[1]
    new = replace(
        study,
        adapters=(study.adapters[0], replace(info, base="org/other", findings=()), study.adapters[2]),
        settings=replace(study.settings, k=7, version="9"),
    )
    found = differences(study, new)
    assert [(c.what, c.field, c.old, c.new) for c in found.changed] == [
        ("rft", "base", "org/base", "org/other"),
        ("rft", "health", "warning", "ok"),
    ]
    assert [(c.what, c.field, c.old, c.new) for c in found.settings] == [("", "k", "3", "7")]
    assert not found.nothing
    assert (found.added, found.removed, found.renamed, found.probes, found.metrics_added, found.metrics_removed) == (
        (),
    ) * 6


def test_probes_that_came_or_went(study):
    fewer = replace(
        study,
        probes=study.probes[1:],
        blocks={key: b for key, b in study.blocks.items() if DEFINITIONS[key[0]].probe != study.probes[0].probe},
    )
    gone, came = differences(study, fewer), differences(fewer, study)
    name = study.probes[0].probe
    assert [(c.what, c.field, c.old, c.new) for c in gone.probes] == [(name, "", "measured", "not measured")]
    assert [(c.what, c.field, c.old, c.new) for c in came.probes] == [(name, "", "not measured", "measured")]
    assert gone.metrics_removed == came.metrics_added != ()
    assert gone.metrics_added == came.metrics_removed == ()
    other = replace(study, probes=tuple(replace(p, version="9") for p in study.probes))
    assert differences(study, other).nothing


@pytest.mark.parametrize(
    ("old", "new", "renamed"),
    [
        ({"a": "1", "b": "2"}, {"c": "1", "b": "2"}, (("a", "c"),)),
        ({"a": "1", "b": "1"}, {"c": "1", "d": "2"}, (("a", "c"),)),  # one content twice: one of them is it
        ({"a": "", "b": "2"}, {"c": "", "d": "2"}, (("b", "d"),)),
        ({"a": "1", "b": "2"}, {"a": "2", "b": "1"}, ()),  # a name that stays is that adapter
        ({"a": "1", "b": "2"}, {"b": "3", "c": "2"}, ()),
    ],
)
def test_adapters_of_other_names(study, old, new, renamed):
    def named(contents):
        some = study.subset(tuple(range(len(contents))))
        return replace(
            some,
            adapters=tuple(
                replace(a, name=n, digest=d) for a, (n, d) in zip(some.adapters, contents.items(), strict=True)
            ),
        )

    found = differences(named(old), named(new))
    assert found.renamed == renamed
    stays = [name for name in [dict(renamed).get(n, n) for n in old] if name in new]
    assert (found.common, found.added) == (len(stays), tuple(n for n in new if n not in stays))
    assert found.removed == tuple(n for n in old if dict(renamed).get(n, n) not in stays)
