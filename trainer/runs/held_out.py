"""What is held out of a training to measure it by: rows of other splits, and a task's problems. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inspector.common.errors import InspectorError
from inspector.common.text import count
from inspector.tasks.problems import Problems, load_problems
from trainer.recipes.recipe import Recipe
from trainer.rollouts.rows import Rows
from trainer.rollouts.schema import TRAIN, Rollout


def problems(recipe: Recipe, note: Callable[[str], None] = lambda _text: None) -> Problems | None:
    """What `eval_task` names. Raises InspectorError with what to do."""
    return load_problems(recipe.eval_task, note=note).first(recipe.eval_limit) if recipe.eval_task else None


def refuse_unmeasured(recipe: Recipe, rollouts: Sequence[Rollout]) -> None:
    """Raise InspectorError if `keep_best` is a metric that these rollouts leave unknown."""
    held = [r for r in rollouts if r.split != TRAIN][: recipe.eval_rows]
    if recipe.keep_best == "nll_right" and not any(r.reward > 0 and not r.unended for r in held):
        raise InspectorError(
            "keep_best=nll_right needs held-out right answers: give some rows of the rollouts another split than "
            f"{TRAIN}, such as test (eval_rows is {recipe.eval_rows})."
        )


def described(rows: Rows) -> dict[str, int]:
    """Counts of the held-out rows."""
    right = sum(row.reward > 0 for row in rows.rows)
    left_out = rows.cut + rows.too_long
    return {"rows": len(rows.rows), "right": right, "wrong": len(rows.rows) - right, "left_out": left_out}


def overlap_note(rows: Rows, held: Rows) -> str:
    """How many held-out rows answer a prompt that is learned from; empty if none does."""
    known = {*rows.groups}
    shared = sum(row.group in known for row in held.rows)
    return f"{count(shared, 'held-out row')} of prompts that are learned from as well." if shared else ""


def plan(recipe: Recipe, rows: Rows, asked: Problems | None) -> list[str]:
    """The lines of a dry run: on what, and how often."""
    times = 1 + -(-recipe.steps // (recipe.save_steps or recipe.steps))
    found = []
    if rows.rows:
        told, tokens = described(rows), sum(len(row.ids) for row in rows.rows)
        cut = f" ({told['left_out']:,} more left out for their length)" if told["left_out"] else ""
        found.append(f"{told['rows']:,} rows{cut}, {told['right']:,} right, {tokens:,} tokens")
    if asked:
        found.append(f"{count(len(asked.problems), 'problem')} of {asked.name}, answered greedily")
    lines = [f"  held out  {'; '.join(found)}; {count(times, 'time')}"] if found else []
    if recipe.keep_best != "none":
        lines.append(f"  kept      the checkpoint of the best {recipe.keep_best}")
    return lines
