"""What the shell knows of the commands: completion and man pages."""

import os
import subprocess
import sys

import pytest

from tests.man_pages import FOLDER, pages


def completed(words, at):
    environment = os.environ | {"COMP_WORDS": words, "COMP_CWORD": str(at), "_INSPECTOR_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-m", "inspector"], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout.split()


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
def test_completion(words, at, offered):
    assert offered in completed(words, at)


@pytest.mark.filterwarnings("ignore:.click.utils.make_default_short_help:DeprecationWarning")
def test_the_man_pages_are_those_of_the_commands():
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.1")}
    assert there == pages(), "make man writes them anew"
