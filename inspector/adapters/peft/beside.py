"""What a PEFT file holds beside its LoRAs, under the keys and settings by which PEFT loads it again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from inspector.adapters.model import Beside
from inspector.adapters.peft.saved import place
from inspector.adapters.peft.tensors import BASE_COPY, BIAS, LORA_BIAS, SAVED, TOKEN_VALUES
from inspector.adapters.tensors.account import USED
from inspector.study.module_id import strip_wrappers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inspector.adapters.files.weights import Weights
    from inspector.adapters.peft.config import PeftConfig
    from inspector.adapters.peft.tensors import Sorted
    from inspector.adapters.tensors.account import Verdict

_SAID_BY = {
    SAVED: ("modules_to_save", "task_type"),
    BIAS: ("bias", "modules_to_save", "task_type"),
    LORA_BIAS: ("lora_bias",),
    TOKEN_VALUES: ("trainable_token_indices",),
}
"""Without one of these settings PEFT has no place for such a tensor; embeddings of the base need none."""
_ADAPTER = re.compile(r"\.(?:modules_to_save(?:\.[^.]+)?|(?<=\.lora_B\.)[^.]+)(?=\.(?:weight|bias)$)")


def beside(found: Sorted, verdicts: Mapping[str, Verdict], config: PeftConfig, weights: Weights) -> Beside | None:
    """The tensors that PEFT would load again, None if there are none; `verdicts` are those of reading them."""
    said = {"task_type"}
    kept = {}
    for key, verdict in found.others.items():
        names = config.settings.keys() & _SAID_BY.get(verdict, ())
        if (names or verdict == BASE_COPY) and "original_module" not in key.split("."):
            said |= names
            kept[key] = f"base_model.model.{_ADAPTER.sub('', strip_wrappers(key))}"
    paths = frozenset(place(key) for key in kept if verdicts[key] is USED)
    settings = {name: value for name, value in config.settings.items() if name in said}
    return Beside(settings, kept, paths, weights.tensor) if settings or kept else None
