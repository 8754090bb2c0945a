"""The examples of a run as TRL takes them: numbers, each of which becomes its example when a step asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from datasets import Dataset  # type: ignore[import-untyped]

NUMBER = "number"
"""The one column that is stored."""


@dataclass(frozen=True)
class _Made:
    """Of the columns, whose token ids may be views of a file, what has these numbers."""

    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __call__(self, batch: Mapping[str, Sequence[int]]) -> dict[str, list[Any]]:
        """Lists of plain numbers, as collators take them."""
        chosen = batch[NUMBER]
        return {name: [_plain(values[n]) for n in chosen] for name, values in self.columns.items()}

    def __reduce__(self) -> Any:
        """As nothing: datasets pickles it for a name of the data set, and would hash every token."""
        return _Made, ()


def laid(columns: Mapping[str, Sequence[Any]], order: Sequence[int]) -> Dataset:
    """The examples in this order, as often as they come in it."""
    return Dataset.from_dict({NUMBER: list(order)}).with_transform(_Made(columns))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
