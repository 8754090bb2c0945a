"""What the runs of a command learn from: tokenised once, before the first of them, so that the texts can go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.recipes.recipe import Recipe
from trainer.rollouts.schema import Rollout, drawn
from trainer.rollouts.tokens import Tokens, opened, stored
from trainer.runs.bases import tokenizer_of
from trainer.runs.tasks import STARTS, Task


@dataclass(frozen=True, slots=True)
class Data:
    """The rollouts of a command, on the disk."""

    digest: str
    sampling: Mapping[str, Any]
    """How they were drawn, and the commit of their file on the Hub."""
    files: Mapping[tuple[str, str], Path]
    """(base, what becomes of reasoning) -> their token ids."""

    def tokens(self, recipe: Recipe) -> Tokens:
        """Those that a run of this recipe reads."""
        return opened(self.files[recipe.base, recipe.reasoning])


def prepared(
    tasks: Sequence[Task], rollouts: Sequence[Rollout], digest: str, revision: str, note: Callable[[str], None]
) -> Data:
    """Tokenise what these runs read, unless a command before has. Raises InspectorError."""
    files: dict[tuple[str, str], Path] = {}
    for task in tasks:
        key = task.recipe.base, task.recipe.reasoning
        if key not in files:
            tokenizer = tokenizer_of(task.recipe.base, note)
            folder = task.folder.parent / STARTS
            files[key] = stored(folder, rollouts, digest, tokenizer, task.recipe.reasoning, note)
    return Data(digest, drawn(rollouts) | {"revision": revision}, files)
