"""The scale of an adapter where its format keeps it beside the factors.

adapter_config.json   lora_parameters.scale (mlx-lm); alpha beside rank (mlx-vlm): s as it is
params.json           lora.scaling (mistral-finetune): s as it is
the file's header     ss_network_alpha (kohya's scripts): α
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspector.adapters.files.config_file import CONFIG, is_number, read_json_object
from inspector.adapters.files.headers import read_metadata
from inspector.adapters.files.listing import Folder
from inspector.adapters.files.weights import SAFETENSORS, has_weights
from inspector.adapters.model import Scale
from inspector.adapters.options import ReadOptions

PARAMS = "params.json"
MLX = "alpha"
"""Where mlx-vlm states it, for factors stored in×r and r×out."""


@dataclass(frozen=True, slots=True)
class Stated:
    """s as it is, or α; None where nothing says it. `rank`: the r of the factors, as far as that is said."""

    scale: float | None = None
    alpha: float | None = None
    rank: float | None = None
    where: str = ""

    def of(self, r: int, read_options: ReadOptions) -> Scale:
        """The scale of a module of rank r: by these, else by the user, else unknown."""
        if self.scale is not None:
            return Scale(self.scale, f"{self.where} {self.scale:g} as is")
        if self.alpha is not None and self.rank in {r, None}:  # modules of another rank may have an α of their own
            return Scale(self.alpha / r, f"α/r = {self.alpha:g}/{r}, {self.where}")
        return read_options.scale(r)


UNSTATED = Stated()
"""Nothing says it."""


def config_of(path: Path) -> Path | None:
    """The adapter_config.json of a folder or a single file: not that of a PEFT adapter which lies beside the file."""
    folder = path.parent if path.is_file() else path
    if path.is_file() and not has_weights({path.name}) and has_weights(Folder(folder).names):
        return None
    return found if (found := folder / CONFIG).is_file() else None


def stated(path: Path) -> Stated:
    """What stands beside the weights at this path. Raises InspectorError where a config there is damaged."""
    config = config_of(path)
    fields = read_json_object(config)[0] if config is not None else {}
    table = fields.get("lora_parameters")
    if isinstance(table, Mapping):
        return Stated(_number(table, "scale"), rank=_number(table, "rank"), where="scale")
    if "rank" in fields:
        return Stated(_number(fields, "alpha"), rank=_number(fields, "rank"), where=MLX)
    folder = path.parent if path.is_file() else path
    if (params := folder / PARAMS).is_file():
        lora = read_json_object(params)[0].get("lora")
        if isinstance(lora, Mapping) and is_number(lora.get("scaling")):
            return Stated(_number(lora, "scaling"), rank=_number(lora, "rank"), where=f"scaling of {PARAMS}")
    file = path if path.is_file() else path / SAFETENSORS
    header = {key: _parsed(text) for key, text in read_metadata(file).items()}
    alpha, dim = _number(header, "ss_network_alpha"), _number(header, "ss_network_dim")
    return Stated(alpha=alpha, rank=dim, where="ss_network_alpha")


def _number(table: Mapping[str, Any], key: str) -> float | None:
    value = table.get(key)
    return float(value) if is_number(value) else None


def _parsed(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
