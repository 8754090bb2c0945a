"""The web page: its numbers are the study's, nothing is loaded, nothing from outside is markup."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from inspector.claims.verdicts import evaluate
from inspector.insights.findings import findings_of
from inspector.insights.first_pairs import SHOWN
from inspector.insights.overview import in_blocks, overview
from inspector.insights.pairwise import pair_chance
from inspector.report.build import report
from inspector.report.chart_subjects import MOST, drawn_first, pairs
from inspector.report.drawing import draw
from inspector.report.page import page
from inspector.study.metrics import DEFINITIONS
from tests.claims.studies import claim, claims
from tests.report.studies import HOSTILE, METHODS, full_study, only

VOID = {"meta", "input", "br", "img", "link", "hr"}


class Parsed(HTMLParser):
    """Every element with its text; raises where tags do not close in order."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.tables, self.elements, self.texts, self._cell = [], {}, [], [], None
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.elements.append((tag, attrs))
        if tag not in VOID:
            self.stack.append(tag)
        if tag == "table":
            self.rows = []
            if "id" in attrs:
                self.tables[attrs["id"]] = self.rows
        elif tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
            self._cell = True

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag
        if tag in {"td", "th"}:
            self._cell = None

    def handle_data(self, data):
        self.texts.append(data)
        if self._cell:
            self.rows[-1][-1] += data

    def ids(self):
        return [attrs["id"] for _, attrs in self.elements if "id" in attrs]


@pytest.fixture(scope="module")
def study():
    """In the order of the report."""
    return in_blocks(full_study(METHODS[:4], layers=5))


@pytest.fixture(scope="module")
def text(study):
    return page(report(study))


@pytest.fixture(scope="module")
def parsed(text):
    return Parsed(text)


def numbers(rows):
    return [[float(cell) if re.fullmatch(r"-?[\d.]+", cell) else np.nan for cell in row[1:]] for row in rows[1:]]


@pytest.mark.parametrize("metric", ["cosine", "orthogonal_fraction_global", "orthogonal_fraction_module", "u1", "v1",
                                    "subspace_overlap"])  # fmt: skip
def test_matrices_hold_the_studys_numbers(study, parsed, metric):
    shown = numbers(parsed.tables[metric.replace("_", "-")])
    np.testing.assert_allclose(shown, study.blocks[metric, "global"][:, :, 0], atol=0.0051)


@pytest.mark.parametrize("metric", ["cosine", "u1", "cka_debiased", "cka"])
def test_tables_by_layer_hold_every_pair(study, parsed, metric):
    rows = parsed.tables[f"{metric.replace('_', '-')}-by-layer-numbers"]
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    assert rows[0][1 : 1 + len(pairs)] == [f"{study.names[i]} · {study.names[j]}" for i, j in pairs]
    assert [row[0] for row in rows[1:]] == [str(layer) for layer in study.layers]
    expected = [[study.blocks[metric, "layer"][i, j, at] for i, j in pairs] for at in range(5)]
    np.testing.assert_allclose(np.array(numbers(rows))[:, : len(pairs)], expected, atol=0.0051)


def test_angles_are_median_quartiles_and_worst_beside_chance(study, parsed):
    rows = {row[0]: row[1:] for row in parsed.tables["angles-numbers"]}
    smallest, quartiles, largest = rows[" · ".join(study.names[:2])]
    block = {q: study.blocks[f"principal_angle{q}", "global"][0, 1, 0] for q in ("", "_q25", "_q75")}
    assert float(smallest) == pytest.approx(block[""][0], abs=0.051)
    assert float(largest) == pytest.approx(block[""][-1], abs=0.051)
    assert [float(x) for x in quartiles.split(" to ")] == pytest.approx([block["_q25"][0], block["_q75"][0]], abs=0.051)
    chance = pair_chance(study, "principal_angle", 0, 1)
    assert float(rows["by chance, smallest"][0]) == pytest.approx(chance[0], abs=0.051)
    assert float(rows["by chance, largest"][0]) == pytest.approx(chance[-1], abs=0.051)


