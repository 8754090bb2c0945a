"""Only what is asked for is held, and it is what an analysis of everything gives."""

import numpy as np
import pytest

from inspector.analysis import room
from inspector.analysis.analyse import analyse, chosen_modules
from inspector.analysis.collect import Table
from inspector.common import memory
from inspector.common.errors import InspectorError
from inspector.study.metrics import DEFINITIONS
from inspector.study.study import Settings
from tests.memory import adapter, random_adapter


@pytest.fixture(scope="module")
def adapters():
    a, b, c = (random_adapter(name, seed) for seed, name in enumerate("abc"))
    zero = adapter("zero", {m: (0 * B, A) for m, (B, A) in ((m, c.load(m)) for m in c.modules)})
    return [a, adapter("b", {m: b.load(m) for m in list(b.modules)[:-1]}), c, zero]


@pytest.fixture(scope="module")
def whole(adapters):
    return analyse(adapters, Settings(k=3, sides=("left", "right")))


@pytest.mark.parametrize("modules", ["union", "common"])
@pytest.mark.parametrize(
    ("asked", "pairs"),
    [
        (("cosine",), {"cosine"}),
        (("norm",), {"cosine"}),
        (("energy_ratio",), {"cosine", "energy_ratio"}),
        (("u1", "orthogonal_fraction_module"), {"cosine", "u1", "u1_chance", "orthogonal_fraction_module"}),
        (("principal_angle_q25",), {"cosine", *(f"principal_angle{x}" for x in ("", "_q25", "_q75", "_chance"))}),
        (("subspace_overlap_chance",), {"cosine", "subspace_overlap", "subspace_overlap_chance"}),
    ],
)
def test_the_blocks_are_those_asked_for(adapters, modules, asked, pairs):
    settings = Settings(k=3, sides=("left", "right"), modules=modules)
    everything, found = analyse(adapters, settings), analyse(adapters, Settings(**vars_of(settings), metrics=asked))
    assert {m for m, _ in found.blocks if found.block(m, "global") is not None and m in of_pairs(everything)} == pairs
    for key, values in found.blocks.items():
        np.testing.assert_allclose(values, everything.blocks[key], rtol=1e-9, atol=1e-9, err_msg=str(key))


def vars_of(settings):
    return {"k": settings.k, "sides": settings.sides, "modules": settings.modules}


def of_pairs(study):
    from inspector.study.metrics import DEFINITIONS

    return {m for m, _ in study.blocks if DEFINITIONS[m].subject in {"pair", "ordered"} or DEFINITIONS[m].level_of}


def test_without_modules_what_sums_give_has_no_block_of_them(adapters, whole):
    found = analyse(adapters, Settings(k=3, scopes=("global", "layer")))
    assert found.block("energy_ratio", "module") is None
    np.testing.assert_array_equal(found.block("energy_ratio", "layer"), whole.block("energy_ratio", "layer"))


def test_health_is_seen_whatever_is_asked(adapters, whole):
    found = analyse(adapters, Settings(k=3, sides=("left", "right"), metrics=("cosine",)))
    assert found.adapters == whole.adapters
    assert any("zero" in finding.text for finding in found.adapters[-1].findings)


@pytest.mark.parametrize(
    ("settings", "free", "said"),
    [
        (Settings(), 20_000, "of all metrics of 4 adapters take .* and 20.0 kB are free. --metric cosine,norm takes"),
        (Settings(metrics=("u1",)), 9_000, "of u1 of 4 adapters .* --metric cosine,norm takes 1.4 kB"),
        (Settings(metrics=("cosine",)), 900, "Name fewer adapters, or modules such as --modules q_proj"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_work(adapters, monkeypatch, settings, free, said):
    monkeypatch.setattr(room, "available", lambda: free)
    with pytest.raises(InspectorError, match=said):
        analyse(adapters, settings, progress=lambda *_: pytest.fail("it began"))
    monkeypatch.setattr(room, "available", lambda: None)
    analyse(adapters, settings)


@pytest.mark.parametrize(
    "metrics", [(), ("cosine",), ("u1", "energy_ratio"), ("principal_angle", "u1"), ("orthogonal_fraction_module",)]
)
@pytest.mark.parametrize("scopes", [("global", "layer", "module"), ("global",)])
@pytest.mark.parametrize("sides", [("left",), ("left", "right")])
def test_the_estimate_is_that_of_the_blocks_of_pairs_and_the_products_of_a_module(metrics, scopes, sides):
    """Of ranks 2, 2, 2, 3 and 3 a module has 5² inner products alone, else five tables of 12²."""
    adapters = [random_adapter(str(n), n, r=2 + (n > 2)) for n in range(5)]
    settings = Settings(k=4, metrics=metrics, scopes=scopes, sides=sides)
    blocks = analyse(adapters, settings).blocks.items()
    of_pairs = {metric for metric, d in DEFINITIONS.items() if d.subject in {"pair", "ordered"}}
    held = sum(values.nbytes for (metric, _), values in blocks if metric in of_pairs)
    products = 5**2 if metrics in {("cosine",), ("orthogonal_fraction_module",)} else 5 * 12**2
    assert room.bytes_of_pairs(adapters, chosen_modules(adapters, ""), settings) == held + 8 * products


@pytest.mark.parametrize(
    ("metrics", "alone"), [(("cosine", "norm"), True), (("norm",), True), (("u1", "norm"), False), ((), False)]
)
def test_products_alone_are_made_where_nothing_else_of_pairs_is_asked(metrics, alone):
    adapters = [random_adapter(str(n), n) for n in range(2)]
    table = Table(adapters, chosen_modules(adapters, ""), Settings(metrics=metrics))
    assert table.products_alone is alone


def test_what_just_fits_is_analysed(adapters, monkeypatch):
    takes, less = (
        room.bytes_of_pairs(adapters, chosen_modules(adapters, ""), Settings(metrics=metrics, scopes=scopes))
        for metrics, scopes in (((), Settings().scopes), (("cosine", "norm"), ("global", "layer")))
    )
    monkeypatch.setattr(room, "available", lambda: takes)
    analyse(adapters, Settings())
    for free, said in ((takes - 1, "--metric cosine,norm"), (less, "--metric cosine,norm"), (less - 1, "Name fewer")):
        monkeypatch.setattr(room, "available", lambda free=free: free)
        with pytest.raises(InspectorError, match=said):
            analyse(adapters, Settings())


def test_memory_is_the_least_of_the_limits(tmp_path):
    assert memory.available(tmp_path) is None or memory.available(tmp_path) > 0
    proc, group = tmp_path / "proc", tmp_path / "sys/fs/cgroup"
    proc.mkdir()
    group.mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    5000 kB\n")
    assert memory.available(tmp_path) == 5_120_000
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("1000\n")
    assert memory.available(tmp_path) == 5_120_000
    (group / "memory.max").write_text("4000\n")
    assert memory.available(tmp_path) == 3000
