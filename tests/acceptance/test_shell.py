"""What the shell knows of the commands: completion and man pages."""

import os
import subprocess
import sys

import pytest

from inspector.claims.bundled import addresses
from inspector.study.metrics import DEFINITIONS
from tests.acceptance.command import ROOT
from tests.man_pages import FOLDER, pages


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory):
    """A folder whose torch cannot be imported: nobody waits seconds for a tab."""
    folder = tmp_path_factory.mktemp("path")
    (folder / "torch.py").write_text("raise ImportError('torch was imported')")
    return folder


@pytest.fixture
def completed(without_torch):
    def complete(words, at):
        asked = {"COMP_WORDS": words, "COMP_CWORD": str(at), "_INSPECTOR_COMPLETE": "bash_complete"}
        done = subprocess.run(
            [sys.executable, "-m", "inspector"], capture_output=True, text=True, check=True,
            env=os.environ | asked | {"PYTHONPATH": os.pathsep.join((str(without_torch), str(ROOT)))},
        )  # fmt: skip
        return done.stdout.split()

    return complete


@pytest.mark.parametrize(
    ("words", "at", "offered"),
    [
        ("inspector ana", 1, "plain,analyze"),
        ("inspector ana", 1, "file,ana"),
        ("inspector analyze --su", 2, "plain,--summary"),
        ("inspector analyze x --sides l", 4, "plain,left"),
        ("inspector train sft --dry", 3, "plain,--dry-run"),
    ],
)
def test_completion(completed, words, at, offered):
    assert offered in completed(words, at)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("analyze x --metric effective_rank_", ["plain,effective_rank_share", "plain,effective_rank_energy"]),
        (
            "analyze x --metric cosine,nor",
            ["plain,cosine,norm", "plain,cosine,norm_share", "plain,cosine,norm_relative"],
        ),
        ("analyze x --metric u1,u1", ["plain,u1,u1_chance"]),
        ("analyze x --probe lmc,c", ["plain,lmc,cka"]),
        ("analyze x --against ar", ["file,ar", *(f"plain,{name}" for name in addresses() if name.startswith("ar"))]),
        ("analyze x --prompts ari", ["file,ari", "plain,arithmetic", "plain,arithmetic-train"]),
        ("analyze x --base smol", ["dir,smol", "plain,smollm2"]),
        ("analyze x --dtype bf", ["plain,bfloat16"]),
        ("analyze stu", ["file,stu"]),
        ("verify de", ["file,de", "plain,demo"]),
        ("verify demo --format j", ["plain,json", "plain,junit"]),
        ("verify demo --study s", ["file,s"]),
        ("verify demo --adapters s", ["file,s"]),
        ("claims n", ["plain,new"]),
        ("diff old.json n", ["file,n"]),
        ("report stu", ["file,stu"]),
        ("report x --claims de", ["file,de", "plain,demo"]),
        ("eval x --task aime2", ["file,aime2", "plain,aime24", "plain,aime25", "plain,aime26"]),
        ("train off", ["plain,offline-grpo"]),
        ("train al", ["plain,all"]),
        ("train sft --recipe demo", ["file,demo", "plain,demo-smollm2"]),
        ("train sft --tracker w", ["plain,wandb"]),
        ("rollouts --map o", ["plain,open-r1"]),
        ("open stu", ["file,stu"]),
    ],
)
def test_values_are_offered(completed, words, offered):
    assert completed(f"inspector {words}", len(words.split())) == offered


def test_bash_keeps_the_commands_beside_the_files(completed):
    """Its script forgets what came before a file."""
    found = completed("inspector re", 1)
    assert found == ["file,re", "plain,receipt", "plain,report", "plain,resize"]


def test_sets_and_metrics_are_all_offered(completed):
    metrics = {line.partition(",")[2] for line in completed("inspector analyze x --metric ", 4)}
    assert metrics == set(DEFINITIONS)


@pytest.mark.filterwarnings("ignore:.click.utils.make_default_short_help:DeprecationWarning")
def test_the_man_pages_are_those_of_the_commands():
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.1")}
    assert there == pages(), "make man writes them anew"