def test_curves_run_over_alpha_with_the_base(study, parsed):
    rows = parsed.tables["lmc-numbers"]
    assert [float(row[0]) for row in rows[1:]] == list(study.alphas)
    np.testing.assert_allclose(np.array(numbers(rows))[:, 0], study.blocks["lmc_loss", "global"][0, 1, 0], atol=0.0051)
    assert rows[0][-1] == "the base"
    assert {float(row[-1]) for row in rows[1:]} == {round(float(study.blocks["lmc_loss_base", "global"][0]), 3)}


def test_accuracy_has_its_interval_in_percent(study, parsed):
    row = next(row for row in parsed.tables["accuracy-numbers"] if row[0] == "dft")
    expected = [
        100 * study.blocks[m, "global"][study.index("dft"), 0] for m in ("accuracy", "accuracy_low", "accuracy_high")
    ]
    assert [float(row[1]), *map(float, row[2].split(" to "))] == pytest.approx(expected, abs=0.051)


def test_every_section_is_there_with_its_definitions(study, parsed):
    ids = parsed.ids()
    sections = report(study).sections
    assert [s.id for s in sections][:4] == ["overview", "findings", "measured", "matrix"]
    assert all(f"{section.id}-section" in ids for section in sections)
    metrics = {metric for section in sections for metric in section.metrics}
    assert {"cosine", "stable_rank", "barrier_chord", "mcnemar_p_holm", "row_space_overlap"} <= metrics
    assert all(f"def-{metric}" in ids for metric in metrics)
    text = "".join(parsed.texts)
    assert all(DEFINITIONS[metric].formula.replace("`", "") in text for metric in metrics)


def test_ids_are_unique_and_links_lead_somewhere(parsed):
    ids = parsed.ids()
    assert len(ids) == len(set(ids))
    used = [attrs[name] for _, attrs in parsed.elements for name in ("href", "xlink:href") if name in attrs]
    used += re.findall(r"url\((#[^)]+)\)", " ".join(attrs.get("clip-path", "") for _, attrs in parsed.elements))
    assert used
    assert {link.removeprefix("#") for link in used} <= set(ids)


def test_nothing_is_loaded(text, parsed):
    assert not [tag for tag, _ in parsed.elements if tag in {"link", "img", "iframe", "object", "embed"}]
    assert not [attrs for _, attrs in parsed.elements if {"src", "srcset", "data-src"} & set(attrs)]
    assert not re.findall(r"url\((?!#)|@import", text)
    assert "default-src 'none'" in text
    outside = set(re.findall(r"https?://[\w./-]+", text))
    assert outside <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_findings_are_the_takeaways_with_cautions_marked(study, parsed):
    text = "".join(parsed.texts)
    found = [*findings_of(study), *overview(study).so_what]
    assert all(takeaway.text in text for takeaway in found)
    marked = [attrs for tag, attrs in parsed.elements if tag == "li" and attrs.get("class") == "caution"]
    assert len(marked) == sum(takeaway.caution for takeaway in found) > 0


def test_hostile_names_are_text(tmp_path):
    study = full_study(HOSTILE, layers=1, base="<b>base</b>")
    claimed = claims(tmp_path, claim("metric: cosine; pairs: [[a, b]]; value: 1; relation: about; tolerance: 0.1"))
    text = page(report(study, claimed, evaluate(claimed, [study])))
    parsed = Parsed(text)
    assert [tag for tag, _ in parsed.elements].count("script") == 1
    assert "img" not in [tag for tag, _ in parsed.elements]
    assert not [name for _, attrs in parsed.elements for name in attrs if name.startswith("on")]
    assert "".join(parsed.texts).count("<script>") > 3
    assert "\u202e" not in text
    assert "\u200b" not in text
    assert "<b>base</b>" not in text


