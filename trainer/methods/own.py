"""An objective of a user's own file as a method: `--objective mine.py:TopOfGroup`. No torch."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from inspector.common.errors import InspectorError
from inspector.common.text import plain
from trainer.methods import register
from trainer.methods.base import Method
from trainer.methods.weighted import Weighted

_TYPES = {"int", "float", "bool", "str", "float | None"}


def add(text: str) -> Method:
    """Register the class that `FILE.py:CLASS` names as a method of its `name`; its source is the file's digest.

    Raises InspectorError if there is no such class, or it is no objective.
    """
    place, _, name = text.rpartition(":")
    path = Path(place).expanduser()
    kind = getattr(_module(path, text), name, None)
    if not isinstance(kind, type) or not issubclass(kind, Weighted):
        raise InspectorError(f"--objective {plain(text)}: {plain(name)} is no class made from Weighted there.")
    if why := _fault(kind):
        raise InspectorError(f"--objective {plain(text)}: {why}.")
    source = f"{path.name}, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"
    method = Method(kind.name, kind.name, (kind,), source, own=True)
    register(method)
    return method


def _fault(kind: type[Any]) -> str:
    """What keeps a class from being an objective; empty if nothing does."""
    if "__dataclass_fields__" not in vars(kind):
        return "put @dataclass(frozen=True) above the class, whose fields are its settings"
    name = getattr(kind, "name", None)
    if not isinstance(name, str) or name == "all" or not name.replace("-", "").isalnum():
        return "give it a name of letters, digits and dashes: name = 'top-of-group'"
    if not kind.formula or kind.formula.startswith(f"{kind.__name__}("):
        return "give it a docstring whose first paragraph is its formula"
    for f in kind.settings():
        written = f.type.__name__ if isinstance(f.type, type) else str(f.type)
        if f.default is MISSING or written not in _TYPES:
            return f"its setting {f.name} needs a default, and a type of {', '.join(sorted(_TYPES))}"
    return ""


def _module(path: Path, text: str) -> Any:
    """The file, run as a module."""
    if path.suffix != ".py" or not path.is_file():
        raise InspectorError(f"--objective {plain(text)}: write FILE.py:CLASS with a file that is there.")
    name = f"_objective_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their types up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InspectorError(f"{plain(path)} does not run: {type(error).__name__}: {plain(error, 160)}.") from error
    return module
