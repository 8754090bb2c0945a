"""`--gpus`: which GPUs a command may use, each for one run at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from inspector.common.errors import InspectorError
from inspector.common.text import count, plain

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
