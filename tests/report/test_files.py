"""Figures, LaTeX, Markdown: complete or not at all, the study's numbers, nothing from outside as markup."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from inspector.common.errors import InspectorError
from inspector.insights.overview import in_blocks
from inspector.report import figures
from inspector.report.anonymise import cleared
from inspector.report.build import report
from inspector.report.chart_summary import brief
from inspector.report.document import Level, Lines, Table
from inspector.report.figures import write_figures
from inspector.report.latex import latex
from inspector.report.markdown import markdown
from inspector.report.page import page
from inspector.study.adapter_info import HealthIssue
from inspector.study.provenance import Origin
from tests.report.studies import HOSTILE, METHODS, full_study, only


@pytest.fixture(scope="module")
def study():
    """In the order of the report."""
    return in_blocks(full_study((*METHODS[:2], HOSTILE[2]), layers=2, probes=()))


@pytest.fixture(scope="module")
def folder(study, tmp_path_factory):
    found = tmp_path_factory.mktemp("figures")
    made = only(report(study), "measured", "matrix", "layers", "angles", "spectra")
    assert set(write_figures(made, found)) == {path.name for path in found.iterdir()}
    return found


def test_figures_come_in_three_formats(folder):
    charts = {path.stem for path in folder.glob("*.png")}
    assert {"cosine", "cosine-by-layer", "angles", "spectra"} <= charts
    for name in charts:
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        texts = [e.text for e in ET.parse(folder / f"{name}.svg").iter() if e.tag.endswith("}text")]
        assert texts, f"{name}: text is not text"


def test_figures_are_the_same_twice(tmp_path):
    small = only(report(full_study(METHODS[:2], layers=1, probes=())), "angles", "overlap")
    names = [write_figures(small, tmp_path / side) for side in "ab"]
    assert {"angles.pdf", "subspace-overlap.png", "angles.svg"} <= set(names[0])
    for name in names[0]:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_which_figure_of_how_many_is_told(tmp_path):
    small = only(report(full_study(METHODS[:2], layers=1, probes=())), "matrix", "angles")
    told = []
    written = write_figures(small, tmp_path, lambda *said: told.append(said))
    names = [Path(name).stem for name in written if name.endswith(".svg")]
    n = len(names)
    assert n > 2
    assert told == [
        *((f"Drawing {name}, figure {at + 1} of {n}", at, n) for at, name in enumerate(names)),
        (f"{n} figures drawn", n, n),
    ]


def test_a_figure_that_fails_leaves_nothing_half_written(study, tmp_path, monkeypatch):
    before = tmp_path / "cosine.svg"
    before.write_text("as it was")

    def fail(_, path, **__):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.backends.backend_svg.FigureCanvasSVG.print_svg", fail)
    with pytest.raises(InspectorError, match="No space left"):
        write_figures(only(report(study), "matrix"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cosine.svg"]
    assert before.read_text() == "as it was"


def test_latex_has_the_numbers_and_escapes_names(study, folder):
    text = (folder / "cosine.tex").read_text()
    assert r"\toprule" in text
    rows = [line.split(" & ") for line in text.splitlines() if line.startswith("sft & ")]
    assert [float(cell.rstrip(" \\")) for cell in rows[0][1:]] == [
        round(v, 2) for v in study.blocks["cosine", "global"][study.index("sft"), :, 0].tolist()
    ]
    assert r"ab\_\$x\textasciicircum{}2\$\_\&amp;$|$\textasciigrave{}c\textasciigrave{}\textbackslash{}d" in text


def test_latex_aligns_numbers_right():
    table = Table("t", "100 % & more", ("name", "x", "y"), (("a_b", "-1.5", "text"), ("c", "n/a", "2")))
    text = latex(table, "t")
    assert r"\begin{tabular}{lrl}" in text
    assert r"\caption{100 \% \& more}" in text
    assert r"a\_b & -1.5 & text \\" in text


def test_markdown_has_findings_and_tables(study):
    text = markdown(report(study))
    assert text.startswith("# What training did to the weights\n")
    assert "\n- " in text.split("## Who was measured")[0]
    row = next(line for line in text.split("Cosine of the updates")[1].splitlines() if line.startswith("| sft |"))
    shown = [float(cell) for cell in row.strip("| ").split(" | ")[1:]]
    assert shown == [round(v, 2) for v in study.blocks["cosine", "global"][study.index("sft"), :, 0].tolist()]


def test_markdown_follows_the_page():
    """Every section with numbers, in the page's order, charts too: CKA, spectra, layers, basins."""
    made = report(full_study(METHODS[:3], layers=6))
    text = markdown(made)
    titles = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert titles == [s.title for s in made.sections if s.id not in {"objectives", "claims"}]
    assert "Where along the depth two updates are alike or part." in text
    assert "- **cosine** `cosine`: ⟨ΔW" in text
    assert max(len(re.findall(r"(?m)^\|.*\|$", part)) for part in text.split("\n## ")) < 70
    many = markdown(report(full_study([f"a{n}" for n in range(12)], layers=36, probes=("cka",))))
    cka = table(many, "Debiased CKA of the hidden states by layer")
    assert len(cka) <= 2 + 7 + 2, "seven pairs, and both edges of the shuffled band"
    assert "(7 of 66)" in many


def table(text, caption):
    """The cells under a caption."""
    lines = text[text.index(f"**{caption}") :].splitlines()[2:]
    rows = lines[: next(n for n, line in enumerate(lines) if not line.startswith("|"))]
    return [line.strip("|").split(" | ") for line in rows]


