"""What can be asked of a base model, and what it will cost. No torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inspector.adapters.model import Adapter
from inspector.base_model.coverage import refuse_on_paths
from inspector.base_model.smollm2 import HUB_ID, NAME
from inspector.common.cache import Cache, cache_folder
from inspector.common.errors import InspectorError
from inspector.common.text import count, duration, plain
from inspector.probes.cka import FEWEST
from inspector.study.metrics.probes import FEW_PROMPTS
from inspector.tasks.problems import BUNDLED, HUB, Problems, load_problems

PROBES = ("lmc", "cka", "lens", "intruders", "accuracy")
ALPHAS = tuple(round(0.1 * step, 1) for step in range(11))
LOSSES = ("boxed", "rollouts")
POOLINGS = ("last", "mean", "all")
_LIMITS = {"lmc": 64, "cka": 100, "lens": 100, "accuracy": 0}
_TEMPLATE = 30
"""Tokens a chat template adds, about."""
_CHARACTERS = 3.0
"""Characters of a token, about: fewer than in prose, for numbers."""

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What to measure with the base model. Empty and 0 mean the default."""

    probes: tuple[str, ...]
    base: str = ""
    """Hub id, folder or `smollm2`; empty: the base the adapters name."""
    prompts: str = ""
    """What problems.py knows, or a file; empty: see `default_prompts`."""
    limit: int = 0
    """The first so many prompts; 0: 64 for lmc, 100 for cka and lens, all for accuracy."""
    device: str = "auto"
    dtype: str = "auto"
    pairs: Pairs = ()
    """Names; empty: all pairs."""
    loss: str = "boxed"
    alphas: tuple[float, ...] = ()
    """Points of a path; 0 and 1 are always among them."""
    pooling: str = "last"
    batch: int = 0
    new_tokens: int = 0
    """Longest answer in tokens when generating."""
    top: int = 10
    """Of how many top directions intruders are counted."""
    epsilon: float = 0.5
    """Below this resemblance to the base's, one is an intruder."""

    def checked(self, adapters: Sequence[Adapter]) -> Request:
        """The request with its defaults filled in; raises InspectorError for what cannot be."""
        for words, known, what in (
            (self.probes, PROBES, "probe"),
            ((self.loss,), LOSSES, "loss"),
            ((self.pooling,), POOLINGS, "pooling"),
        ):
            if unknown := [word for word in words if word not in known]:
                raise InspectorError(f"No {what} {plain(unknown[0])!r}: one of {', '.join(known)}.")
        if "cka" in self.probes and self.limit:
            _refuse_few(self.limit, "the limit")
        names = [adapter.info.name for adapter in adapters]
        if lost := [name for pair in self.pairs for name in pair if name not in names]:
            raise InspectorError(f"No adapter {plain(lost[0])!r} is open: a pair is of {', '.join(map(plain, names))}.")
        if "lmc" in self.probes and len(names) < 2:
            raise InspectorError("lmc is the loss between two adapters, and one is open: name another.")
        if not all(-10 <= alpha <= 10 for alpha in self.alphas):  # which NaN is not
            raise InspectorError("A point of a path is a number α between -10 and 10, such as 0,0.5,1.")
        every = tuple((a, b) for i, a in enumerate(names) for b in names[i + 1 :])
        if "lmc" in self.probes:
            paths = {name for pair in self.pairs or every for name in pair}
            refuse_on_paths([a.info.name for a in adapters if a.invocation and a.info.name in paths])
        alphas = tuple(sorted({0.0, 1.0, *(round(float(alpha), 6) for alpha in self.alphas or ALPHAS)}))
        base = self.base or next((a.info.base for a in adapters if a.info.base), "")
        prompts = self.prompts or default_prompts(base)
        return replace(self, pairs=self.pairs or every, alphas=alphas, base=base, prompts=prompts)

    def refuse_unknown(self, adapters: Sequence[Adapter]) -> None:
        """Raise InspectorError for what can be known without a base: probes, pairs, prompts on this machine."""
        request = self.checked(adapters)
        for probe in request.probes:
            if probe in _LIMITS and request.prompts not in HUB:
                request.problems(probe)

    def problems(self, probe: str) -> Problems:
        """The problems of one probe, cut to the limit; raises InspectorError where they are too few for it."""
        wants = probe == "lmc" and self.loss == "rollouts"
        found = load_problems(self.prompts, completions=wants).first(self.limit or _LIMITS[probe])
        if probe == "cka":
            _refuse_few(len(found.problems), found.name)
        return found


def _refuse_few(count: int, giver: str) -> None:
    """Raise InspectorError where so many prompts are too few for CKA."""
    if count < FEWEST:
        raise InspectorError(f"CKA needs at least {FEWEST} prompts: {plain(giver)} gives {count}.")


