"""`inspector atlas`: a pool with known families, and what is found in it."""

import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from inspector.adapters.opening import identity, open_sources
from inspector.analysis import exact_pairs
from inspector.analysis.analyse import analyse
from inspector.analysis.exact_pairs import exact_cosines
from inspector.analysis.sketching import sketch_of
from inspector.cli.main import cli, run
from inspector.insights import atlas as insights
from inspector.study import sketch_pairs
from inspector.study import sketches as sketches_file
from inspector.study.sketches import Sketches
from inspector.study.study import Settings
from inspector.workflows import atlas as workflow
from inspector.workflows import near_pairs
from tests.makers import TINY, random_factors, write_adapter, write_random

RUNS, STEPS = 3, 6


def command(*words):
    return CliRunner().invoke(cli, list(map(str, words)), standalone_mode=False)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Three runs of six checkpoints, a copy, one that is nearly another, one that moved far, a lone one."""
    root = tmp_path_factory.mktemp("pool")
    for seed in range(RUNS):
        start, end = random_factors(seed=seed), random_factors(seed=100 + seed)
        rng = torch.Generator().manual_seed(seed)
        for step in range(1, STEPS + 1):
            t = step / STEPS
            write_adapter(root / f"run{seed}" / f"step{step}", {
                p: (t * end[p][0] + 0.004 * torch.randn(end[p][0].shape, generator=rng), start[p][1]) for p in start
            })  # fmt: skip
    shutil.copytree(root / "run0" / "step6", root / "copy")
    near = {p: (B * 1.0001 + 1e-5, A) for p, (B, A) in random_factors(seed=9).items()}
    write_adapter(root / "twin0", random_factors(seed=9))
    write_adapter(root / "twin1", near)
    write_adapter(root / "huge", {p: (300 * B, A) for p, (B, A) in random_factors(seed=50).items()})
    return root


@pytest.fixture(scope="module")
def opened(pool):
    return open_sources([str(pool)])[0]


@pytest.fixture(scope="module")
def sketches(opened):
    return Sketches([sketch_of(adapter) for adapter in opened])


@pytest.fixture(scope="module")
def exact(opened):
    return analyse(opened, Settings(metrics=("cosine",))).block("cosine", "global")[:, :, 0]


@pytest.mark.parametrize("size", [2, 256], ids=["between blocks", "within blocks"])
def test_exact_cosines_are_those_of_an_analysis(opened, sketches, exact, size, monkeypatch):
    monkeypatch.setattr(exact_pairs, "_BLOCK", size)
    pairs = np.array([(i, j) for i in range(len(opened)) for j in range(i)])
    found = exact_cosines(opened, pairs, insights.blocks(sketches, pairs))
    np.testing.assert_allclose(found, exact[tuple(pairs.T)], atol=1e-9)


def test_exact_cosines_where_modules_and_ranks_differ(tmp_path):
    write_random(tmp_path / "a", 0)
    write_adapter(tmp_path / "b", random_factors({p: TINY[p] for p in list(TINY)[:3]}, seed=1))
    write_random(tmp_path / "c", 2, r=7)
    write_adapter(tmp_path / "zero", {p: (0 * B, A) for p, (B, A) in random_factors().items()})
    adapters, _ = open_sources([str(tmp_path)])
    exact = analyse(adapters, Settings()).block("cosine", "global")[:, :, 0]
    pairs = np.array([(i, j) for i in range(4) for j in range(i)])
    for blocks in ([[0, 1, 2, 3]], [[0], [1], [2], [3]]):
        np.testing.assert_allclose(exact_cosines(adapters, pairs, blocks), exact[tuple(pairs.T)], atol=1e-9)


def test_the_neighbours_are_those_of_the_exact_cosines(opened, sketches, exact):
    """Recall of the five nearest among those a sketch can tell from 0."""
    pairs = insights.candidates(sketches, k=5)
    cosines = exact_cosines(opened, pairs, insights.blocks(sketches, pairs))
    made = insights.atlas(sketches, pairs, cosines, k=5)
    hits = total = 0
    for i, near in enumerate(made.neighbours):
        others = [j for j in np.argsort(-exact[i]) if j != i and exact[i, j] > 0.3][:5]
        hits += len({n.index for n in near} & set(others))
        total += len(others)
        for n in near:
            assert n.error == 0
            assert n.cosine == pytest.approx(exact[i, n.index], abs=1e-9)
    assert total > 80
    assert hits / total >= 0.95


@pytest.mark.parametrize("size", [1, 5, 22])
def test_products_are_the_same_however_many_are_made_at_once(sketches, size, monkeypatch):
    order = (21, 3, 4, 0)
    rows = [sketches.estimate("rows", i).value for i in order]
    cosines = [sketches.pair(i, 7) for i in order]
    monkeypatch.setattr(sketches_file, "_TOGETHER", size)
    again = Sketches(sketches.all)
    np.testing.assert_allclose([again.estimate("rows", i).value for i in order], rows, atol=1e-6)
    np.testing.assert_allclose([again.pair(i, 7) for i in order], cosines, atol=1e-6)


def test_what_is_found(opened, sketches):
    pairs = insights.candidates(sketches)
    made = insights.atlas(sketches, pairs, exact_cosines(opened, pairs, insights.blocks(sketches, pairs)))
    name = [a.info.name.rpartition("pool")[2] for a in opened]
    groups = [{name[i].rpartition("/")[2] if "copy" in name[i] else name[i] for i in g} for g in made.groups]
    assert [len(g) for g in groups] == [7, 6, 6, 2]
    assert "copy" in groups[0]
    assert [{name[i].rpartition("/")[2] for i in same} for same in made.copies] == [{"copy", "step6"}]
    assert [{name[i][-5:], name[j][-5:]} for i, j, _ in made.twins] == [{"twin0", "twin1"}]
    assert [name[i][-4:] for i in made.alone] == ["huge"]
    assert {name[i][-4:] for i, why in made.outliers if "‖ΔW‖" in why} >= {"huge"}
    assert sorted(map(len, made.kin)) == [2, 6, 6, 7]
    assert made.estimated == 0


def test_to_keep_is_what_the_others_are_near_to(sketches):
    kept = insights.keep(sketches, 5)
    names = [sketches.all[i].name for i, *_ in kept]
    assert names[0].endswith("huge"), "the one that moved most"
    assert sum(stands for _, stands, _ in kept) == len(sketches) - 5
    far = [insights.keep(sketches, count) for count in (2, 5, 10, len(sketches))]
    worst = [max(distance for *_, distance in of) for of in far]
    assert worst == sorted(worst, reverse=True)
    assert worst[-1] == pytest.approx(0, abs=1e-6)
    assert len(insights.keep(sketches, 1000)) == len(sketches) - 1, "a copy is not kept twice"


def test_other_models_are_not_compared(tmp_path, sketches):
    write_adapter(tmp_path / "other", random_factors({p: (d_out, 18) for p, (d_out, _) in TINY.items()}))
    other = sketch_of(open_sources([str(tmp_path / "other")])[0][0])
    found = Sketches([*sketches.all, other])
    assert set(found.model[:-1].tolist()) == {0}
    assert found.model[-1] == 1
    estimate = found.estimate("update", len(found) - 1)
    assert np.isnan(estimate.value[:-1]).all()
    assert np.isnan(estimate.error[:-1]).all()


class Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.text = ""

    def handle_data(self, data):
        self.text += f"{data} "


@pytest.mark.parametrize("most", [4, 200], ids=["a few open at once", "all at once"])
def test_the_command_and_its_page(pool, tmp_path, monkeypatch, exact, opened, most):
    monkeypatch.setattr(near_pairs, "_OPEN", most)
    found = command("atlas", pool, "--out", tmp_path / "a.html", "--store", tmp_path / "s.parquet")
    assert found.return_value == 0
    assert "22 adapters of 1 model: 4 groups that hold 21, 1 alone." in found.output
    assert "1 of them is a copy of another; 1 pair nearly the same" in found.output
    digest = [identity(adapter) for adapter in opened]
    for (one, other), value in sketch_pairs.read(sketch_pairs.beside(tmp_path / "s.parquet")).items():
        assert value == pytest.approx(exact[digest.index(one), digest.index(other)], abs=1e-9)
    page = Text()
    page.feed((tmp_path / "a.html").read_text())
    for text in ("Neighbours", "run2/step3", "nearly the same", "stand out"):
        assert text in page.text
    assert str(pool) not in page.text, "no path of this machine"


def test_adding_one_costs_one(pool, tmp_path, monkeypatch):
    here = tmp_path / "pool"
    shutil.copytree(pool, here)
    store = tmp_path / "s.parquet"
    assert command("atlas", here, "--store", store).return_value == 0
    known = sketch_pairs.read(sketch_pairs.beside(store))
    write_adapter(here / "new", {p: (B * 0.5, A) for p, (B, A) in random_factors(seed=9).items()})
    measured, sketched = [], []
    real, real_sketch = exact_cosines, sketch_of
    monkeypatch.setattr(exact_pairs, "exact_cosines", lambda a, p, *more: measured.append(len(p)) or real(a, p, *more))
    monkeypatch.setattr(
        "inspector.analysis.sketching.sketch_of", lambda a: sketched.append(a.info.name) or real_sketch(a)
    )
    found = command("atlas", here, "--store", store, "--near", here / "new")
    assert found.return_value == 0
    assert [name.rpartition("/")[2] for name in sketched] == ["new"]
    assert sum(measured) <= 30, "its own pairs"
    assert len(sketch_pairs.read(sketch_pairs.beside(store))) >= len(known)
    assert "neighbours of new" in found.output
    assert "twin0" in found.output


def test_parts_of_adapters_that_are_elsewhere(pool, tmp_path):
    here = tmp_path / "pool"
    shutil.copytree(pool, here)
    for i in range(2):
        command("sketch", here, "--out", tmp_path / f"{i}.parquet", "--shard", f"{i}/2")
    shutil.rmtree(here)
    found = command("atlas", *tmp_path.glob("?.parquet"), "--near", "twin0")
    assert found.return_value == 0
    assert "cannot be opened here: their cosines are estimates" in found.output
    assert "22 adapters of 1 model: 4 groups" in found.output
    assert "not measured" in found.output
    assert "±" in found.output
    assert "--estimates" not in found.output
    assert "not measured" in command("atlas", *tmp_path.glob("?.parquet"), "--estimates").output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--near", "nobody"], "No adapter 'nobody' is among these|nobody"),
        (["--out", "a.pdf"], "must end in .html"),
        (["--store", "nowhere/s.parquet"], "there is no folder"),
    ],
)
def test_bad_input(pool, words, said, capsys):
    assert run(lambda: cli.main(["atlas", str(pool / "run0"), *words], standalone_mode=False)) in {2, 3}
    import re

    assert re.search(said, capsys.readouterr().err)


def test_nothing_to_compare(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert run(lambda: cli.main(["atlas", str(tmp_path / "empty")], standalone_mode=False)) == 2
    assert "No adapter" in capsys.readouterr().err
    assert workflow.Parts().exact


def test_on_a_narrow_terminal_no_line_spills(pool, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    found = command("atlas", pool, "--estimates").stdout
    lines = re.sub(r"\x1b\[[0-9;]*m", "", found).splitlines()
    assert max(map(len, lines)) <= 60
    assert any(line.startswith("group 1 · adapters 7 · first ") for line in lines)
