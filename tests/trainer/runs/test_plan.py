"""How a run is planned on a GPU: by its longest rows and the memory there is."""

from types import SimpleNamespace

import pytest
import torch

from trainer.methods import method
from trainer.objectives.examples import Examples
from trainer.recipes.recipe import Recipe
from trainer.runs import build, memory
from trainer.runs.launchers import split
from trainer.runs.memory import Kept

GB = 1 << 30
KEPT = Kept(block=100_000, inputs=5_000, blocks=36)
ROWS = Examples({}, "row", (800,) * 30 + (3000, 9000))
PAIRS = Examples(
    {"prompt_ids": [[0] * 100] * 2, "chosen_ids": [[0] * 900, [0]], "rejected_ids": [[0] * 50, [0]]}, "pair", (1150, 9)
)  # fmt: skip


@pytest.fixture
def plan(monkeypatch):
    """On a GPU with so many GB free beside a base of 8."""

    def run(name, found, free, **settings):
        recipe = Recipe().where(**settings)
        monkeypatch.setattr(memory, "measured", lambda _model: KEPT)
        monkeypatch.setattr(memory, "unused", lambda _device: free * GB)
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _device: 8 * GB)
        model = SimpleNamespace(device=torch.device("cuda"))
        return build._plan(method(name), recipe, found, model, split(recipe, 1))

    return run


def test_rows_are_taken_by_tokens(plan):
    """Blocks are computed twice for the longest row, or to make a pass of others large enough to be fast."""
    assert (plan("sft", ROWS, 90).every, plan("sft", ROWS, 90).tokens) == (0, 16_384)
    assert plan("sft", ROWS, 36).every == 4
    assert plan("sft", Examples({}, "row", (800,) * 64), 36).every == 0
    assert plan("sft", ROWS, 6).every == 1
    assert plan("sft", ROWS, 70, micro_tokens=4096).tokens == 4096
    assert plan("sft", ROWS, 70, gradient_checkpointing=2).every == 2


def test_the_plan_counts_what_is_there_and_one_pass(plan):
    found = plan("dft", ROWS, 70)
    assert found.bytes == 8 * GB + GB + found.tokens * KEPT.peak(0)


def test_pairs_are_both_sides_as_long_as_the_longer(plan):
    """Eight pairs in a pass, 1,000 tokens a side."""
    assert plan("dpo", PAIRS, 70).tokens == 8 * 2 * 1000
    assert plan("dpo", PAIRS, 72).every == 0
    assert plan("dpo", PAIRS, 54).every == 4


def test_online_methods_are_planned_for_their_limit(plan):
    prompts = Examples({"ids": [[0] * 500, [0] * 20]}, "prompt", (900, 300))
    assert plan("online-grpo", prompts, 70, max_new_tokens=1548).tokens == 8 * 2048


@pytest.mark.parametrize(("setting", "every"), [(None, 1), (0, 0), (3, 3)])
def test_elsewhere_the_recipe_says(setting, every):
    model = SimpleNamespace(device=torch.device("cpu"))
    recipe = Recipe(gradient_checkpointing=setting, micro_tokens=77)
    assert build._plan(method("sft"), recipe, ROWS, model, split(recipe, 1)) == memory.Plan(every, 77)
