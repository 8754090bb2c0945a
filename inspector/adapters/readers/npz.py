"""Tensors of a `.npz`: numpy's headers read without the values, and nothing that numpy would unpickle."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from inspector.adapters.files.headers import TensorHeader
from inspector.adapters.files.placeholders import refuse_stand_in
from inspector.adapters.files.weights import Weights, refuse_changed, stamp
from inspector.common.errors import InspectorError
from inspector.common.text import plain

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

# numpy has no bfloat16: mlx writes its bytes as two of no type.
_NAMES = {"f8": "F64", "f4": "F32", "f2": "F16", "V2": "BF16"}
_MOST = 100_000


def is_npz(path: Path) -> bool:
    """Whether the file is a zip archive of arrays."""
    return bool(npz_keys(path))


def npz_keys(path: Path) -> list[str]:
    """The names of the arrays in a zip archive; none where it is damaged, or no archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def npz_weights(path: Path) -> Weights:
    """The arrays of the archive. Raises InspectorError where it is damaged or compressed (a size nobody can trust)."""
    refuse_stand_in(path, "npz")
    mark = stamp(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            sizes = sum(entry.file_size for entry in archive.infolist())
            if len(names) > _MOST or sizes > path.stat().st_size:
                raise InspectorError(f"{plain(path)} is compressed or has too many arrays: save it as .safetensors.")
            headers = {n.removesuffix(".npy"): _header(archive, n, path) for n in names}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise InspectorError(f"{plain(path)} is not a valid .npz or is cut off ({plain(error, 100)}).") from error

    def tensor(key: str) -> Tensor:
        import numpy as np
        import torch

        refuse_changed(path, mark)
        try:
            with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
        except (zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
            raise InspectorError(f"Cannot read {plain(key)!r} from {plain(path)}: {plain(error, 100)}.") from error
        if array.dtype.kind == "V":
            return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))

    return Weights((path,), headers, tensor)


def _header(archive: zipfile.ZipFile, name: str, path: Path) -> TensorHeader:
    """Shape and type of one array; its size must be what the archive holds of it."""
    with archive.open(name) as file:
        shape, dtype = _array_header(file)
        size = archive.getinfo(name).file_size - file.tell()
    header = TensorHeader(name.removesuffix(".npy"), shape, _NAMES.get(dtype.str[1:], dtype.name.upper()), path)
    if min(shape, default=0) < 0 or header.numel * dtype.itemsize != size:
        raise InspectorError(f"{plain(path)}: {plain(header.key)!r} is cut off, {size} bytes for its shape.")
    return header


def _array_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    import numpy as np

    major, _ = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return tuple(shape), dtype
