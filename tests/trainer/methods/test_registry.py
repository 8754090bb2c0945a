"""What is known of a method stands in its class alone: one registered from outside is trained as those that ship."""

import ast
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from inspector.common.errors import InspectorError
from inspector.tui.app import InspectorApp
from tests.trainer.methods.graded import Graded
from tests.trainer.saving.test_checkpoints import guard_at
from tests.trainer.small import adapter_of, equal, options, rollouts, tiny, trained
from tests.tui.factory import make_study
from tests.tui.helpers import body, visit
from trainer.methods import METHODS, register
from trainer.methods.base import Method, setting
from trainer.methods.page import page, section
from trainer.methods.weighted import Weighted
from trainer.recipes.file import to_yaml
from trainer.runs.tasks import tasks
from trainer.train import train

ROOT = Path(__file__).parents[3]
FORMULA = "Σ_t |r − r̄|^p·ℓ_t on r > r̄"


@dataclass(frozen=True)
class Above(Weighted):
    """Σ_t |r − r̄|^p·ℓ_t on r > r̄

    Answers better than all answers on average.

    ! Where all are equal there is nothing to learn.
    """

    name = "above"
    filters = True
    power: float = setting(1.0, "Of the distance.", above=0)

    def weights(self, rows):
        mean = sum(rows.rewards) / len(rows.rewards)
        return [max(r - mean, 0) ** self.power for r in rows.rewards]

    def loss(self, log_p, mask, weight):
        return super().loss(log_p, mask, 2 * weight)


@pytest.fixture
def above():
    register(Method("above", "Above", (Above,), "a test", ("positive",)))
    yield METHODS["above"]
    del METHODS["above"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("base"))


@pytest.mark.usefixtures("above")
@pytest.mark.filterwarnings("ignore")
async def test_planned_trained_resumed_recorded_and_shown(base, tmp_path, capsys):
    file = rollouts(tmp_path)
    how = {"power": 2, "steps": 3}
    train(replace(options(base, "above", file, tmp_path, **how), dry_run=True))
    plan = capsys.readouterr().out
    assert f"above (above): {FORMULA}" in plan
    assert "examples  12 rows" in plan, "those of reward 1 alone"
    whole = trained(base, "above", file, tmp_path / "whole", **how)
    guard_at(2, lambda: train(options(base, "above", file, tmp_path / "cut", **how)))
    assert equal(trained(base, "above", file, tmp_path / "cut", **how), whole)
    folder = tmp_path / "whole" / "above"
    record = json.loads((folder / "run.json").read_text())
    assert (record["formula"], record["settings"], record["recipe"]["power"]) == (FORMULA, {"power": 2.0}, 2.0)
    card = (folder / "README.md").read_text()
    assert "trained by `above` (above, power 2.0)" in card
    assert f"\n    {FORMULA}\n" in card
    study = make_study(1)
    opened = replace(study, adapters=(replace(study.adapters[0], source=str(folder)),))
    app = InspectorApp(study=opened)
    async with app.run_test(size=(80, 24)) as pilot:
        await visit(pilot, "objectives")
        assert "above, as its run recorded it" in body(app)
        assert FORMULA in body(app)


@pytest.mark.slow
@pytest.mark.usefixtures("above")
@pytest.mark.filterwarnings("ignore")
def test_its_weights_and_loss_are_what_is_trained(base, tmp_path):
    """Rewards 1 and 0 alike often: weight ½^p, doubled by the loss, so that with p = 1 it is RFT, bit for bit."""
    file = rollouts(tmp_path)
    assert equal(trained(base, "above", file, tmp_path), trained(base, "rft", file, tmp_path))
    assert not equal(trained(base, "above", file, tmp_path / "b", power=2), adapter_of(tmp_path / "rft"))


@pytest.mark.usefixtures("above")
def test_its_settings_are_settings(tmp_path):
    def asked(name, *settings):
        return tasks(replace(options("smollm2", name, Path("r.jsonl"), tmp_path), settings=settings))

    (task,) = asked("above", "power=3")
    assert task.objective.weights(Graded([1.0, 0.0], ["a", "a"])) == [1 / 8, 0]
    assert "\npower: 3.0\n" in to_yaml(task.recipe)
    with pytest.raises(InspectorError, match="power is not read by sft, but by above"):
        asked("sft", "power=3")
    with pytest.raises(InspectorError, match=r"power is 0.0: it must be above 0"):
        asked("above", "power=0")
    assert f"# Above [a test]\n\n    {FORMULA}\n\nAnswers better" in page(METHODS.values())
    assert "\n! Where all are equal" in page(METHODS.values())


def test_a_formula_is_named_where_a_method_has_several():
    (one,) = METHODS["sft"].variants
    made = Method("two", "Two", (Above, one), "", ("positive",))
    lines = section(made).splitlines()
    assert lines[2:4] == [f"    {'above (default)':<18}{FORMULA}", f"    {'sft':<18}{one.formula}"]
    assert f"\n    {FORMULA}\n" in section(Method("above", "Above", (Above,), "", ("positive",)))


def test_a_formulas_line_fits_80_columns():
    formulas = [line for line in page(METHODS.values()).splitlines() if line.startswith("    ")]
    assert len(formulas) > len(METHODS)
    assert [line for line in formulas if len(line) > 80] == []


@pytest.mark.usefixtures("above")
def test_a_name_that_is_taken_is_refused():
    with pytest.raises(InspectorError, match="There is a method 'above' already"):
        register(METHODS["above"])

    @dataclass(frozen=True)
    class Other(Above):
        """w"""

        beta: str = "0.5"

    with pytest.raises(InspectorError, match="Another method has a setting 'beta' of another type"):
        register(replace(METHODS["above"], name="other", variants=(Other,)))


NAMES = {*METHODS, *(variant.name for method in METHODS.values() for variant in method.variants)}


def test_no_other_place_asks_which_method_it_is():
    """No comparison, case or table by the name of a method or variant, but for what `all` trains."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {word}"
        for path in (ROOT / "trainer").rglob("*.py")
        if "trainer/methods" not in str(path)
        for node in ast.walk(ast.parse(path.read_text()))
        for word in _asked(node) & NAMES
    ]
    assert not found


def _asked(node):
    """The words that a comparison, a case, or a table by words names."""
    parts = {
        ast.Compare: lambda: [node.left, *node.comparators],
        ast.match_case: lambda: [node.pattern],
        ast.Dict: lambda: [key for key in node.keys if key],
    }.get(type(node), list)()
    inner = [leaf for part in parts for leaf in ast.walk(part)]
    return {leaf.value for leaf in inner if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)}
