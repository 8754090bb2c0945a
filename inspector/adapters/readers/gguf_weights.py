"""A GGUF file's metadata and tensors, values read and dequantised on demand."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector.adapters.files.headers import FLOATS, TensorHeader
from inspector.adapters.files.placeholders import refuse_stand_in
from inspector.adapters.files.weights import Weights, refuse_changed, stamp
from inspector.common.errors import InspectorError
from inspector.common.text import plain

if TYPE_CHECKING:
    from gguf import GGUFReader
    from torch import Tensor

_MAGIC = b"GGUF"
_SCANNED = 2**20
_TYPE = b"general.type"
# A string in GGUF: its length as u64, its bytes; a pair: key, the value's type as u32 (8: string), the value.
_ADAPTER = struct.pack("<Q", len(_TYPE)) + _TYPE + struct.pack("<IQ", 8, 7) + b"adapter"
_PLAIN = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_QUANTISED = ("Q", "IQ", "TQ", "MXFP")
_LARGEST_METADATA = 4 * 2**20
# The package takes some ten microseconds for each number of an array, and for each tensor.
_MOST_VALUES, _MOST_TENSORS = 50_000, 20_000


def is_adapter(path: Path) -> bool:
    """Whether the file is a GGUF whose metadata says `general.type` adapter, by its first megabyte."""
    try:
        with path.open("rb") as file:
            start = file.read(_SCANNED)
    except OSError:
        return False
    return start.startswith(_MAGIC) and _ADAPTER in start


def is_value(dtype: str) -> bool:
    """Whether a type is of floats, or of blocks that dequantise to them."""
    return dtype in FLOATS or dtype.startswith(_QUANTISED)


def gguf_weights(path: Path) -> tuple[Weights, Mapping[str, Any]]:
    """Tensors with numpy's order of axes, quantised ones dequantised to float32 when read; and the metadata's scalars.

    Raises InspectorError for what is not a valid GGUF file.
    """
    refuse_stand_in(path, "gguf")
    mark = stamp(path)
    try:
        reader = _reader(path)
        metadata = {key: field.contents() for key, field in reader.fields.items() if len(field.data) == 1}
        layout = {
            t.name: (tuple(int(n) for n in reversed(t.shape)), t.tensor_type, int(t.data_offset), int(t.n_bytes))
            for t in reader.tensors
        }
        _refuse_lies(reader)
    except Exception as error:
        # Its checks are its indexing's: a cut or hostile header ends in nearly any exception.
        raise InspectorError(f"{plain(path)} is not a valid GGUF file or is cut off ({plain(error, 100)}).") from error

    def tensor(key: str) -> Tensor:
        import numpy as np
        import torch
        from gguf import quants

        shape, type_, offset, length = layout[key]
        refuse_changed(path, mark)
        with path.open("rb") as file:  # not from the mapping: a file cut while it is mapped kills the process
            file.seek(offset)
            raw = bytearray(file.read(length))
        refuse_changed(path, mark)
        if type_.name in _PLAIN:
            return torch.frombuffer(raw, dtype=getattr(torch, _PLAIN[type_.name])).reshape(shape)
        try:
            rows = quants.dequantize(np.frombuffer(raw, np.uint8).reshape(*shape[:-1], -1), type_)
        except (NotImplementedError, ValueError) as error:
            raise InspectorError(f"{plain(path)}: {plain(key)!r} is of type {type_.name}: {plain(error)}.") from error
        return torch.from_numpy(np.ascontiguousarray(rows)).reshape(shape)

    headers = {key: TensorHeader(key, shape, type_.name, path) for key, (shape, type_, _, _) in layout.items()}
    return Weights((path,), headers, tensor), metadata


def _reader(path: Path) -> GGUFReader:
    """The package's reader with bounds: its own goes on past the file's end, through an array of any length."""
    from gguf import GGUFReader, GGUFValueType

    class Bounded(GGUFReader):
        values = 0

        def _get(self, offset: int, dtype: Any, count: int = 1, *order: Any, **more: Any) -> Any:
            found = super()._get(offset, dtype, count, *order, **more)
            if len(found) < int(count):
                raise ValueError("it ends early")
            return found

        def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:
            self.values += 1
            if orig_offs > _LARGEST_METADATA or self.values > _MOST_VALUES:
                raise ValueError("metadata larger than an adapter's")
            if raw_type == GGUFValueType.ARRAY and int(self._get(orig_offs + 4, "<u8")[0]) > _MOST_VALUES:
                raise ValueError("an array longer than an adapter's")
            return super()._get_field_parts(orig_offs, raw_type)

        def _build_tensor_info(self, offs: int, tensor_count: int) -> Any:
            if tensor_count > _MOST_TENSORS:
                raise ValueError(f"{tensor_count} tensors are more than an adapter's")
            return super()._build_tensor_info(offs, tensor_count)

    return Bounded(path)


def _refuse_lies(reader: GGUFReader) -> None:
    """Raise ValueError where shapes or offsets passed the 64 bits of numpy's arithmetic, or tensors share bytes."""
    end = int(reader.data_offset)
    for tensor in sorted(reader.tensors, key=lambda t: int(t.data_offset)):
        if prod(int(n) for n in tensor.shape) != int(tensor.n_elements) or int(tensor.data_offset) < end:
            raise ValueError(f"impossible shape or place of {tensor.name}")
        end = int(tensor.data_offset) + int(tensor.n_bytes)
