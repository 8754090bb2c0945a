"""Recipes from defaults, YAML files and the command line. No torch.

A file holds fields of `Recipe`, and may hold three keys more: `extends` (another recipe), `methods` (method ->
fields that differ for it), `grid` (field -> values; one run for each combination). Wherever a field is set, `seed` sets
`init_seed` and `data_seed` alike.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml  # type: ignore[import-untyped]

from inspector.common.errors import InspectorError
from inspector.common.special_files import refuse_special
from inspector.common.text import plain
from trainer.methods import METHODS
from trainer.recipes.recipe import Recipe, checked, settings
from trainer.recipes.values import typed

FOLDER = Path(__file__).parent
_DEPTH = 5
_SEED = "seed"


@dataclass(frozen=True, slots=True)
class Source:
    """What a recipe's file says, before a method is chosen."""

    name: str
    values: Mapping[str, Any]
    methods: Mapping[str, Mapping[str, Any]]
    grid: Mapping[str, tuple[Any, ...]]


def read(name: str) -> Source:
    """The recipe of this name, or in this file. Raises InspectorError with what is wrong where."""
    path = Path(name).expanduser()
    if path.suffix in {".yaml", ".yml"}:
        return _read(path, 0)
    known = recipes()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise InspectorError(f"No recipe {plain(name)!r}: name a .yaml file, or one of {', '.join(known)}.{hint}")
    return _read(FOLDER / f"{name}.yaml", 0)


def recipes() -> list[str]:
    """The names of those that ship."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def resolve(source: Source, method: str, texts: Sequence[str]) -> list[tuple[str, Recipe]]:
    """(name of the run's folder, its recipe): one, or one for each point of the grid.

    `texts` are `key=value` or `method.key=value`; a grid's field set there is no longer varied.
    """
    given, grid = dict(source.values) | dict(source.methods.get(method, {})), dict(source.grid)
    for text in texts:
        scope, field, found = setting(text)
        if scope in {"", method}:
            given |= _spread({field: found})
            grid.pop(field, None)
    recipe = checked(Recipe().where(**given))
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    return [(_folder(method, point), checked(recipe.where(**_spread(point)))) for point in points]


def setting(text: str) -> tuple[str, str, Any]:
    """(method, field, value) of `key=value`, whose method is empty, or `method.key=value`. Raises InspectorError."""
    key, equals, value = text.partition("=")
    if not equals:
        raise InspectorError(f"--set {plain(text)!r}: write key=value.")
    scope, dot, field = key.strip().rpartition(".")
    if dot and scope not in METHODS:
        raise InspectorError(f"--set {plain(text)!r}: {plain(scope)!r} is no method.")
    return scope, field, typed(_types(), field, value, "--set")


def to_yaml(recipe: Recipe) -> str:
    """Every field, as a file that `read` reads."""
    values = recipe.flat | {"targets": list(recipe.targets)}
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def _types() -> dict[str, str]:
    """The type of every setting, as it is written."""
    found = {name: f.type.__name__ if isinstance(f.type, type) else str(f.type) for name, f in settings().items()}
    return found | {_SEED: "int"}


def _folder(method: str, point: Mapping[str, Any]) -> str:
    """`sft`, or `sft_lr5e-6_s42` in a grid."""
    short = {"lr": "lr", _SEED: "s", "data_seed": "d", "init_seed": "i", "rank": "r"}
    parts = [f"{short.get(key, key)}{_number(value)}" for key, value in point.items()]
    return "_".join((method, *parts))


def _number(value: Any) -> str:
    return f"{value:g}".replace("e-0", "e-") if isinstance(value, float) else str(value)


def _spread(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, `seed` as the two that it stands for."""
    seed = {"init_seed": values[_SEED], "data_seed": values[_SEED]} if _SEED in values else {}
    return seed | {key: value for key, value in values.items() if key != _SEED}


def _read(path: Path, depth: int) -> Source:
    refuse_special(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise InspectorError(f"Cannot read the recipe {plain(path)}: {error.strerror or error}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InspectorError(f"{plain(path)} is no YAML: {plain(error, 120)}.") from error
    if not isinstance(content, dict):
        raise InspectorError(f"{plain(path)} is no recipe: it must hold key: value lines.")
    parent = Source(path.stem, {}, {}, {})
    if (above := content.pop("extends", None)) is not None:
        if depth >= _DEPTH:
            raise InspectorError(f"{plain(path)}: `extends` goes round in circles.")
        near = path.parent / f"{above}.yaml"
        parent = _read(near if near.is_file() else FOLDER / f"{above}.yaml", depth + 1)
    methods, grid = (_mapping(content.pop(key, None), key, path) for key in ("methods", "grid"))
    return Source(
        path.stem,
        MappingProxyType({**parent.values, **_fields(content, path)}),
        MappingProxyType(_methods(parent, methods, path)),
        MappingProxyType({**parent.grid, **{key: _values(key, values, path) for key, values in grid.items()}}),
    )


def _methods(parent: Source, given: Mapping[str, Any], path: Path) -> dict[str, Mapping[str, Any]]:
    found = dict(parent.methods)
    for name, values in given.items():
        found[name] = {**found.get(name, {}), **_fields(_mapping(values, name, path), path)}
    return found


def _mapping(value: Any, key: str, path: Path) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InspectorError(f"{plain(path)}: {plain(key)!r} must hold key: value lines.")
    return value


def _values(key: str, values: Any, path: Path) -> tuple[Any, ...]:
    if not isinstance(values, list) or not values:
        raise InspectorError(f"{plain(path)}: the grid's {plain(key)!r} must be a list of values.")
    return tuple(typed(_types(), key, value, str(path)) for value in values)


def _fields(values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    return _spread({str(key): typed(_types(), str(key), value, str(path)) for key, value in values.items()})
