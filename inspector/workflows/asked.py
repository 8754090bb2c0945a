"""What the words of a command line ask of an analysis: metrics, scopes, settings, probes."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from inspector.common.errors import InspectorError
from inspector.study.metrics import DEFINITIONS
from inspector.study.study import SCOPES, Scope, Settings

if TYPE_CHECKING:
    from inspector.probes.request import Request


def metric_names(words: Sequence[str]) -> tuple[str, ...]:
    """The metrics asked for, each known; commas separate too."""
    names = tuple(name.strip() for word in words for name in word.split(",") if name.strip())
    if unknown := [name for name in names if name not in DEFINITIONS]:
        close = difflib.get_close_matches(unknown[0], DEFINITIONS, n=3)
        hint = (
            f" Did you mean {' or '.join(close)}?"
            if close
            else " `?` in the app and assets/guide/definitions.md list them."
        )
        raise InspectorError(f"No metric {unknown[0]!r}.{hint}")
    return names


def scope_names(words: Sequence[str]) -> tuple[Scope, ...]:
    """The scopes asked for, or all."""
    names = {name.strip() for word in words for name in word.split(",") if name.strip()}
    if unknown := names - {*SCOPES}:
        raise InspectorError(f"No scope {min(unknown)!r}: there are {', '.join(SCOPES)}.")
    return tuple(scope for scope in SCOPES if scope in names) or SCOPES


_LARGEST_K = 256


def settings(*, k: int = 10, modules: str = "union", sides: str = "left", device: str = "auto") -> Settings:
    """Settings from what the command line says; `modules` mixes union or common with path ends."""
    if not 1 <= k <= _LARGEST_K:
        raise InspectorError(f"k is {k}: the size of the top-k subspaces is 1 to {_LARGEST_K}.")
    words = [word.strip() for word in modules.split(",") if word.strip()]
    scope: Literal["union", "common"] = "common" if "common" in words else "union"
    pattern = ",".join(word for word in words if word not in {"union", "common"})
    both: tuple[Literal["left", "right"], ...] = ("left", "right")
    chosen = both if sides == "both" else tuple(side for side in both if side == sides)
    return Settings(k=k, sides=chosen, modules=scope, filter=pattern, device=device)


def request(probes: Sequence[str], *, pairs: Sequence[str] = (), alphas: str = "", **options: Any) -> Request | None:
    """The request that the command line makes; None where no probe is asked for.

    `pairs` are `A:B`; `alphas` is `0,0.5,1` or empty.
    """
    names = tuple(name.strip() for word in probes for name in word.split(",") if name.strip())
    if not names:
        return None
    from inspector.probes.request import Request

    both = [tuple(pair.split(":")) for pair in pairs]
    if same := [pair for pair, parts in zip(pairs, both, strict=True) if len(parts) == 2 and parts[0] == parts[1]]:
        raise InspectorError(f"--pair {same[0]!r} names the same adapter twice: write A:B.")
    if wrong := [pair for pair, parts in zip(pairs, both, strict=True) if len(parts) != 2]:
        raise InspectorError(f"--pair {wrong[0]!r} names no two adapters: write A:B.")
    try:
        points = tuple(float(word) for word in alphas.split(",") if word.strip())
    except ValueError as error:
        raise InspectorError(f"--alphas {alphas!r} is not a list of numbers: write 0,0.5,1.") from error
    return Request(names, pairs=tuple((a, b) for a, b in both), alphas=points, **options)
