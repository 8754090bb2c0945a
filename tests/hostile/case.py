"""What a hostile case is: how its files are made, and how the commands must end on them."""

import json
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
PAGE = b"<!DOCTYPE html><html><body>Entry not found</body></html>"
ESCAPES = "\x1b[31m\x1b]8;;http://x\x07\u202e\u200b[red]name[/red]\r\n\x00\x9b"
"""Colours, a hyperlink, right-to-left, zero width, markup, lines, NUL, an 8-bit CSI."""


@dataclass(frozen=True, slots=True)
class Case:
    """One hostile source. `make(folder)` writes it and gives the path to open, the folder itself where it gives none.

    `code`: how `inspector analyze` must end on it; `says`: a regular expression that what it prints must hold.
    `norm`: the one right ‖ΔW‖ where it is analysed. `options` of the command line.
    """

    name: str
    make: Callable[[Path], Path | None]
    code: int
    says: str
    norm: float | None = None
    options: tuple[str, ...] = ()


_LOST = (
    "not a float",
    "not a finite number",
    "1-D or zero-size",
    "does not multiply",
    "not fit into memory",
    "claim the same",
    "only A or only B",
)


def code_beside_right_ones(says: str) -> int:
    """3 where what is said is that a module is lost, 0 where no tensor of an update is."""
    return 3 if any(reason in says for reason in _LOST) else 0


def safetensors(header: bytes | Mapping[str, Any], data: bytes = b"", *, length: int | None = None) -> bytes:
    """The bytes of a safetensors file with this header, true or not."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(start: int, end: int, shape: Iterable[Any] = (), dtype: str = "F32") -> dict[str, Any]:
    """One tensor of a header."""
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


def write(path: Path, content: bytes | str) -> None:
    """A file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
