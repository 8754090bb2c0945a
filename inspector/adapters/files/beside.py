"""What a folder stands for: an adapter at its root is the folder, and what lies below it, or beside, is not opened."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

NAMELESS = frozenset({"adapters", "adapter", "adapter_model", "pytorch_lora_weights"})
"""What libraries call the file of every adapter: its folder has the name, and is the adapter."""
# mlx-lm's 0000100_adapters, kohya's style-000004 and style-step00000500, ai-toolkit's style_000000500.
_STEP = re.compile(r"^\d{6,}_|[-_](step)?\d{6,}$")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an adapter is: a folder, or a file in it by its name."""

    folder: PurePath
    file: str = ""
    whole: bool = False
    """Whether the folder is this adapter, whatever else lies in it."""
    model: bool = False
    """Whether it is a whole model, which is not an adapter without its base."""

    @property
    def path(self) -> PurePath:
        return self.folder / self.file


def standing(spots: Sequence[Spot], *, checkpoints: bool) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Which of the adapters are opened, each with the paths, from its folder, of those beside it that are not.

    An adapter lies beside the nearest one that its folder is in, and a step beside the file that training ended with.
    Those beside none are opened, and with `checkpoints` what lies beside these.
    """
    owners = _owners(spots)
    opened = [owner is None or (checkpoints and owners[owner] is None) for owner in owners]
    shut: dict[int, list[str]] = {}
    for n, owner in enumerate(owners):
        if owner is not None and not opened[n] and not spots[n].model:
            path = spots[n].folder if spots[n].whole else spots[n].path
            shut.setdefault(owner, []).append(path.relative_to(spots[owner].folder).as_posix())
    yield from ((n, tuple(shut.get(n, ()))) for n in range(len(spots)) if opened[n])


def _owners(spots: Sequence[Spot]) -> list[int | None]:
    """The position of the adapter that each lies beside."""
    files = {spot.path: n for n, spot in enumerate(spots) if spot.file}
    folders = {spot.folder: n for n, spot in enumerate(spots) if spot.whole}

    def owner(spot: Spot) -> int | None:
        path = spot.path
        last = path.with_stem(_STEP.sub("", path.stem) or path.stem) if spot.file else path
        if last != path and last in files:
            return files[last]
        return next((folders[above] for above in spot.folder.parents if above in folders), None)

    return [owner(spot) for spot in spots]
