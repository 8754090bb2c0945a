"""README, guides and .github: every link leads somewhere, every command is one, every example runs as written.

A block of commands runs in a folder where `assets` is that of a clone. `sh slow` runs among the slow tests, with the
blocks before it; `sh elsewhere` needs the Hub, a server or files of one's own, and is only parsed.
"""

import re
import shlex

import click
import pytest
import yaml

import inspector
from inspector.cli.main import Lazy, cli
from inspector.tui.tabs import TABS
from inspector.tui.view_list import VIEWS
from tests.acceptance.command import ALL, FEW, ROOT, begun
from tests.guides import FOLDER, GUIDES, OBJECTIVES, objectives

README = ROOT / "README.md"
PAGES = (README, *sorted(FOLDER.glob("*.md")), *sorted((ROOT / ".github").rglob("*.md")))
OTHERS = (ROOT / "assets" / "demo" / "README.md", ROOT / "inspector" / "claims" / "SCHEMA.md")
FENCE = re.compile(r"^```(\S*) ?(\S*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_PATIENCE = 1800.0
"""Seconds for one command: some minutes of training, on a machine that does other work beside."""
TEXTS = {page: page.read_text(encoding="utf-8") for page in (*PAGES, *OTHERS)}


def name(page):
    return str(page.relative_to(ROOT))


def prose(page):
    """Without blocks of code, in which `#` begins a comment."""
    return FENCE.sub("", TEXTS[page])


def anchors(page):
    heads = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def blocks(page, language="sh"):
    """(when, text)."""
    return [(when, text) for kind, when, text in FENCE.findall(TEXTS[page]) if kind == language]


def commands(text):
    """Words of each line, joined where it goes on, without its comment."""
    lines = text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def expanded(words, folder):
    """As a shell does, for what is there."""
    for word in words:
        yield from sorted(str(path.relative_to(folder)) for path in folder.glob(word)) if "*" in word else (word,)


def shown(*pages):
    return [words for page in pages for _, text in blocks(page) for words in commands(text)]


def test_readme_is_short():
    assert len(TEXTS[README].splitlines()) <= 200


@pytest.mark.parametrize("page", TEXTS, ids=name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)]*)\)", prose(page))
    for link in links:
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_guide_is_found_from_the_readme():
    assert {page.name for page in PAGES if page.parent == FOLDER} == set(
        re.findall(r"guide/([\w-]+\.md)", TEXTS[README])
    )


@pytest.mark.parametrize("guide", GUIDES)
def test_what_repeats_the_code_is_that_of_the_code(guide):
    assert TEXTS[FOLDER / guide] == GUIDES[guide](), "make guides writes it anew"


def test_the_apps_objectives_are_those_of_the_trainer():
    assert OBJECTIVES.read_text(encoding="utf-8") == objectives(), "make guides writes it anew"


def test_every_command_is_shown():
    assert not [
        name for name in cli.commands if name not in {"open", "demo"} and f"inspector {name}" not in TEXTS[README]
    ]


@pytest.mark.parametrize("words", shown(*TEXTS), ids=" ".join)
def test_commands_are_ones(words):
    """Their options exist and take these values; `make` has these targets."""
    program, *args = words
    if program == "make":
        assert re.search(rf"^{args[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif program == "inspector":
        command, context = cli, click.Context(cli)
        args = args if args[0] in cli.commands else ["open", *args]
        while isinstance(command, click.Group):
            found = command.commands[args[0]]
            command, args = (found.real if isinstance(found, Lazy) else found), args[1:]
        command.make_context(command.name, list(args), parent=context)
    else:
        assert program in {"pip", "source", "eval", ".ci/run", "git"}


def test_the_screens_are_those_of_the_app():
    table, _, _ = TEXTS[FOLDER / "screens.md"].partition("## Keys")
    shown = re.findall(r"^\| `(\d)` (\w+) \| ([^|]+) \|", table, re.MULTILINE)
    assert shown == [(view.tab, TABS[view.tab], view.title) for view in VIEWS]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """What a clone holds beside code."""
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(page, clone, *when, known):
    """Every command of these blocks ends well; whether there were any."""
    todo = [words for kind, text in blocks(page) if kind in when for words in commands(text) if words[0] == "inspector"]
    homes = {"XDG_CACHE_HOME": str(clone / "cache"), "XDG_STATE_HOME": str(clone / "state"), "HF_HUB_OFFLINE": "1"}
    for _, *args in todo:
        child = begun("inspector", *expanded(args, clone), cwd=clone, known=known, **homes)
        out, err = (text.decode() for text in child.communicate(_PATIENCE))
        assert child.returncode == 0, (args, err)
        assert "Error" not in err
        assert out or re.search("Wrote|written|done|in runs/", err), (args, err)
    return bool(todo)


def with_blocks(when):
    return [page for page in PAGES if when in {kind for kind, _ in blocks(page)}]


@pytest.mark.parametrize("page", [page for page in with_blocks("") if page.name not in GUIDES], ids=name)
def test_examples_run(page, clone):
    ran(page, clone, "", known=FEW)


@pytest.mark.slow
@pytest.mark.parametrize("page", with_blocks("slow"), ids=name)
def test_long_examples_run(page, clone):
    assert ran(page, clone, "slow", known=ALL)


def python(when):
    ((_, code),) = [block for block in blocks(FOLDER / "python.md", "python") if block[0] == when]
    return compile(code, "python.md", "exec")


def test_the_library_example_runs(clone, capsys):
    names = {}
    exec(python(""), names)
    assert names["study"].names == ("sft", "dpo", "sft_s123")
    assert names["apart"]["sft", "sft_s123"] < 0.1
    assert "- Another seed of sft" in capsys.readouterr().out
    assert inspector.open_study(clone / "study.parquet").names == names["study"].names


@pytest.mark.slow
def test_the_example_with_a_probe_runs(clone, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(clone / "cache"))
    exec(python("slow"), {})
    assert 0 < float(capsys.readouterr().out) < 1


def test_the_workflow_runs_what_has_to_pass():
    (file,) = (ROOT / ".github" / "workflows").glob("*.yml")
    steps = [step for job in yaml.safe_load(file.read_text())["jobs"].values() for step in job["steps"]]
    assert ".ci/run" in [step.get("run") for step in steps]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_the_issue_form_is_one():
    for file in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(file.read_text())
        assert {"name", "description", "body"} <= set(form)
        assert all(part["type"] == "markdown" or part["attributes"]["label"] for part in form["body"])