def test_claims_have_their_verdict_beside_their_name(tmp_path):
    study = full_study(METHODS[:2], layers=1, base="org/small")
    names = ", ".join(f"{name}:" for name in METHODS[:2])
    head = f"title: Toy\naddress: toy\nbase: org/large\nadapters: {{{names}}}\nclaims:\n"
    fields = f"metric: cosine; pairs: [[{METHODS[0]}, {METHODS[1]}]]; relation: at most; value: 1"
    claimed = claims(tmp_path, claim(fields), head)
    parsed = Parsed(page(report(study, claimed, evaluate(claimed, [study]))))
    columns, row = parsed.tables["claims"][0], parsed.tables["claims"][1]
    assert columns == ["claim", "verdict", "statement", "published", "metric", "measured"]
    assert row[:5] == ["one", "holds !", "so it is", "≤ 1", "cosine"]
    assert "not trained on org/large, which the claims are about." in "".join(parsed.texts)


def test_charts_follow_the_theme_and_name_their_lines(parsed):
    assert not [
        a
        for tag, a in parsed.elements
        if tag in {"path", "text", "use"} and re.search(r"#[0-9a-f]{6}\b", a.get("style", ""))
    ]
    keys = {attrs["data-key"] for _, attrs in parsed.elements if "data-key" in attrs}
    assert {"pair-0-1", "pair-2-3", "adapter-0", "adapter-3"} <= keys
    pictures = [attrs for tag, attrs in parsed.elements if tag == "svg" and attrs.get("role") == "img"]
    assert len(pictures) > 10
    assert all(picture["aria-label"] for picture in pictures)


def test_what_was_not_measured_says_how():
    bare = full_study(METHODS[:2], layers=1, probes=())
    made = report(bare)
    text = page(made)
    assert text.count("--probe lmc,cka,lens,intruders,accuracy --base BASE --out study.json") == 1
    assert not {"lmc", "cka", "lens", "intruders", "accuracy"} & {section.id for section in made.sections}
    assert "--claims arxiv:2606.23740" in text


@pytest.mark.parametrize("names", [METHODS[:1], METHODS[:2]])
def test_small_studies_have_pages(names):
    assert Parsed(page(report(full_study(names, layers=1, probes=())))).tables["adapters"]


def test_the_same_study_gives_the_same_bytes():
    small = only(report(full_study(METHODS[:2], layers=2, probes=())), "findings", "layers", "spectra")
    assert page(small) == page(small)


def test_commands_measure_the_same_again(study):
    commands = report(study).sections[-1].parts[1].text
    assert "'sft=<path of sft>'" in commands
    assert "--probe lmc,cka,lens,intruders,accuracy --base org/base --prompts gsm8k --limit 100" in commands
    assert "--k 10 --sides left" in commands


def test_eight_adapters_of_36_layers_stay_below_3_mb():
    assert len(page(report(full_study(METHODS, layers=36))).encode()) < 3e6


def test_many_adapters_keep_their_charts_to_66_pairs():
    made = report(full_study([f"adapter-{i}" for i in range(40)], layers=2, probes=()))
    (chart,) = next(section for section in made.sections if section.id == "layers").parts
    assert len(made.pairs) == len(chart.series) == 66
    verdicts, table, _ = next(section for section in made.sections if section.id == "merging").parts
    assert len(verdicts.rows) == len(table.rows) == 40 * 39 // 2


def test_which_pairs_are_drawn_at_first_is_a_sentence():
    study = full_study(METHODS[:5], layers=2, probes=())
    near = np.eye(5)
    near[2] = near[:, 2] = 0.9
    study.blocks["cosine", "global"][:, :, 0] = near
    assert drawn_first(study) == (
        "The charts draw 4 of 10 pairs at first: rift, the adapter nearest to the others, with 4 of them, "
        "the nearest to the farthest."
    )
    assert drawn_first(full_study(METHODS[:2], layers=2, probes=())) == ""
    many = drawn_first(full_study([f"a{n}" for n in range(13)], layers=1, probes=()))
    assert many.startswith(f"The charts draw {SHOWN} of 78 pairs at first: ")
    assert many.endswith(f" {MOST} of them can be chosen, tables of pairs have all.")


