"""What a weights file says of its tensors before any value is read. No torch."""

from __future__ import annotations

import sys
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from inspector.adapters.files.placeholders import refuse_stand_in
from inspector.common.errors import InspectorError
from inspector.common.text import plain

FLOATS = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})
"""The types a factor may have, by safetensors' names."""
MOST_TENSORS = 2**18
"""Of one file: a LoRA on every expert of the largest mixtures has half as many."""


class TensorHeader(NamedTuple):
    """One tensor of a file: its key, shape and dtype (safetensors' name, such as BF16)."""

    key: str
    shape: tuple[int, ...]
    dtype: str
    file: Path

    @property
    def numel(self) -> int:
        return prod(self.shape)


def read_headers(path: Path) -> dict[str, TensorHeader]:
    """Key -> header of every tensor in a safetensors file.

    safetensors checks that offsets and shapes cover the file exactly; what fails that raises InspectorError.
    """
    refuse_stand_in(path, "safetensors")
    try:
        # framework "np" keeps torch out; the shapes and dtypes of BF16 and F8 tensors are read all the same.
        with safe_open(path, framework="np") as file:
            keys = file.keys()
            if len(keys) > MOST_TENSORS:
                raise InspectorError(f"{plain(path)} holds {len(keys)} tensors: no adapter or model has so many.")
            return {key: _header(key, file.get_slice(key), path) for key in keys}
    except (SafetensorError, OSError, ValueError) as error:
        what = f"{path.stat().st_size} bytes" if isinstance(error, SafetensorError) else plain(error)
        raise InspectorError(
            f"{plain(path)} is not a valid safetensors file or is cut off ({what}): save or download it again."
        ) from error


def _header(key: str, found: Any, path: Path) -> TensorHeader:
    return TensorHeader(key, tuple(found.get_shape()), sys.intern(found.get_dtype()), path)


def read_metadata(path: Path) -> dict[str, str]:
    """The text a safetensors file carries beside its tensors (`__metadata__`); none where it is damaged."""
    try:
        with safe_open(path, framework="np") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError):
        return {}
