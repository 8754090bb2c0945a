"""The loss of answers with a base that is served in few bits, an adapter merged into it or beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspector.adapters.model import Adapter
from inspector.base_model.answer_loss import Loss, answer_loss
from inspector.base_model.attach import Attached
from inspector.base_model.encode import Encoded
from inspector.checking.rounding import Rule, served

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class ServedLoss:
    """Of one adapter by one rule."""

    base: Loss
    """The base in few bits alone."""
    merged: Loss
    """Q(W₀ + ΔW)."""
    beside: Loss
    """Q(W₀), and the adapter unmerged."""


@dataclass(frozen=True, slots=True)
class Losses:
    """As loaded, and by each rule."""

    base: Loss
    adapters: dict[str, Loss]
    served: dict[tuple[str, str], ServedLoss]
    """(adapter, rule)."""
    problems: str
    texts: int


def losses(
    attached: Attached,
    adapters: Sequence[Adapter],
    rules: Sequence[Rule],
    texts: Sequence[Encoded],
    problems: str,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Losses:
    """Run everything on the same texts. Every linear map of the base but its head is rounded; it is restored after."""
    runs = 1 + len(adapters) + len(rules) * (1 + 2 * len(adapters))
    done = [0]

    def step(n: int) -> None:
        done[0] += n
        progress(done[0], runs * sum(len(text.ids) for text in texts))

    def loss(name: str | None) -> Loss:
        attached.use(name)
        return answer_loss(attached, texts, step)

    names = [adapter.info.name for adapter in adapters]
    base, whole, found = loss(None), {name: loss(name) for name in names}, {}
    for rule in rules:
        with _rounded(attached, rule):
            alone, unmerged = loss(None), {name: loss(name) for name in names}
        for adapter, name in zip(adapters, names, strict=True):
            with _rounded(attached, rule, adapter):
                found[name, rule.name] = ServedLoss(alone, loss(None), unmerged[name])
    attached.use(None)
    return Losses(base, whole, found, problems, len(texts))


@contextmanager
def _rounded(attached: Attached, rule: Rule, adapter: Adapter | None = None) -> Iterator[None]:
    """The base's linear maps as Q(W₀), or as Q(W₀ + ΔW) where the adapter changes them."""
    changes = {} if adapter is None else {id(attached.module(m)): id_ for id_, m in adapter.modules.items()}
    before: list[tuple[Any, Tensor]] = []
    try:
        for module in attached.linear_maps():
            weight = module.weight
            before.append((module, weight.data))
            turned = _turned(module)
            W = weight.data.T if turned else weight.data
            if adapter is not None and id(module) in changes:
                id_ = changes[id(module)]
                B, A = (factor.to(W.device).float() for factor in adapter.load(id_))
                W = (served(rule, W) if rule.held else W).float() + adapter.modules[id_].scale.known * (B @ A)
            rounded = served(rule, W).to(weight.dtype)
            weight.data = rounded.T.contiguous() if turned else rounded
        yield
    finally:
        for module, data in before:
            module.weight.data = data


def _turned(module: Any) -> bool:
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, Conv1D)