def test_pairs_with_paths_are_drawn_first():
    study = full_study(METHODS[:5], layers=2)
    study.blocks["lmc_loss", "global"][:] = np.nan
    study.blocks["lmc_loss", "global"][0, 3] = 1.0
    assert "10 pairs at first: those whose paths were measured and " in drawn_first(study)
    assert (0, 3) in {subject.at for subject in pairs(study) if subject.shown}


@pytest.mark.parametrize("metric", ["cosine", "norm", "cka", "lmc_loss", ""])
def test_a_study_saved_with_some_metrics_has_a_page(metric):
    study = full_study(METHODS[:3], layers=2)
    blocks = {key: values for key, values in study.blocks.items() if key[0] == metric}
    assert Parsed(page(report(replace(study, blocks=blocks)))).tables["adapters"]


def test_an_adapter_that_could_not_be_measured_is_na():
    study = full_study(METHODS[:3], layers=1, probes=())
    blocks = {key: values.copy() for key, values in study.blocks.items()}
    for (metric, _), values in blocks.items():
        if DEFINITIONS[metric].subject != "none":
            values[1] = np.nan
        if DEFINITIONS[metric].subject in {"pair", "ordered"}:
            values[:, 1] = np.nan
    parsed = Parsed(page(report(replace(study, blocks=blocks))))
    assert next(row[1:] for row in parsed.tables["cosine"] if row[0] == "rft") == ["n/a"] * 3
    assert {*parsed.tables["angles-numbers"][1][0].split(" · ")} == {"sft", "rift"}


def test_the_report_begins_with_the_overview_of_the_app(study, parsed):
    """The same groups, in blocks; and the geometry read in four sentences."""
    found = overview(study)
    rows = parsed.tables["groups"][1:]
    assert [row[1] for row in rows] == [study.names[i] for i in found.order] == list(study.names)
    assert [row[0] for row in parsed.tables["adapters"][1:]] == list(study.names)
    text = "".join(parsed.texts)
    assert text.rindex("Reading the geometry") < text.rindex("All findings") < text.rindex("Who was measured")


def test_what_all_names_share_is_left_out_but_of_commands():
    stem = "run1-qwen3-4b-lora-r32-math-"
    study = full_study([f"{stem}{name}" for name in METHODS[:3]], layers=2, probes=())
    made = report(replace(study, adapters=tuple(replace(info, findings=()) for info in study.adapters)))
    text = page(only(made, "overview", "findings", "measured", "matrix"))
    assert text.count(stem) == 1  # the subtitle
    assert stem in page(only(made, "reproduce"))


def test_groups_of_a_matrix_are_set_apart():
    made = full_study(METHODS[:4], layers=2, probes=())
    cosine = np.array([[1, 0, 0.9, 0], [0, 1, 0, 0.8], [0.9, 0, 1, 0], [0, 0.8, 0, 1]])[..., None]
    made = report(replace(made, blocks={**made.blocks, ("cosine", "global"): cosine}))
    (section,) = [section for section in made.sections if section.id == "matrix"]
    cosines, outputs = section.parts[0].parts
    assert {frozenset(cosines.names[:2]), frozenset(cosines.names[2:])} == {
        frozenset(METHODS[:4:2]),
        frozenset(METHODS[1:4:2]),
    }
    assert (cosines.id, outputs.id, outputs.names, outputs.breaks) == ("cosine", "u1", cosines.names, (2,))
    page_of = Parsed(page(only(made, "matrix")))
    matrices = [part for part in section.parts if part.kind == "matrix"]
    assert sum(attrs.get("class") == "cut" for tag, attrs in page_of.elements if tag == "tr") == 2 + len(matrices)


def test_norms_are_drawn_on_a_log_axis(study):
    (sizes,) = [section for section in report(study).sections if section.id == "size"]
    norms, ranks = sizes.parts[:2]
    assert (norms.id, norms.log, ranks.id, ranks.log) == ("norm-bars", True, "effective-rank-bars", False)
    assert [bar.value for bar in norms.bars] == study.blocks["norm", "global"][:, 0].tolist()
    axes = draw(norms).axes[0]
    assert axes.get_xscale() == "log"
    assert 0 < axes.get_xlim()[0] < min(bar.value for bar in norms.bars)
