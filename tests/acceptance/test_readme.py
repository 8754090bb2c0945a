"""What the README shows, done."""

import re
import shutil
from pathlib import Path

import pytest

import inspector
from inspector.cli import cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_library_example_runs(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    shutil.copytree(ROOT / "assets" / "demo", tmp_path / "assets" / "demo")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["study"].names == ("sft", "dpo", "sft_s123")
    assert names["apart"]["sft", "sft_s123"] < 0.1
    assert "- Another seed of sft" in capsys.readouterr().out
    assert inspector.open_study(tmp_path / "study.parquet").names == names["study"].names


def test_every_command_shown_is_one():
    shown = set(re.findall(r"^inspector ([a-z-]+)\b(?=[ \n])", README, re.MULTILINE))
    assert {"analyze", "verify", "report", "train"} <= shown
    assert not shown - set(cli.commands) - {"runs", "adapters", "study", "mine", "org"}


def test_every_command_is_shown():
    assert not [name for name in cli.commands if name != "open" and f"inspector {name}" not in README]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!https?:|#)([^)]+)\)", README))))
def test_links_lead_somewhere(target):
    assert (ROOT / target).exists()


def test_anchors_lead_somewhere():
    heads = {
        re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-")
        for head in re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    }
    assert not set(re.findall(r"\]\(#([^)]+)\)", README)) - heads
