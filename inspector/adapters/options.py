"""What the user gives beside the sources, for the formats that need it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspector.adapters.model import Scale
from inspector.common.errors import InspectorError
from inspector.common.text import plain

if TYPE_CHECKING:
    from inspector.adapters.files.base_weights import BaseWeights


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """The base's weights, where an update needs them; leave to unpickle; the rank kept of dense updates.

    `checkpoints`: whether what lies beside an adapter is opened with it. `alpha`: α of the modules whose files do not
    say how they are scaled.
    """

    base: BaseWeights | None = None
    allow_pickle: bool = False
    rank: int = 64
    checkpoints: bool = False
    alpha: float | None = None
    same_base: tuple[tuple[str, str], ...] = ()
    """(name, other name) of one base, by the user: an adapter that names the first is read as one of the second."""

    @property
    def base_name(self) -> str:
        """The base as the user names it, or nothing."""
        return "" if self.base is None else self.base.name

    @property
    def words(self) -> tuple[str, ...]:
        """The options of the command line that read the same from each adapter's own source."""
        base = ("--base", self.base.name) if self.base is not None else ()
        rank = ("--svd-rank", str(self.rank)) if self.rank != ReadOptions().rank else ()
        alpha = ("--alpha", f"{self.alpha:g}") if self.alpha is not None else ()
        same = [word for names in self.same_base for word in ("--same-base", "=".join(names))]
        return (*base, *rank, *alpha, *same, *(("--allow-pickle",) if self.allow_pickle else ()))

    def base_of(self, name: str) -> str:
        """The base that an adapter's own name for it stands for."""
        return next((other for one, other in self.same_base if one == name), name)

    def scale(self, r: int) -> Scale:
        """Of a module of rank r whose files do not say it: α/r with the α of the user, else unknown."""
        if self.alpha is None:
            return Scale(None, f"no α, r = {r}")
        return Scale(self.alpha / r, f"α/r = {self.alpha:g}/{r}, α as given")


def same_bases(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """`A=B` as the names of one base. Raises InspectorError where a text is no two names."""
    pairs = [tuple(text.strip() for text in both.split("=", 1)) for both in texts]
    if odd := [pair for pair in pairs if len(pair) != 2 or not all(pair)]:
        raise InspectorError(f"--same-base {plain('='.join(odd[0]))!r}: name the two as NAME=OTHER.")
    return tuple((one, other) for one, other in pairs)


DEFAULTS = ReadOptions()
