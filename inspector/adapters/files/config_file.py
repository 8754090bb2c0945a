"""A JSON config from anywhere: an object of bounded size, or a clear refusal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from inspector.adapters.files.placeholders import refuse_stand_in
from inspector.common.errors import InspectorError
from inspector.common.text import plain

CONFIG = "adapter_config.json"
_LIMIT = 16 * 2**20


def read_json_object(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The object in a JSON file, and the keys that occur more than once (the last value counts, as in PEFT)."""
    refuse_stand_in(path)
    if (size := path.stat().st_size) > _LIMIT:
        raise InspectorError(f"{plain(path)} has {size / 1e6:.0f} MB: that is not an adapter config.")
    twice: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice.extend(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        return found

    try:
        config = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=collect)
    except (ValueError, RecursionError) as error:
        raise InspectorError(f"{plain(path)} is not readable JSON: {plain(error, 100)}.") from error
    if not isinstance(config, dict):
        raise InspectorError(
            f"{plain(path)} is not a JSON object: an adapter config has `peft_type`, `r`, `lora_alpha` …"
        )
    return config, tuple(twice)


def numbers(value: object) -> Mapping[str, float]:
    """The entries of a pattern table whose values are finite numbers; other values are left out."""
    if not isinstance(value, Mapping):
        return {}
    return {str(key): float(v) for key, v in value.items() if is_number(v)}


def is_number(value: object) -> TypeGuard[float]:
    """Whether a JSON value is a finite number (true and false are none)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e18
