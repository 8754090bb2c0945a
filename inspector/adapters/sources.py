"""What a user writes to name adapters: `NAME=SOURCE`, a path or a Hub id."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path

from inspector.common.errors import InspectorError
from inspector.common.nearby import nearby
from inspector.common.special_files import refuse_special
from inspector.common.text import plain

_HUB_ID = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@(?P<revision>[^\s:@]+))?(?::(?P<subfolder>\S+))?"
)
# As it stands in a browser, or in the words of huggingface_hub's file system.
_URL = re.compile(
    r"(?:https?://(?:huggingface\.co|hf\.co)/|hf://)(?P<repo>[^/@\s]+/[^/@\s]+)(?:@(?P<at>[^/\s]+))?"
    r"(?:/(?:tree|blob|resolve)/(?P<revision>[^/\s]+))?(?:/(?P<path>\S*))?"
)
_CHECKPOINT = re.compile(r"checkpoint-\d+")
CHECKPOINTS = ".checkpoints"
"""The folder in a run that `inspector train` keeps its checkpoints in."""


@dataclass(frozen=True, slots=True)
class Local:
    """A path that exists."""

    path: Path
    name: str = ""


@dataclass(frozen=True, slots=True)
class Remote:
    """`org/repo[@revision][:path]` on the Hugging Face Hub, or its address there."""

    repo: str
    revision: str = ""
    subfolder: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A local folder or file that holds one adapter, with the components of names it may go by."""

    path: Path
    source: str
    components: tuple[str, ...]
    """Outermost first, such as ("runs", "sft", "checkpoint-500")."""
    name: str = ""
    """The name the user gave; empty for a name from the components."""
    fault: str = ""
    """Why it could not be had, where the source's other adapters could."""
    skipped: bool = False
    """Whether the fault is of files that are not an adapter's."""
    beside: tuple[str, ...] = ()
    """The adapters beside it that are not opened, by their paths from its folder."""
    listed: tuple[str, ...] = ()
    """The files beside it that its repo lists and no adapter there is made of, by name: not downloaded."""


def parse(text: str) -> Local | Remote:
    """Read `[NAME=]SOURCE`. A path that exists wins over any other reading.

    Raises InspectorError for a path that does not exist and for what is neither path nor Hub id.
    """
    if path := _existing(text):
        return Local(path)
    name, equals, rest = text.partition("=")
    # A name may hold slashes, as `run/checkpoint-500` does; what follows it then must be a source for certain.
    if equals and name and ("/" not in name or _existing(rest) or _HUB_ID.fullmatch(rest)):
        if not rest:
            raise InspectorError(f"{plain(text)!r} names no source: write NAME=PATH or NAME=org/repo.")
        if path := _existing(rest):
            return Local(path, plain(name, 80))
        return _remote(rest, plain(name, 80))
    return _remote(text, "")


def _existing(text: str) -> Path | None:
    """The path, if there is a file or a folder; raises InspectorError for one that leads to neither."""
    try:
        path = Path(text).expanduser()
    except (OSError, RuntimeError, ValueError):  # an unknown ~user, a NUL
        return None
    refuse_special(path)
    try:
        return path if text and path.exists() else None
    except (OSError, ValueError):  # a name too long
        return None


def _remote(text: str, name: str) -> Remote:
    """The Hub id in a text that is not an existing path."""
    match = _HUB_ID.fullmatch(_id_of(text))
    if match is None:
        no_id = "" if text.startswith((".", "/", "~")) else ", and it is not a Hub id (org/repo[@revision][:path])"
        why = ": nothing matches the pattern" if has_magic(text) else f"{nearby(text)}{no_id}"
        raise InspectorError(f"No file or folder {plain(text)!r} here{why}.")
    subfolder = (match["subfolder"] or "").strip("/")
    if "\\" in subfolder or {"..", "."} & set(subfolder.split("/")):
        raise InspectorError(f"The path in {plain(text)!r} must be a plain path inside the repo.")
    return Remote(match["repo"], match["revision"] or "", subfolder, name)


def _id_of(text: str) -> str:
    """`https://huggingface.co/org/repo/tree/main/runs/a` -> `org/repo@main:runs/a`; other texts as they are."""
    found = _URL.fullmatch(text)
    if found is None:
        return text
    revision = found["at"] or found["revision"]
    path = (found["path"] or "").strip("/")
    return found["repo"] + (f"@{revision}" if revision else "") + (f":{path}" if path else "")


def as_source(path: Path) -> str:
    """A path as a source that opens it again; bytes in it that are not UTF-8 as `?`, since no study can hold them."""
    return str(path).encode("utf-8", "replace").decode()


def name_places(places: Sequence[Place], taken: Iterable[str] = ()) -> list[str]:
    """A name for each place, all different and none of `taken`: the same for the same input.

    The last component (a `checkpoint-N` with its parent), with parents in front where that repeats;
    then numbers.
    """
    widths = [2 if _CHECKPOINT.fullmatch(place.components[-1]) else 1 for place in places]
    names = [_named(place, width) for place, width in zip(places, widths, strict=True)]
    for _ in range(max((len(place.components) for place in places), default=0)):
        distinct = {(name, place.components) for name, place in zip(names, places, strict=True) if not place.name}
        repeated = {name for name, times in Counter(name for name, _ in distinct).items() if times > 1}
        if not repeated:
            break
        widths = [width + (name in repeated) for width, name in zip(widths, names, strict=True)]
        names = [_named(place, width) for place, width in zip(places, widths, strict=True)]
    return _numbered(names, set(taken))


def _named(place: Place, width: int) -> str:
    if place.name:
        return place.name
    return plain("/".join(place.components[-width:]), 80) or "adapter"


def _numbered(names: Sequence[str], taken: set[str]) -> list[str]:
    """The names, the second `x` as `x-2`."""
    given = []
    for name in names:
        free, n = name, 2
        while free in taken:
            free, n = f"{name}-{n}", n + 1
        taken.add(free)
        given.append(free)
    return given
