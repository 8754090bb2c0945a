"""YAML without objects and without keys given twice."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from inspector.common.errors import InspectorError
from inspector.common.special_files import refuse_special
from inspector.common.text import plain

_LARGEST = 1_000_000


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """A key given twice is a fault and not the last one's win."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for where, _ in node.value:
            key = self.construct_object(where, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{plain(key)!r} twice", where.start_mark)
            seen.add(key if isinstance(key, Hashable) else None)
        found: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return found


def loaded(path: Path) -> Any:
    """What the YAML in a file says. Raises InspectorError with the file, and the line if there is one."""
    refuse_special(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise InspectorError(f"{path} has more than {_LARGEST / 1e6:.0f} MB: no set of claims is that long.")
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise InspectorError(f"Cannot read {plain(path)}: {error.strerror or error}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise InspectorError(f"{plain(path)}{line}: {plain(getattr(error, 'problem', error))}.") from error
    except (ValueError, RecursionError, TypeError) as error:
        raise InspectorError(f"{plain(path)} is not YAML: {plain(error)}.") from error
