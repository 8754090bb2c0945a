"""Settings that some methods read and others do not: one that nobody asked for reads is a mistake. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.common.errors import InspectorError
from inspector.common.text import plain
from trainer.methods import METHODS, Method, Variant
from trainer.recipes.file import setting
from trainer.recipes.recipe import Recipe

_OWN = {name for method in METHODS.values() for variant in method.variants for name in variant.settings}
"""What not all methods read."""


def refuse_unread(texts: Sequence[str], asked: Sequence[tuple[Method, Recipe]]) -> None:
    """Raise InspectorError for a `--set` that none of these runs reads, with the methods that would.

    A recipe's file may hold settings for every method, a command line is meant for the methods it names.
    """
    for text in texts:
        scope, name, _ = setting(text)
        runs = [(method, recipe) for method, recipe in asked if scope in {"", method.name}]
        trained = ", ".join(dict.fromkeys(method.name for method, _ in asked))
        if not runs:
            raise InspectorError(f"--set {plain(text)!r}: {scope} is not trained here, but {trained}.")
        if name in _OWN and not any(name in method.variant(recipe.variant).settings for method, recipe in runs):
            raise InspectorError(
                f"--set {plain(text)!r}: {name} is not read by {scope or trained}, but by {_readers(name)}."
            )


def refuse_unset(method: Method, recipe: Recipe) -> None:
    """Raise InspectorError where the method's variant has no default for a setting it needs."""
    if method.variant(recipe.variant).name == "rift-linear" and recipe.rift_lambda is None:
        raise InspectorError("rift-linear needs its λ: --set rift_lambda=0.2, for one.")


def _readers(name: str) -> str:
    """Who reads a setting: `dpo, kto, ipo`, or `offline-grpo with variant=krafton`."""
    return ", ".join(
        method.name + _only(method, readers)
        for method in METHODS.values()
        if (readers := [variant for variant in method.variants if name in variant.settings])
    )


def _only(method: Method, readers: Sequence[Variant]) -> str:
    if len(readers) == len(method.variants):
        return ""
    return f" with variant={' or '.join(variant.name for variant in readers)}"
