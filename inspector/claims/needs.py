"""What must be measured for a set of claims, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from inspector.claims.model import Claim, ClaimSet
from inspector.study.metrics import DEFINITIONS


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the base: these probes over these prompts, of these adapters."""

    prompts: str
    probes: tuple[str, ...]
    names: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    alphas: tuple[float, ...]
    loss: str = "boxed"


def names(claims: ClaimSet) -> tuple[str, ...]:
    """The adapters that claims are about, in the set's order."""
    return _names(claims, claims.claims)


def _names(claims: ClaimSet, some: Sequence[Claim]) -> tuple[str, ...]:
    used = {name for claim in some for name in claim.names}
    return tuple(name for name in claims.adapters if name in used)


def sides(claims: ClaimSet) -> tuple[Literal["left", "right"], ...]:
    """Which principal angles are asked for."""
    asked = [DEFINITIONS[metric] for claim in claims.claims for metric in claim.metrics]
    return ("left", "right") if any(d.one_side and d.side == "right" for d in asked) else ("left",)


def top_ks(claims: ClaimSet) -> dict[int, tuple[str, ...]]:
    """The sizes of subspaces that claims ask for -> the adapters; the first is that of most, with all adapters."""
    asked = [c for c in claims.claims if any(DEFINITIONS[metric].top_k for metric in c.metrics)]
    sizes = [claim.top_k for claim in asked] or [10]
    common = max(sizes, key=sizes.count)
    rest = {size: [c for c in asked if c.top_k == size] for size in dict.fromkeys(sizes) if size != common}
    return {common: names(claims)} | {size: _names(claims, few) for size, few in rest.items()}


def runs(claims: ClaimSet, open_: Sequence[str]) -> list[Run]:
    """The runs of the base that claims about these adapters ask for: one for each prompts and loss.

    Paths run by themselves: they take the pairs that claims are about, everything else all adapters it is about.
    """
    found: dict[tuple[str, str, bool], list[tuple[Claim, str]]] = {}
    for claim in claims.claims:
        if set(claim.names) <= set(open_):
            for probe in {DEFINITIONS[metric].probe for metric in claim.metrics} - {""}:
                loss = "rollouts" if probe == "lmc_rollouts" else "boxed"
                found.setdefault((claim.prompts, loss, probe.startswith("lmc")), []).append((claim, probe))
    return [_run(prompts, loss, asked, open_) for (prompts, loss, _), asked in found.items()]


def _run(prompts: str, loss: str, asked: Sequence[tuple[Claim, str]], open_: Sequence[str]) -> Run:
    """`weights` comes with intruders: there is no probe of its own."""
    probes = {{"lmc_rollouts": "lmc", "weights": "intruders"}.get(probe, probe) for _, probe in asked}
    used = {name for claim, _ in asked for name in claim.names}
    paths = [claim for claim, probe in asked if probe.startswith("lmc")]
    pairs = dict.fromkeys(pair for claim in paths for pair in _pairs(claim))
    alphas = sorted({alpha for claim in paths for alpha in claim.selector.alphas})
    return Run(
        prompts, tuple(sorted(probes)), tuple(name for name in open_ if name in used), tuple(pairs), tuple(alphas), loss
    )


def _pairs(claim: Claim) -> tuple[tuple[str, str], ...]:
    """The pairs of both sides, none twice in the other direction."""
    every = (*claim.selector.pairs, *(claim.other.pairs if claim.other else ()))
    return tuple((min(pair), max(pair)) for pair in every)