def test_a_chart_along_the_layers_is_its_quartiles_with_the_layers_of_its_ends():
    study = full_study(METHODS[:2], layers=5)
    values = study.blocks["cka_debiased", "layer"][0, 1]
    row = next(row for row in table(markdown(report(study)), "Debiased CKA of the") if row[0].strip() == "sft · rft")
    low, q1, median, q3, high = (cell.strip() for cell in row[1:])
    assert [float(x) for x in (q1, median, q3)] == [round(q, 2) for q in np.quantile(values, (0.25, 0.5, 0.75))]
    assert low == f"{values.min():.2f} ({values.argmin()})"
    assert high == f"{values.max():.2f} ({values.argmax()})"


def test_a_spectrum_has_a_few_columns_and_what_is_flat_one_number():
    study = full_study(METHODS[:2], layers=3, rank=32, probes=())
    heads, _, first, *_ = table(markdown(report(study)), "Singular values")
    ks = [int(cell.split("=")[1]) for cell in heads[1:]]
    assert (ks[:2], ks[-1], len(ks)) == ([1, 2], 32, 7)
    sigma = np.median(study.blocks["singular_value", "module"][0], axis=0)
    assert [float(cell) for cell in first[1:]] == [round(sigma[k - 1], 4) for k in ks]
    flat = Lines("x", "x", ("layer", "y"), (0.0, 1.0), (), (Level("by chance", (0.5,)),))
    assert brief(flat).rows == (("by chance", "", "", "0.50", "", ""),)


def test_how_adapters_were_made_is_told_where_something_tells(study):
    origins = {"sft": Origin("sft", 2e-4, 42), "rft": Origin("rft", 1e-5, 42)}
    infos = tuple(replace(a, origin=origins.get(a.name, Origin())) for a in study.adapters)
    told = replace(study, adapters=infos)
    who = markdown(report(told)).split("## Who was measured")[1]
    heads, first = (
        next(line for line in who.splitlines() if line.startswith(start)) for start in ("| adapter", "| sft")
    )
    row = dict(zip(heads.strip("| ").split(" | "), first.strip("| ").split(" | "), strict=False))
    assert (row["method"], row["learning rate"], row["seed"]) == ("sft", "0.0002", "42")
    assert "step" not in row
    nothing = replace(study, adapters=tuple(replace(a, origin=Origin()) for a in study.adapters))
    assert "learning rate" not in markdown(report(nothing)).split("## Who was measured")[1].split("\n## ")[0]


def test_markdown_shows_hostile_names_as_text():
    text = markdown(report(full_study(HOSTILE, layers=2, probes=())))
    prose = re.sub(r"```sh.*?```", "", text, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<|(?<!\\)\|`", prose)
    assert r"\<script\>alert(1)\</script\>" in prose


def test_a_folder_that_is_a_file_is_refused(study, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InspectorError, match="Cannot write figures"):
        figures.write_figures(report(study), Path(tmp_path / "taken"))


def test_no_path_of_this_machine_is_published(tmp_path, monkeypatch):
    """Below the working directory from there, else the adapter's name for the reader to fill in; Hub ids as written."""
    home, work = tmp_path / "home" / "jane", tmp_path / "home" / "jane" / "work"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    found = full_study(("near", "far", "tilde", "hub", "windows"), layers=2, probes=("lmc", "accuracy"))
    sources = (f"{work}/out/near", f"{home}/far", "~/tilde", "org/repo@abc:sub", r"C:\Users\jane\windows")
    odd = (HealthIssue("warning", f"odd: {home}/far/a.json has no α/r; see https://hf.co/org/repo, {home}/my.log"),)
    adapters = [replace(a, source=s, base=f"{home}/base-1B") for a, s in zip(found.adapters, sources, strict=True)]
    adapters[1] = replace(adapters[1], findings=odd)
    probes = tuple(
        replace(p, base=f"{home}/base-1B", prompts=f"{home}/p.jsonl", note=f"answers in {home}/a") for p in found.probes
    )
    settings = replace(found.settings, reading=("--base", f"{home}/base-1B"))
    made = report(replace(found, adapters=tuple(adapters), probes=probes, settings=settings))
    written = [page(made), markdown(made)]
    write_figures(only(made, "measured", "reproduce", "accuracy", "lmc"), tmp_path / "figures")
    written += [path.read_text() for path in (tmp_path / "figures").iterdir() if path.suffix in {".tex", ".svg"}]
    for text in written:
        assert "jane" not in text
        assert str(tmp_path) not in text
    told = markdown(made)
    for word in ("near=out/near", "'far=<path of far>'", "'tilde=<path of tilde>'", "hub=org/repo@abc:sub"):
        assert word in told
    assert "--base '<path of base-1B>'" in told
    assert "--prompts '<path of p.jsonl>'" in told
    assert "Put a path of yours where a command has" in told
    assert r"odd: \<path of far\>/a.json has no α/r; see https://hf.co/org/repo, …/my.log" in told
    assert "base-1B" in told.split("## Findings")[0]


def test_text_that_only_looks_like_a_path_stays():
    for text in (
        "scale 2 (α/r = 16/8)",
        "ends in </s> or /s",
        "1/10 of theirs",
        "at https://h.co/a/b",
        "q_proj/k_proj",
    ):
        assert cleared(text) == text
