"""An objective in a file of one's own: the guide's is trained, and what is wrong with others is said."""

import json
import re
from dataclasses import replace

import pytest

from inspector.common.errors import InspectorError
from tests.guides import FOLDER
from tests.trainer.methods.graded import Graded
from tests.trainer.small import options, rollouts, tiny, trained
from trainer.methods import METHODS, method
from trainer.methods.own import add
from trainer.train import train

GUIDES = re.search(r"```python file=mine\.py\n(.*?)```", (FOLDER / "training.md").read_text(), re.DOTALL)[1]
HEAD = """from dataclasses import dataclass
from trainer.methods.weighted import Weighted
@dataclass(frozen=True)
"""


@pytest.fixture(autouse=True)
def forgotten():
    before = dict(METHODS)
    yield
    METHODS.clear()
    METHODS.update(before)


@pytest.fixture
def mine(tmp_path):
    def written(text):
        (tmp_path / "mine.py").write_text(text)
        return f"{tmp_path / 'mine.py'}:Best"

    return written


def test_the_guides_objective(mine):
    assert len(GUIDES.splitlines()) <= 16
    best = add(mine(GUIDES))
    assert method("best") is best
    assert (best.title, best.variants[0].formula) == ("best", "Σ_t ℓ_t on the k best answers of each group")
    rows = Graded([0.1, 0.9, 0.5, 0.0, 1.0], ["a", "a", "a", "b", "b"])
    assert best.variants[0](k=1).weights(rows) == [0, 1, 0, 0, 1]
    assert best.variants[0]().weights(rows) == [0, 1, 1, 1, 1]


@pytest.mark.filterwarnings("ignore")
def test_it_is_planned_trained_and_another_one_once_its_file_changed(mine, tmp_path, capsys):
    base, file, place = tiny(tmp_path / "base"), rollouts(tmp_path), mine(GUIDES)
    asked = replace(options(base, "best", file, tmp_path / "out", k=2), objective=place)
    train(replace(asked, dry_run=True))
    assert "best (best): Σ_t ℓ_t on the k best" in capsys.readouterr().out
    train(asked)
    record = json.loads((tmp_path / "out" / "best" / "run.json").read_text())
    assert re.fullmatch(r"mine\.py, sha256 [0-9a-f]{64}", record["source"])
    assert (record["settings"], record["a0"]) == ({"k": 2}, record["a0"])
    rft = trained(base, "rft", file, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "rft" / "run.json").read_text())["a0"] == record["a0"]
    assert rft
    train(asked)
    assert "best: done before (4 steps)" in capsys.readouterr().err
    mine(GUIDES.replace("place < self.k", "place >= self.k"))
    with pytest.raises(InspectorError, match=r"holds another run: source is mine\.py, sha256 "):
        train(asked)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("class Best: pass", "Best is no class made from Weighted there"),
        ("Best = 3", "Best is no class made from Weighted there"),
        ("Other = 3", "Best is no class made from Weighted there"),
        ("1 / 0", "does not run: ZeroDivisionError: division by zero"),
        (
            HEAD.replace("@dataclass(frozen=True)\n", "") + "class Best(Weighted):\n  'w'\n  name = 'x'",
            "put @dataclass",
        ),
        (HEAD + "class Best(Weighted):\n  'w'", "give it a name"),
        (HEAD + "class Made(Weighted):\n  'w'\n  name = 'x'\nclass Best(Made):\n  'w'", "put @dataclass"),
        (HEAD + "class Best(Weighted):\n  'w'\n  name = 3", "give it a name"),
        (HEAD + "class Best(Weighted):\n  'w'\n  name = ''", "give it a name"),
        (HEAD + "class Best(Weighted):\n  'w'\n  name = 'all'", "give it a name"),
        (HEAD + "class Best(Weighted):\n  'w'\n  name = 'all\\x07'", "give it a name"),
        (HEAD + "class Best(Weighted):\n  ''\n  name = 'x'", "give it a docstring"),
        (HEAD + "class Best(Weighted):\n  'w'\n  name = 'x'\n  k: float | int = 1", "and a type of bool, float"),
        (HEAD + "class Best(Weighted):\n  'w'\n  name = '../x'", "give it a name"),
        (HEAD + "class Best(Weighted):\n  name = 'x'", "give it a docstring"),
        (HEAD + "class Best(Weighted):\n  'w'\n  name = 'x'\n  k: int", "its setting k needs a default"),
        (HEAD + "class Best(Weighted):\n  'w'\n  name = 'x'\n  k: list = ()", "and a type of bool, float"),
        (HEAD + "class Best(Weighted):\n  'w'\n  name = 'sft'", "There is a method 'sft' already"),
        (HEAD + "class Best(Weighted):\n  'w'\n  name = 'x'\n  b: str = ''", "'b' of another type"),
    ],
)
def test_what_is_no_objective_is_said(mine, text, says):
    with pytest.raises(InspectorError, match=re.escape(says)):
        add(mine(text))


