"""The sets of claims that ship, by address."""

from __future__ import annotations

from pathlib import Path

from inspector.claims.fields import hint
from inspector.claims.model import ClaimSet
from inspector.claims.reading import read
from inspector.common.assets import folder
from inspector.common.errors import InspectorError
from inspector.common.text import plain

SUFFIXES = (".yaml", ".yml")


def addresses() -> dict[str, Path]:
    """`demo`, `arxiv:2606.23740` … -> file. A file's name has `-` for the `:` of its address."""
    found = sorted((folder() / "claims").glob("*.yaml"))
    return {path.stem.replace("-", ":", 1) if "-" in path.stem else path.stem: path for path in found}


def claim_set(name: str) -> ClaimSet:
    """The claims in a YAML file, or a bundled set by its address or as claims/NAME.yaml.

    Raises InspectorError where there is none, or with what is wrong in it.
    """
    if (path := _file(name)) is not None:
        return read(path)
    bundled = addresses()
    by_file = {f"claims/{file.name}": file for file in bundled.values()}
    found = bundled.get(name) or by_file.get(name)
    if found is None:
        known = ", ".join(bundled)
        raise InspectorError(f"No claims {plain(name)!r}: name a .yaml file, or one of {known}.{hint(name, bundled)}")
    return read(found)


def _file(name: str) -> Path | None:
    """The YAML file of this name, if there is one."""
    try:
        path = Path(name).expanduser()
        return path if path.suffix in SUFFIXES and path.is_file() else None
    except (OSError, RuntimeError, ValueError):  # a name too long, an unknown ~user, a NUL
        return None
