"""Files of weights: which of a PEFT folder's they are, their headers, and tensors on demand."""

from __future__ import annotations

import json
import re
import threading
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector.adapters.files.headers import TensorHeader, read_headers
from inspector.adapters.files.placeholders import SUFFIXES, is_kind, refuse_stand_in
from inspector.adapters.files.refusals import found_instead
from inspector.adapters.tensors.account import Verdict
from inspector.common.errors import InspectorError
from inspector.common.text import plain

if TYPE_CHECKING:
    from torch import Tensor

SAFETENSORS = "adapter_model.safetensors"
INDEX = "adapter_model.safetensors.index.json"
PICKLE = "adapter_model.bin"
_SHARD = re.compile(r"adapter_model-(\d{1,6})-of-(\d{1,6})\.safetensors")


@dataclass(frozen=True, slots=True)
class Weights:
    """Files, headers, and `tensor(key)`: a copy in memory, in the file's own dtype."""

    files: tuple[Path, ...]
    headers: Mapping[str, TensorHeader]
    tensor: Callable[[str], Tensor]
    aside: Mapping[str, Verdict] = field(default_factory=dict)
    """Tensors that only serve others, such as their scales; they have no header here."""


def has_weights(names: set[str]) -> bool:
    """Whether a folder with these file names holds a PEFT adapter's weights."""
    return bool(weight_files(names))


def weight_files(names: set[str]) -> list[str]:
    """Which of a folder's file names are the weights PEFT would load: safetensors, else shards, else the pickle."""
    if SAFETENSORS in names:
        return [SAFETENSORS]
    shards = [name for name in sorted(names) if name == INDEX or _SHARD.fullmatch(name)]
    return shards or sorted({PICKLE} & names)


def open_weights(folder: Path, *, allow_pickle: bool) -> Weights:
    """The weights PEFT would load: one safetensors file, else its shards, else the pickle; or the file that is named.

    Raises InspectorError if there is none, if one is damaged, and for a pickle if `allow_pickle` is False.
    """
    if folder.is_file():
        return (
            pickle_weights(folder, allow_pickle=allow_pickle)
            if folder.suffix.lower() in SUFFIXES["pickle"]
            else safetensors_weights((folder,))
        )
    if (whole := folder / SAFETENSORS).is_file():
        return safetensors_weights((whole,))
    if shards := _shards(folder):
        return safetensors_weights(shards)
    if (pickle := folder / PICKLE).is_file():
        return pickle_weights(pickle, allow_pickle=allow_pickle)
    instead = found_instead(folder, 0)
    raise InspectorError(
        f"{plain(folder)} has no {SAFETENSORS} (nor .bin): a config without its weights.{f' {instead}' * bool(instead)}"
    )