@pytest.mark.parametrize("head", ["", "from __future__ import annotations\n"])
def test_settings_of_every_type(mine, head):
    fields = "a: int = 1\n  b_: float = 2\n  c: bool = True\n  d: str = 'x'\n  e: float | None = None"
    found = add(mine(f"{head}{HEAD}class Best(Weighted):\n  'w'\n  name = 'top-of-2'\n  {fields}"))
    assert (found.name, [(f.name, f.default) for f in found.variants[0].settings()]) == (
        "top-of-2",
        [("a", 1), ("b_", 2), ("c", True), ("d", "x"), ("e", None)],
    )
    assert METHODS["top-of-2"] is found
    assert add(mine(f"{HEAD}class Best(Weighted):\n  'other'\n  name = 'top-of-2'")) is METHODS["top-of-2"]


def test_a_file_that_is_not_there_and_a_method_that_is_not_asked_for(mine, tmp_path):
    with pytest.raises(InspectorError, match=re.escape("write FILE.py:CLASS with a file that is there")):
        add("nothing.py:Best")
    (tmp_path / "mine.txt").write_text(GUIDES)
    for place in (tmp_path / "mine.txt", tmp_path):
        with pytest.raises(InspectorError, match=re.escape("write FILE.py:CLASS with a file that is there")):
            add(f"{place}:Best")
    with pytest.raises(InspectorError, match="it is trained by its name: write best for METHOD"):
        train(replace(options("smollm2", "sft", rollouts(tmp_path), tmp_path / "out"), objective=mine(GUIDES)))


def test_a_setting_of_all_methods_is_not_its_own(mine, tmp_path):
    place = mine(HEAD + "class Best(Weighted):\n  'w'\n  name = 'x'\n  rank: int = 32")
    with pytest.raises(InspectorError, match="rank is a setting of all methods"):
        train(replace(options("smollm2", "x", rollouts(tmp_path), tmp_path / "out"), objective=place))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("def weights(self, rows): return [1.0]", "x must give a finite weight for each of 24 rows"),
        ("def weights(self, rows): return [float('nan')] * 24", "x must give a finite weight for each of 24 rows"),
        (
            "def weights(self, rows): return [1.0] * 23 + [float('inf')]",
            "x must give a finite weight for each of 24 rows",
        ),
        ("def weights(self, rows): return [1.0] * 25", "x must give a finite weight for each of 24 rows"),
        ("def loss(self, log_p, mask, weight): return log_p.sum(1)", "its loss is of shape (8,), and must be"),
    ],
)
def test_what_it_must_give(mine, tmp_path, body, says):
    place = mine(f"{HEAD}class Best(Weighted):\n  'w'\n  name = 'x'\n  {body}")
    asked = options(tiny(tmp_path / "base"), "x", rollouts(tmp_path), tmp_path / "out")
    with pytest.raises(InspectorError, match=re.escape(says)):
        train(replace(asked, objective=place))
