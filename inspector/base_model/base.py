"""One base model in memory: found, checked, loaded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector.adapters.files.base_weights import BaseWeights
from inspector.base_model import smollm2
from inspector.base_model.model_files import Progress, model_digest, model_folder
from inspector.common.errors import InspectorError
from inspector.common.text import plain

if TYPE_CHECKING:
    import torch

DTYPES = ("auto", "float32", "bfloat16", "float16")
_STAND_IN = f"{smollm2.HUB_ID} cannot be had from the Hub: using the offline copy (dequantised from 4 bits)"
_ROOM = 0.8
"""Share of a GPU's free memory the weights may take before they are spread over all devices."""


@dataclass(frozen=True, slots=True)
class Base:
    """A base model ready to run: in eval mode, no gradients."""

    model: Any
    tokenizer: Any
    name: str
    digest: str
    device: str
    """`cpu`, `cuda:0`, or `cuda+cpu` and the like where it is spread."""
    dtype: str
    caution: str = ""
    """What limits the reading of its numbers: that it stands in for the one that was named."""

    @property
    def depth(self) -> int:
        """How many transformer blocks."""
        return int(self.model.config.get_text_config().num_hidden_layers)


def load_base(
    name: str,
    device: str = "auto",
    dtype: str = "auto",
    *,
    note: Callable[[str], None] = lambda _text: None,
    progress: Progress = lambda _text, _done, _total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Base:
    """The base `name`: a folder, a Hub id, or `smollm2`. Code from the Hub is never run.

    auto takes CUDA in bfloat16 where there is one, else the CPU in float32; a base larger than the first
    GPU is spread over all devices. Raises InspectorError with what to do.
    """
    folder = base_folder(name, note, progress, cancelled)
    caution = _STAND_IN if name == smollm2.HUB_ID and folder == smollm2.converted() else ""
    progress("loading the base", 0, 0)
    target, number_type = chosen(device, dtype)
    with _quiet():
        model, tokenizer = _load(folder, target, number_type, name)
    model.eval().requires_grad_(requires_grad=False)
    places = sorted({str(p.device) for p in model.parameters()})
    kind = str(number_type).removeprefix("torch.")
    digest = model_digest(folder, note)
    return Base(model, tokenizer, plain(name), digest, "+".join(places), kind, caution)


def base_weights(name: str) -> BaseWeights | None:
    """The weights of the base `name`, not run, found when the first is needed; None without a name."""
    return BaseWeights(name, lambda: base_folder(name)) if name else None


def chosen(device: str, dtype: str) -> tuple[str, torch.dtype]:
    """What `auto` stands for here: (device, dtype). Raises InspectorError for what is not there."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise InspectorError(f"No device {plain(device)!r} here: use --device cpu, or auto.") from error
    if dtype not in DTYPES:
        raise InspectorError(f"No dtype {plain(dtype)!r}: one of {', '.join(DTYPES)}.")
    if dtype == "auto":
        dtype = "float32" if device.startswith("cpu") else "bfloat16"
    return device, getattr(torch, dtype)


def base_folder(
    name: str,
    note: Callable[[str], None] = lambda _text: None,
    progress: Progress = lambda _text, _done, _total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """The folder of the base `name`, downloaded or unpacked where it must be. Raises InspectorError."""
    if not name:
        raise InspectorError("The adapters name no base model: give one with --base (Hub id, folder, or smollm2).")

    def offline_copy() -> Path:
        progress("preparing SmolLM2", 0, 0)
        with _quiet():
            return smollm2.offline_folder(note)

    if name == smollm2.NAME:
        return offline_copy()
    progress(f"looking for {plain(name)}", 0, 0)
    try:
        return model_folder(name, progress, cancelled)
    except InspectorError:
        if name != smollm2.HUB_ID or not smollm2.installed():
            raise
        note(_STAND_IN)
        return offline_copy()


def _load(folder: Path, device: str, dtype: torch.dtype, name: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where: Any = device
    if device == "cuda" and _weight_bytes(folder) > _ROOM * torch.cuda.mem_get_info()[0]:
        where = "auto"
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, device_map=where, trust_remote_code=False, local_files_only=True, use_safetensors=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:
        raise InspectorError(f"Cannot load the base {plain(name)}: {plain(error, 160)}") from error
    return model, tokenizer


def _weight_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


@contextmanager
def _quiet() -> Iterator[None]:
    """No bars and no warnings of libraries over the screen."""
    import logging as levels
    import warnings

    from transformers.utils import logging

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(levels.CRITICAL)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