def _shards(folder: Path) -> tuple[Path, ...]:
    """All shards, complete by their index or by `-of-N` in their names; empty where there are none."""
    there = {path.name for path in folder.iterdir() if path.is_file()}
    numbered = {name: match for name in there if (match := _SHARD.fullmatch(name))}
    named = set(numbered)
    if (index := folder / INDEX).is_file():
        refuse_stand_in(index)
        try:
            named = {str(shard) for shard in json.loads(index.read_bytes())["weight_map"].values()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InspectorError(f"{plain(index)} is not an index of shards: it needs a `weight_map`.") from error
    elif numbered:
        total = max(int(match[2]) for match in numbered.values())
        if {int(match[1]) for match in numbered.values()} != set(range(1, total + 1)):
            raise InspectorError(f"{plain(folder)} holds {len(numbered)} of {total} shards: download the others.")
    for name in sorted(named):
        if name not in there:
            raise InspectorError(f"{plain(index)} names the shard {plain(name)!r}, which is not in the folder.")
    return tuple(folder / name for name in sorted(named))


def safetensors_weights(files: tuple[Path, ...]) -> Weights:
    """The tensors of these files together. Raises InspectorError for a damaged file and for a key in two of them."""
    marks = {path: stamp(path) for path in files}
    headers: dict[str, TensorHeader] = {}
    for path in files:
        found = read_headers(path)
        if twice := headers.keys() & found.keys():
            raise InspectorError(f"Two shards hold {plain(min(twice))!r}, one of them {plain(path)}.")
        headers |= found
    return Weights(files, headers, _Handles(headers, marks).tensor)


class _Handles:
    """One open handle per file, for any thread."""

    def __init__(self, headers: Mapping[str, TensorHeader], marks: Mapping[Path, tuple[int, ...]]) -> None:
        self._headers, self._marks = headers, marks
        self._open: dict[Path, Any] = {}
        self._lock = threading.Lock()

    def tensor(self, key: str) -> Tensor:
        """A copy: the handle maps the file, and reading a mapped tensor after truncation kills the process."""
        from safetensors import SafetensorError, safe_open

        path = self._headers[key].file
        with self._lock:
            refuse_changed(path, self._marks[path])
            try:
                if path not in self._open:
                    self._open[path] = safe_open(path, framework="pt")
                tensor: Tensor = self._open[path].get_tensor(key).clone()
            except (SafetensorError, OSError) as error:
                raise InspectorError(f"Cannot read {plain(key)!r} from {plain(path)}: {plain(error)}.") from error
            refuse_changed(path, self._marks[path])
        return tensor


def pickle_weights(path: Path, *, allow_pickle: bool) -> Weights:
    """A `.bin` or `.pt`, unpickled with `weights_only`: nothing in it can run code.

    A safetensors file under such a name is read as what it is. Raises InspectorError if `allow_pickle` is
    False, if the file is damaged, and if it is not a flat dict of tensors.
    """
    import torch

    if is_kind(path, "safetensors"):
        return safetensors_weights((path,))
    refuse_stand_in(path, "pickle")
    if not allow_pickle:
        raise InspectorError(
            f"{plain(path)} is a pickle, which is opened only with --allow-pickle (nothing in it is run even then): "
            "better save the adapter as .safetensors."
        )
    mark = stamp(path)
    zipped = _refuse_bomb(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd pickles: what matters is raised
            # What torch < 1.6 wrote is not a zip file and cannot be mapped.
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:
        raise InspectorError(
            f"{plain(path)} cannot be read as plain tensors ({type(error).__name__}): it is damaged or would run code. "
            f"Save the adapter as {SAFETENSORS}."
        ) from error
    if not isinstance(loaded, dict) or not all(_is_stored(value, path) for value in loaded.values()):
        inner = [key for key, value in loaded.items() if isinstance(value, dict)] if isinstance(loaded, dict) else []
        which = f"what is under {plain(inner[0], 40)!r}" if inner else "the adapter"
        raise InspectorError(f"{plain(path)} is not a flat table of tensors it holds: save {which} as {SAFETENSORS}.")
    tensors = {str(key): value for key, value in loaded.items()}

    def tensor(key: str) -> Tensor:
        refuse_changed(path, mark)
        copy: Tensor = tensors[key].detach().clone()
        return copy

    headers = {k: TensorHeader(k, tuple(t.shape), _dtype_name(t.dtype), path) for k, t in tensors.items()}
    return Weights((path,), headers, tensor)


def _refuse_bomb(path: Path) -> bool:
    """Whether it is a zip archive; raises InspectorError where that would unfold into more than its own size.

    torch stores without compression.
    """
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            unfolded = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InspectorError(f"{plain(path)} cannot be read as plain tensors ({plain(error, 100)}).") from error
    if unfolded > path.stat().st_size:
        raise InspectorError(f"{plain(path)} is compressed, as torch never does: save the adapter as {SAFETENSORS}.")
    return True


def _is_stored(value: object, path: Path) -> bool:
    """Whether it is a dense tensor no larger than the file: not one number repeated a million million times."""
    import torch

    if not isinstance(value, torch.Tensor) or value.device.type != "cpu" or value.layout != torch.strided:
        return False
    return not value.is_quantized and value.numel() * value.element_size() <= path.stat().st_size


def _dtype_name(dtype: object) -> str:
    """torch's dtype under safetensors' name: torch.bfloat16 -> BF16."""
    name = str(dtype).removeprefix("torch.")
    if name.startswith("float8_"):
        return f"F8_{name.split('_')[1].removesuffix('fn').upper()}"
    return name.upper().replace("BFLOAT", "BF").replace("FLOAT", "F").replace("UINT", "U").replace("INT", "I")


def stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file is replaced, rewritten or cut: device, inode, size, time."""
    try:
        found = path.stat()
    except OSError as error:
        raise InspectorError(f"{plain(path)} is gone since it was opened: open it again.") from error
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def refuse_changed(path: Path, mark: tuple[int, ...]) -> None:
    if stamp(path) != mark:
        raise InspectorError(f"{plain(path)} changed since it was opened: open it again.")
