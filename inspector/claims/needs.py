"""What must be measured for a set of claims, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from inspector.claims.facts import DEFINED
from inspector.claims.model import EPSILON, Claim, ClaimSet, Selector


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the base: these probes over these prompts, of these adapters."""

    prompts: str
    probes: tuple[str, ...]
    names: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    alphas: tuple[float, ...]
    loss: str = "boxed"
    top: int = 10
    epsilon: float = EPSILON


def names(claims: ClaimSet) -> tuple[str, ...]:
    """The adapters that claims are about, in the set's order."""
    return _names(claims, claims.claims)


def _names(claims: ClaimSet, some: Sequence[Claim]) -> tuple[str, ...]:
    used = dict.fromkeys(name for claim in some for name in claim.names)
    order = {name: at for at, name in enumerate(claims.adapters)}
    return tuple(sorted(used, key=lambda name: order[claims.run(name)]))


def sides(claims: ClaimSet) -> tuple[Literal["left", "right"], ...]:
    """Which principal angles are asked for."""
    asked = [DEFINED[metric] for claim in claims.claims for metric, _, _ in claim.asked()]
    return ("left", "right") if any(d.one_side and d.side == "right" for d in asked) else ("left",)


def top_ks(claims: ClaimSet) -> dict[int, tuple[str, ...]]:
    """The sizes of subspaces that claims ask for -> the adapters; the first is that of most, with all adapters."""
    asked = [c for c in claims.claims if any(DEFINED[metric].top_k for metric, _, _ in c.asked())]
    sizes = [claim.top_k for claim in asked] or [10]
    common = max(sizes, key=sizes.count)
    rest = {size: [c for c in asked if c.top_k == size] for size in dict.fromkeys(sizes) if size != common}
    return {common: names(claims)} | {size: _names(claims, few) for size, few in rest.items()}


Asked = tuple[Claim, str, Selector]
_Key = tuple[str, str, bool, tuple[int, float]]


def runs(claims: ClaimSet, open_: Sequence[str]) -> list[Run]:
    """The runs of the base that claims about these adapters ask for: one for each prompts, loss and kind of intruders.

    Paths run by themselves: they take the pairs that claims are about, everything else all adapters it is about.
    """
    found: dict[_Key, list[Asked]] = {}
    for claim in claims.claims:
        if not set(claim.required) <= set(open_):
            continue
        for metric, selector, prompts in claim.asked():
            if probe := DEFINED[metric].probe:
                loss = "rollouts" if probe == "lmc_rollouts" else "boxed"
                setting = (claim.top_k, claim.epsilon) if probe == "intruders" else (10, EPSILON)
                found.setdefault((prompts, loss, probe.startswith("lmc"), setting), []).append((claim, probe, selector))
    return [_run(key, asked, open_) for key, asked in found.items()]


def _run(key: _Key, asked: Sequence[Asked], open_: Sequence[str]) -> Run:
    """`weights` comes with intruders: there is no probe of its own."""
    prompts, loss, _, (top, epsilon) = key
    probes = {{"lmc_rollouts": "lmc", "weights": "intruders"}.get(probe, probe) for _, probe, _ in asked}
    used = {name for claim, _, _ in asked for name in claim.names}
    paths = [selector for _, probe, selector in asked if probe.startswith("lmc")]
    pairs = dict.fromkeys((min(pair), max(pair)) for path in paths for pair in path.pairs if set(pair) <= set(open_))
    alphas = sorted({alpha for path in paths for alpha in path.alphas})
    names = tuple(name for name in open_ if name in used)
    return Run(prompts, tuple(sorted(probes)), names, tuple(pairs), tuple(alphas), loss, top, epsilon)
