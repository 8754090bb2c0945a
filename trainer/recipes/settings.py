"""Settings that some methods read and others do not: one that nobody asked for reads is a mistake. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.common.errors import InspectorError
from inspector.common.text import plain
from trainer.methods import METHODS, own_settings
from trainer.methods.base import Method, Objective
from trainer.recipes.file import setting
from trainer.recipes.recipe import Recipe, settings


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
        if name in own_settings() and not any(_reads(method.variant(r.variant), name) for method, r in runs):
            raise InspectorError(
                f"--set {plain(text)!r}: {name} is not read by {scope or trained}, but by {readers(name)}."
            )


def described(method: Method) -> dict[str, list[tuple[str, str]]]:
    """The settings that a method reads, its own and those of all: (`name = default`, what it means, who reads it)."""
    mine = {f.name for variant in method.variants for f in variant.settings()}
    own, shared = [], []
    for name, f in settings().items():
        value = ",".join(f.default) if isinstance(f.default, tuple) else str(f.default)
        row = f"{name} = {'unset' if value in {'', 'None'} else value}", f.metadata.get("about", "")
        if name in mine:
            own.append((row[0], f"{row[1]} Read by {readers(name)}.".strip()))
        elif name not in own_settings():
            shared.append(row)
    return {"Settings of its own": own, "Settings that every method reads": shared}


def readers(name: str) -> str:
    """Who reads a setting: `dpo, kto, ipo`, or `offline-grpo with variant=krafton`."""
    return ", ".join(
        method.name + _only(method, found)
        for method in METHODS.values()
        if (found := [variant for variant in method.variants if _reads(variant, name)])
    )


def _reads(variant: type[Objective], name: str) -> bool:
    return any(f.name == name for f in variant.settings())


def _only(method: Method, found: Sequence[type[Objective]]) -> str:
    if len(found) == len(method.variants):
        return ""
    return f" with variant={' or '.join(variant.name for variant in found)}"