def default_prompts(base: str) -> str:
    """GSM8K; the bundled sums for SmolLM2, which solves none of GSM8K and is there to work offline."""
    return BUNDLED[0] if base in {NAME, HUB_ID} else "gsm8k"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a request will cost. `seconds` is None until this base has run on this device once."""

    passes: int
    tokens: int
    seconds: float | None
    text: str
    caution: str = ""
    """That the prompts will be too few to say anything, or nothing."""


def estimate(adapters: Sequence[Adapter], request: Request) -> Estimate:
    """The cost of what is not in the cache yet cannot be known without the base: this is the most it can be."""
    request = request.checked(adapters)
    sizes, per_prompt = _prompts(request)
    runs = _passes(adapters, request)
    passes, tokens = sum(runs.values()), sum(int(n * sizes[probe] * per_prompt) for probe, n in runs.items())
    new = (len(adapters) + 1) * sizes["accuracy"] if "accuracy" in request.probes else 0
    each = seconds_each(adapters, request)
    seconds = sum(each.values()) if runs and not new and set(each) == set(runs) else None
    return Estimate(passes, tokens, seconds, _words(request, passes, tokens, new, seconds), few_prompts(request))


def few_prompts(request: Request) -> str:
    """Which probes will run over fewer prompts than anything can be said of; of accuracy the intervals show it."""
    sizes = _prompts(request)[0]
    few = {probe: sizes[probe] for probe in request.probes if 0 < sizes.get(probe, 0) < FEW_PROMPTS}
    few.pop("accuracy", None)
    if not few:
        return ""
    on = f"{', '.join(few)} on {count(max(few.values()), 'prompt')}"
    return f"{on}: fewer than {FEW_PROMPTS} scatter more than adapters differ"


def seconds_each(adapters: Sequence[Adapter], request: Request) -> dict[str, float]:
    """At most how long every probe takes that runs passes, as fast as the last time; without those never run here.

    CKA and lens share their passes: both stand under `cka`.
    """
    sizes, per_prompt = _prompts(request)
    known, found = speeds(), {}
    for probe, runs in _passes(adapters, request).items():
        if speed := known.get(f"{request.base} {request.device} {_kind(request, probe)}"):
            found[probe] = runs * sizes[probe] * per_prompt / speed
    return found


def _prompts(request: Request) -> tuple[dict[str, int], float]:
    """How many prompts every probe reads, and about how many tokens each has."""
    if request.prompts in HUB:
        return dict.fromkeys(_LIMITS, request.limit or 100) | {"accuracy": request.limit or 1319}, 120.0
    found = {probe: request.problems(probe) for probe in request.probes if probe in _LIMITS}
    per_prompt = _tokens(next(iter(found.values()))) if found else 0.0
    return {probe: len(problems.problems) for probe, problems in found.items()}, per_prompt


def _passes(adapters: Sequence[Adapter], request: Request) -> dict[str, int]:
    """Passes over the prompts, by the probe that runs them."""
    shared = next((probe for probe in ("cka", "lens") if probe in request.probes), "")
    runs = {"lmc": _points(request)} if "lmc" in request.probes else {}
    return runs | ({shared: len(adapters) + 1} if shared else {})


def _points(request: Request) -> int:
    """Points of all paths: inner ones per pair, the adapters and the base once."""
    names = {name for pair in request.pairs for name in pair}
    return len(request.pairs) * (len(request.alphas) - 2) + len(names) + 1


def _tokens(problems: Problems) -> float:
    characters = sum(len(p.question) + len(p.answer) + len(p.completion) for p in problems.problems)
    return characters / _CHARACTERS / len(problems.problems) + _TEMPLATE


def _words(request: Request, passes: int, tokens: int, new: int, seconds: float | None) -> str:
    parts = []
    if passes:
        parts.append(f"at most {count(passes, 'pass').replace('passs', 'passes')}, about {tokens:,} tokens")
    if new:
        parts.append(f"{new} answers to generate")
    if "intruders" in request.probes:
        parts.append("one SVD per module of the base, then cached")
    known = "the time shows after the first batch"
    if seconds is not None:
        known = f"at most {duration(seconds)} as fast as the last time, and loading the base"
    return "; ".join([*parts, known]) if parts else known


def speeds() -> dict[str, float]:
    """Tokens per second of earlier runs, by `base device`."""
    found: dict[str, float] = json.loads(Cache().read(_speeds()) or b"{}")
    return found


def _kind(request: Request, probe: str) -> str:
    """What a pass does beside the forward pass: unembedding every layer takes as long again."""
    return "lmc" if probe == "lmc" else "lens" if "lens" in request.probes else "cka"


def remember_speed(request: Request, probe: str, tokens_per_second: float) -> None:
    """For the next estimate."""
    key = f"{request.base} {request.device} {_kind(request, probe)}"
    known = speeds() | {key: round(tokens_per_second, 1)}
    Cache().write(_speeds(), json.dumps(known).encode())


def _speeds() -> Path:
    return cache_folder("speed") / "speeds.json"
