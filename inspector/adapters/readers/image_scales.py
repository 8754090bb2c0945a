"""The scales of LoRA files of image and video models.

s = α/r by the header's `lora_adapter_metadata` (PEFT's config of each component of a pipeline), else by the module's
own `alpha`; without both, the loaders of these formats take α = r, so s = 1 [kohya-ss/sd-scripts networks/lora.py,
diffusers.loaders, comfy.lora]. That holds for lora_up and lora_down, for files with an alpha elsewhere, and below the
names that pipelines give their components. Modules under other names have the scale that stands beside, or none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inspector.adapters.files.config_file import is_number, numbers
from inspector.adapters.files.weights import Weights
from inspector.adapters.model import Scale
from inspector.adapters.options import ReadOptions
from inspector.adapters.peft.config import DEFAULT_ALPHA, PeftConfig
from inspector.adapters.peft.scale import Scaling
from inspector.adapters.tensors.grouping import Slots
from inspector.adapters.tensors.slots import ALPHA
from inspector.adapters.tensors.stated import Stated
from inspector.adapters.updates import lycoris

METADATA = "lora_adapter_metadata"


@dataclass(frozen=True, slots=True)
class Scales:
    """What a file says of its scales beside the modules' own alphas."""

    components: Mapping[str, Scaling] | None
    """By a component's name, or by "" without one; None if the header's word on it cannot be read."""
    by_loader: bool
    """Whether its loaders take α = r where there is no alpha."""
    beside: Stated

    def of_header(self, path: str, r: int) -> Scale | None:
        """By the config of the module's component."""
        component, _, below = path.partition(".")
        for name, at in (component, below), ("", path):
            if scaling := (self.components or {}).get(name):
                return scaling.of(at, r)
        return None

    def without_alpha(self, r: int, read_options: ReadOptions) -> Scale:
        """Of a module without an α of its own."""
        if self.by_loader and self.components is not None:
            stated = self.beside.of(r, read_options)
            differs = self.beside.alpha is not None and stated.value not in {None, 1.0}
            return Scale(1.0, f"no alpha: 1, though {stated.origin}" if differs else "no alpha: 1")
        return self.beside.of(r, read_options)


def scale_of(
    path: str, slots: Slots, made: lycoris.Update, weights: Weights, scales: Scales, read_options: ReadOptions
) -> Scale | None:
    """By the header, by the module's own α (0 counts as r), else by what the file says; None if α is not a number."""
    if made.r is None:
        return Scale(1.0, f"{made.method} without factors: 1")
    if (scale := scales.of_header(path, made.r)) or ALPHA not in slots:
        return scale or scales.without_alpha(made.r, read_options)
    if slots[ALPHA].numel != 1 or slots[ALPHA].dtype.startswith("C"):
        return None
    alpha = float(weights.tensor(slots[ALPHA].key))
    if alpha == 0:
        return Scale(1.0, "alpha 0 counts as r: 1")
    return Scale(alpha / made.r, f"α/r = {alpha:g}/{made.r}") if abs(alpha) < 1e18 else None


def components_of(metadata: Mapping[str, str], read_options: ReadOptions) -> dict[str, Scaling] | None:
    """How PEFT scales each component, by its name; by "" where the file is of one component, without its name."""
    try:
        table = json.loads(metadata.get(METADATA, "{}"))
    except (ValueError, RecursionError):
        return None
    components: dict[str, dict[str, Any]] = {}
    for key, value in table.items() if isinstance(table, dict) else ():
        component, _, field = key.rpartition(".")
        components.setdefault(component, {})[field] = value
    found = {component: Scaling(_config(of), read_options) for component, of in components.items() if "r" in of}
    return found if found or METADATA not in metadata else None


def _config(fields: Mapping[str, Any]) -> PeftConfig:
    alpha, r = fields.get("lora_alpha", DEFAULT_ALPHA), fields.get("r")
    return PeftConfig(
        r=r if is_number(r) else None,
        alpha=float(alpha) if is_number(alpha) else None,
        rslora=bool(fields.get("use_rslora")),
        rank_pattern=numbers(fields.get("rank_pattern")),
        alpha_pattern=numbers(fields.get("alpha_pattern")),
    )
