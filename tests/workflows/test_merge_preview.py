"""`merge-preview` in this process: exit codes, what is said and what is written, source by source."""

# ruff: noqa: E501 - a case a line

import json

import pytest
import torch

from inspector.adapters.opening import open_sources
from inspector.adapters.options import DEFAULTS
from inspector.common.errors import InspectorError
from inspector.workflows.merge_preview import merge_preview, weighted
from tests.makers import random_factors, write_adapter, write_random

Q0 = "model.layers.0.self_attn.q_proj"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Two adapters that fit, and others, each odd in what its name says."""
    monkeypatch.chdir(tmp_path)
    write_random(tmp_path / "a")
    write_random(tmp_path / "b", 1)
    write_random(tmp_path / "other", 2, base="org/other")
    write_adapter(tmp_path / "wide", random_factors({Q0: (32, 16), "model.layers.1.self_attn.q_proj": (24, 16)}))
    B, A = random_factors()[Q0]
    write_adapter(tmp_path / "nan", {Q0: (B * torch.nan, A)})
    write_adapter(
        tmp_path / "more", random_factors(seed=3), extra={"base_model.model.lm_head.weight": torch.ones(4, 4)}
    )
    write_adapter(tmp_path / "pattern", random_factors(seed=4), alpha_pattern={"k_proj": 2})
    write_adapter(tmp_path / "empty", {}, r=4, extra={"x": torch.zeros(2)})
    (tmp_path / "notes.txt").write_text("notes")
    return tmp_path


def run(*sources, rank=None, dest=None, out=None):
    return merge_preview(sources, rank=rank, dest=dest, out=out, device="cpu", read_options=DEFAULTS)


def test_parents_without_a_module_in_common_are_said(tmp_path, capsys):
    """Their sum has no number of any of them together: none of it is a measured orthogonality."""
    names = {"a": ["q_proj", "v_proj"], "b": ["linear_qkv"]}
    for folder, projections in names.items():
        write_adapter(
            tmp_path / folder, random_factors({f"model.layers.0.self_attn.{name}": (24, 16) for name in projections})
        )
    run(*(str(tmp_path / folder) for folder in names))
    assert "side by side: no module in common between 2 groups" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sources", "code", "said"),
    [
        (("a", "b:-0.5"), 0, ""),
        (("a:2", "b:0"), 0, ""),
        (("a", "wide"), 3, "0.self_attn.q_proj is left out: 24×16 in a, 32×16 in wide\n"),
        (("a", "wide:0"), 0, ""),
        (("a", "nan"), 3, "0.self_attn.q_proj is left out: not finite in nan\n"),
        (("a", "pattern"), 0, "warning: pattern: alpha_pattern: no module is hit by k_proj\n"),
        (("a", "more"), 0, ""),
    ],
)
def test_exit_codes_of_a_preview(place, sources, code, said, capsys):
    assert run(*sources) == code
    out, err = capsys.readouterr()
    assert said in err
    assert ("left out" in err) == (code == 3)
    assert "info: " not in err
    weights = [float(source.partition(":")[2] or 1) for source in sources]
    assert f"Σ w·ΔW of {sum(w != 0 for w in weights)} adapter" in out
    assert not [path for path in place.iterdir() if path.name in {"sum", "t.json"}]


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (("a", "gone"), "gone"),
        (("a", "empty"), "empty cannot be added: no LoRA pair (A and B of one module) that could be analysed"),
        (("a:0", "b:0.0"), "Every weight is 0"),
        (("nan",), "No module can be added|"),
        (("a", "other:0.5"), "a names the base tiny/base, other names org/other, and their sum fits neither. If"),
        (("a:x",), "'a' is here, but 'x' after it is not a weight"),
    ],
)
def test_what_is_no_sum(place, sources, said, capsys):
    if said.endswith("|"):
        assert run(*sources) == 3
        assert "norm of the sum   0\n" in capsys.readouterr().out
        return
    with pytest.raises(InspectorError) as error:
        run(*sources)
    assert said in str(error.value)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("write", [False, True])
def test_a_named_file_that_is_not_an_adapter_is_no_sum(place, write, capsys):
    with pytest.raises(InspectorError, match=r"^notes\.txt is not an adapter file"):
        run("a", "notes.txt:0.5", dest=place / "sum" if write else None)
    assert not (place / "sum").exists()
    assert capsys.readouterr().out == ""
    assert run("a", "notes.t*") == 0  # a pattern may bring other files
    assert "Skipped: notes.txt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sources", "code", "rank"), [(("a", "b:0.5"), 0, 8), (("a", "more"), 3, 8), (("a", "more:0"), 0, 4)]
)
def test_what_is_written_and_said_of_it(place, sources, code, rank, capsys):
    assert run(*sources, dest=place / "sum", out=place / "t.json") == code
    out, err = capsys.readouterr()
    assert f"Wrote {place / 't.json'}" in err
    assert f"Wrote {place / 'sum'}: 6 modules of rank {rank}." in err
    assert ("that are not part of the sum" in err) == (code == 3)
    assert "at rank 4\n" in out
    ((written,), _) = open_sources([str(place / "sum")])
    assert {m.rank for m in written.modules.values()} == {rank}
    assert written.info.base == "tiny/base"
    card = (place / "sum" / "README.md").read_text()
    for source in sources:
        name, _, weight = source.partition(":")
        assert (f"| {name} | {weight or 1} | " in card) == (weight != "0")
    table = json.loads((place / "t.json").read_text())["table"]
    given = [value for metric, value in zip(table["metric"], table["value"], strict=True) if metric == "merge_weight"]
    assert given == [float(source.partition(":")[2] or 1) for source in sources]


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (("a", "other"), "a names the base tiny/base, other names org/other"),
        (("a", "wide"), "0.self_attn.q_proj cannot be added: 24×16 in a, 32×16 in wide. Nothing was written."),
        (("a", "nan"), "0.self_attn.q_proj cannot be added: not finite in nan. Nothing was written."),
    ],
)
def test_what_cannot_be_written_is_not(place, sources, said):
    with pytest.raises(InspectorError) as error:
        run(*sources, dest=place / "sum", out=place / "t.json")
    assert said in str(error.value)
    assert not (place / "sum").exists()
    assert not (place / "t.json").exists()


def test_places_that_cannot_be_written_are_refused_before_anything_is_opened(place):
    for more in ({"dest": place / "a"}, {"out": place / "no" / "t.json"}, {"out": place / "t.txt"}):
        with pytest.raises(InspectorError):
            run("gone", **more)
    with pytest.raises(InspectorError, match="exists"):
        run("gone", dest=place / "a")


def test_several_modules_that_cannot_be_added_are_counted(place):
    write_adapter(place / "two", {path: (torch.cat([B, B]), A) for path, (B, A) in random_factors().items()})
    with pytest.raises(InspectorError, match=r"cannot be added: 24×16 in a, 48×16 in two \(6 such modules\)\. Nothing"):
        run("a", "two", dest=place / "sum")


@pytest.mark.parametrize(
    ("text", "source", "weight"),
    [
        ("a", "a", 1.0), ("a:0.5", "a", 0.5), ("a:-2", "a", -2.0), ("a:+.5e-1", "a", 0.05), ("a:3.", "a", 3.0), ("a:x", "a:x", 1.0),
        ("a:nan", "a:nan", 1.0), ("a:1e999", "a:1e999", 1.0), ("org/repo:sub:2", "org/repo:sub", 2.0), ("a:", "a:", 1.0), ("0.5", "0.5", 1.0),
        ("a:0x1", "a:0x1", 1.0), ("a:1_0", "a:1_0", 1.0), ("a:0", "a", 0.0),
        ("a:-1e30", "a", -1e30), ("a:1e-30", "a", 1e-30), ("a:1.1e30", "a:1.1e30", 1.0), ("a:9e-31", "a:9e-31", 1.0),
    ],
)  # fmt: skip
def test_a_source_and_its_weight(text, source, weight):
    assert weighted(text) == (source, weight)


def test_a_path_that_is_there_is_a_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a:2").mkdir()
    assert weighted("a:2") == ("a:2", 1.0)
    assert weighted("a:3") == ("a", 3.0)
