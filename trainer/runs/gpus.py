"""`--gpus`: which GPUs a command may use, each for one run at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inspector.common.errors import InspectorError
from inspector.common.text import count, plain
from trainer.runs.launchers import process_count

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_RANGE = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")


@dataclass(frozen=True, slots=True)
class Device:
    """What one run at a time is trained on."""

    name: str
    environment: Mapping[str, str]
    """What lets a process see this device alone."""


def numbers(text: str) -> list[int]:
    """The numbers in `0-7` or `0,2,5-6`, each once. Raises InspectorError."""
    found: dict[int, None] = {}
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise InspectorError(f"--gpus {plain(text, 40)!r}: write numbers, or ranges of them, such as 0-7 or 0,2.")
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


def refuse_apart(text: str, devices: Sequence[str]) -> None:
    """Raise InspectorError for what does not go with a GPU for each run: processes of its own, a recipe's `device`."""
    numbers(text)
    if process_count() > 1:
        raise InspectorError("--gpus starts a process for each run itself: leave out torchrun, or accelerate launch.")
    if named := next((device for device in devices if device != "auto"), ""):
        raise InspectorError(f"--gpus and device={plain(named, 20)} both say where a run is trained: leave one out.")


def gpus(text: str) -> list[Device]:
    """The GPUs of `0-7` or `0,2`, by torch's numbers. Raises InspectorError for one that is not there."""
    import torch

    wanted, there = numbers(text), torch.cuda.device_count()
    if not there:
        raise InspectorError("--gpus needs GPUs that torch can use, and there are none here: leave it out.")
    if missing := [n for n in wanted if n >= there]:
        known = "0" if there == 1 else f"0 to {there - 1}"
        raise InspectorError(f"--gpus: there is no GPU {missing[0]}, but {count(there, 'GPU')} here: {known}.")
    visible = [name.strip() for name in os.environ.get(_VISIBLE, "").split(",") if name.strip()]
    return [Device(f"GPU {n}", {_VISIBLE: visible[n] if visible else str(n)}) for n in wanted]
