"""What the user gives beside the sources, for the formats that need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspector.adapters.model import Scale

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
        return (*base, *rank, *alpha, *(("--allow-pickle",) if self.allow_pickle else ()))

    def scale(self, r: int) -> Scale:
        """Of a module of rank r whose files do not say it: α/r with the α of the user, else unknown."""
        if self.alpha is None:
            return Scale(None, f"no α, r = {r}")
        return Scale(self.alpha / r, f"α/r = {self.alpha:g}/{r}, α as given")


DEFAULTS = ReadOptions()
