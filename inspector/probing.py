"""Running probes: which base, which prompts, which pairs; with progress, cancel and a cache. Adapters -> study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inspector.adapters.model import Adapter
from inspector.study import Study

PROBES = ("lmc", "cka", "lens", "intruders", "accuracy")


@dataclass(frozen=True, slots=True)
class Request:
    """What to measure with the base model. Empty and 0 mean the default."""

    probes: tuple[str, ...]
    base: str = ""
    """Hub id, folder or `smollm2`; empty: the base the adapters name."""
    prompts: str = ""
    """What problems.py knows, or a file; empty: `arithmetic`."""
    limit: int = 0
    """The first so many prompts."""
    device: str = "auto"
    dtype: str = "auto"
    pairs: tuple[tuple[str, str], ...] = ()
    """Names; empty: all pairs."""
    loss: str = "boxed"
    """`boxed` or `rollouts`."""
    alphas: tuple[float, ...] = ()
    pooling: str = "last"
    """`last`, `mean` or `all`."""
    batch: int = 0
    new_tokens: int = 0
    """Longest answer in tokens when generating."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a request will cost. `seconds` is None until this base has run on this device once."""

    passes: int
    tokens: int
    seconds: float | None
    text: str


class Prober:
    """Keeps one base in memory from one request to the next."""

    def estimate(self, adapters: Sequence[Adapter], study: Study, request: Request) -> Estimate:
        """The cost before anything is loaded; no torch."""
        raise NotImplementedError

    def run(
        self,
        adapters: Sequence[Adapter],
        study: Study,
        request: Request,
        *,
        progress: Callable[[str, int, int], None],
        partial: Callable[[Study], None],
        note: Callable[[str], None],
        cancelled: Callable[[], bool],
    ) -> Study:
        """Measure, and return the study with the results; `partial` receives it as points appear.

        `progress(text, done, total)`; `note` tells what happened on the way (a halved batch, a base from
        the cache). Raises CancelledError after `partial` got what is finished, InspectorError with what to do.
        """
        raise NotImplementedError
