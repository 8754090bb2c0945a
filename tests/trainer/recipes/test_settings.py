"""What is set on the command line must be read by a method that is asked for."""

from dataclasses import asdict
from pathlib import Path

import pytest

from inspector.common.errors import InspectorError
from tests.acceptance.command import inspector
from trainer.methods import METHODS
from trainer.recipes.recipe import settings
from trainer.runs.tasks import Options, tasks


def asked(name, *settings, recipe="demo-smollm2"):
    return tasks(Options(name, Path("r.jsonl"), Path("out"), recipe=recipe, settings=settings))


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("sft", ["beta=0.2"], "'beta=0.2': beta is not read by sft, but by dpo, kto, ipo."),
        ("sft", ["dpo.lr=1e-3"], "'dpo.lr=1e-3': dpo is not trained here, but sft."),
        ("all", ["kto.beta=1"], "kto is not trained here, but sft, rft, dft,"),
        ("all", ["gamma=2"], "online-dapo, but by simpo."),
        ("all", ["sft.beta=2"], "beta is not read by sft, but by dpo, kto, ipo."),
        (
            "offline-grpo",
            ["kl=0.2"],
            "but by offline-grpo with variant=krafton-post or krafton-code, online-grpo, online-dapo.",
        ),
        ("rift", ["rift_lambda=0.2"], "but by rift with variant=rift-linear."),
        ("rift", ["variant=rift-linear", "rift_lambda=0.2", "probability=token"], "but by rift with variant=rift."),
        ("online-grpo", ["redraws=1"], "but by online-dapo."),
        ("rift", ["variant=rift-linear"], "rift-linear needs its λ"),
    ],
)
def test_what_nobody_reads_is_refused(name, settings, says):
    with pytest.raises(InspectorError) as caught:
        asked(name, *settings)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("all", ["beta=0.2", "dpo.lr=1e-3", "sft.steps=3", "redraws=1", "b=0.2", "seed=7"]),
        ("offline-grpo", ["offline-grpo.variant=krafton-code", "offline-grpo.kl=0.2", "b=0.1"]),
        ("rift", ["rift_lambda=0.2", "variant=rift-linear"]),
    ],
)
def test_what_somebody_reads_is_taken(name, settings):
    assert asked(name, *settings)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_takes_its_own_settings(name):
    (task,) = asked(name)
    given = [f"{key}={'null' if value is None else value}" for key, value in asdict(task.objective).items()]
    assert [other.objective for other in asked(name, *given)] == [task.objective]


def test_a_recipe_file_may_speak_to_every_method(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extends: demo-smollm2\nbeta: 0.3\nmethods: {dpo: {gamma: 2}}\n")
    (task,) = asked("sft", recipe=str(path))
    assert task.recipe.own["beta"] == 0.3


def test_the_command_prints_what_a_method_reads():
    found = inspector("train", "--settings", "offline-grpo", known=())
    assert found.returncode == 0, found.stderr
    text = " ".join(found.stdout.split()).replace("krafton- ", "krafton-")
    assert METHODS["offline-grpo"].variants[0].formula in text
    said = "of a group are right. Unset: 0.1 for study, krafton-code; 0.5 for krafton-post. Read by offline-grpo."
    assert f"b = unset b, added to every advantage; by KRAFTON's lines where all answers {said}" in text
    assert "Read by offline-grpo with variant=krafton-code." in text
    assert "lr = 5e-06 The peak learning rate." in text
    assert "beta" not in text
    assert "No method 'x'" in inspector("train", "--settings", "x", known=()).stderr


def test_every_setting_says_what_it_means():
    assert [name for name, field in settings().items() if not field.metadata["about"]] == []
