"""Columns of few different values, as codes: a table of millions of rows is read without a Python object a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.intp]
_MISSING = np.iinfo(np.intp).min


@dataclass(frozen=True, slots=True)
class Coded:
    """A column: row n holds `words[codes[n]]`."""

    words: tuple[Any, ...]
    codes: Codes

    def through(self, table: Mapping[Any, int]) -> Codes:
        """Each row's word looked up in `table`; raises KeyError for the first word of a row that is not there."""
        found = np.array([table.get(word, _MISSING) for word in self.words], dtype=np.intp)
        rows = found[self.codes]
        if (lost := np.flatnonzero(rows == _MISSING)).size:
            raise KeyError(self.words[self.codes[lost[0]]])
        return rows

    def beside(self, other: Coded) -> Coded:
        """The column of both words together."""
        both, codes = np.unique(self.codes * len(other.words) + other.codes, return_inverse=True)
        pairs = (divmod(int(pair), len(other.words)) for pair in both)
        return Coded(tuple((self.words[i], other.words[j]) for i, j in pairs), codes)


def coded(column: Iterable[Any]) -> Coded:
    """Any column, its words in the order they come."""
    known: dict[Any, int] = {}
    codes = np.fromiter((known.setdefault(word, len(known)) for word in column), dtype=np.intp)
    return Coded(tuple(known), codes)
