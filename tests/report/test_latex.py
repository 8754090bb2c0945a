"""LaTeX tables: whole, as wide as a page at most, and, where an engine is at hand, compiled."""

import re
import shutil
import subprocess

import pytest

from inspector.claims.bundled import claim_set
from inspector.claims.verdicts import evaluate
from inspector.report.build import report
from inspector.report.document import Bars, Matrix, Table
from inspector.report.figures import parts
from inspector.report.latex import escaped, latex
from inspector.report.latex_columns import columns
from tests.report.studies import HOSTILE, METHODS, full_study

SENTENCE = "The cosines of these three are nearly one, which says that they moved in one direction."


def tables(study, claims):
    """Every table that --figures writes of a study, by its id."""
    found = claim_set(claims)
    made = report(study, found, evaluate(found, [study]))
    every = [part for section in made.sections for part in parts(section.parts)]
    return {p.id: p if isinstance(p, Table) else p.table() for p in every if isinstance(p, Table | Bars | Matrix)}


@pytest.fixture(scope="module")
def written():
    large = tables(full_study(METHODS, layers=4), "arxiv:2606.23740")
    hostile = tables(full_study(HOSTILE, layers=2), "demo")
    assert {"claims", "barriers", "cosine", "adapters"} <= set(large)
    return {
        f"{n}-{id_}": (table, latex(table, id_))
        for n, some in enumerate((large, hostile))
        for id_, table in some.items()
    }


def unescaped(text):
    """The text without what is escaped or math."""
    return re.sub(r"\$[^$]*\$", "", re.sub(r"\\[&%$#_{}]", "", text))


def test_each_is_whole(written):
    """Groups and environments close, and every row has as many cells as there are columns."""
    for name, (table, text) in written.items():
        bare = unescaped(re.sub(r"^% .*", "", text, flags=re.MULTILINE))
        assert not re.search(r"[$%#~^]", bare), name
        depth = 0
        for character in bare:
            depth += (character == "{") - (character == "}")
            assert depth >= 0, name
        assert depth == 0, name
        begun, ended = (re.findall(rf"\\{word}{{(\w+)}}", bare) for word in ("begin", "end"))
        assert begun == ended[::-1], name
        assert begun[-1] in {"tabular", "longtable"}
        rows = [line for line in bare.splitlines() if line.endswith(r" \\")]
        heads = 2 if begun[-1] == "longtable" else 1
        assert len(rows) == len(table.rows) + heads, name
        assert {row.count("&") for row in rows} == {len(table.columns) - 1}, name
        assert not [row for row in rows if row.startswith(("[", "*"))]


def test_none_is_wider_than_its_page(written):
    for name, (table, _) in written.items():
        form = columns(table)
        assert form.fits, name
        line = 550 if form.landscape else 345
        assert sum(form.widths) + 6 * len(form.widths) / line <= 1.001, name


def test_what_it_needs_is_said_above_it(written):
    marks = {
        "array": r"\arraybackslash",
        "longtable": r"{longtable}",
        "graphicx": r"\rotatebox",
        "pdflscape": r"{landscape}",
    }
    for name, (_, text) in written.items():
        needed = set(re.match(r"% needs \\usepackage\{(.*)\}\n", text)[1].split(","))
        assert needed == {"booktabs", *(package for package, mark in marks.items() if mark in text)}, name


def test_sentences_are_wrapped_and_many_rows_go_on_over_pages():
    short = Table("t", "c", ("claim", "statement"), (("a", SENTENCE),))
    assert r"\raggedright\arraybackslash}p{" in latex(short, "t")
    assert r"\begin{tabular}" in latex(short, "t")
    many = Table("t", "c", ("claim", "statement"), (("a", SENTENCE),) * 40)
    assert r"\begin{longtable}" in latex(many, "t")
    assert r"\endhead" in latex(many, "t")


def test_a_matrix_of_many_turns_its_headings_and_then_the_page():
    def matrix(n):
        names = tuple(f"an-adapter-{i}" for i in range(n))
        return latex(Table("m", "c", ("", *names), tuple((name, *("-0.50",) * n) for name in names)), "m")

    assert r"\rotatebox{90}{an-adapter-3}" in matrix(9)
    assert r"\begin{landscape}" not in matrix(9)
    assert r"\begin{landscape}" in matrix(18)
    assert "% 65 columns, wider than a page" in matrix(64)


def test_what_tex_would_take_for_something_else():
    assert escaped("--base a_b") == r"-{}-base a\_b"
    assert escaped("---") == "-{}-{}-"
    assert escaped("[x] *`") == r"{[}x{]} {*}\textasciigrave{}"
    table = Table("t", "c", ("name", "x"), (("日本", "1"),))
    assert "% has letters that XeLaTeX and LuaLaTeX know, and pdfLaTeX does not" in latex(table, "t")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_they_compile_and_no_line_is_too_long(written, tmp_path):
    texts = [text for _, text in written.values()]
    packages = sorted({p for text in texts for p in re.match(r"% needs \\usepackage\{(.*)\}", text)[1].split(",")})
    body = "\n\\clearpage\n".join(texts)
    (tmp_path / "all.tex").write_text(
        f"\\documentclass{{article}}\\usepackage{{{','.join(packages)}}}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )
    for _ in range(2):  # longtable finds its widths in the second run
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
            cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:]
    assert [w for w in re.findall(r"Overfull \\hbox \((\d+\.\d+)pt", done.stdout) if float(w) > 1] == []
