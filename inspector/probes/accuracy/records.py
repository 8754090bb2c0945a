"""What each model answered, problem by problem: appended as it comes, found again by what was asked. No torch.

One JSONL file per model (base and adapter by content) and generation settings. Its first line says which; every
other line is one problem. A problem is known by what the model was shown and the gold answer, not by its place in
a task: with a larger --limit the problems answered before count.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any, Self

from inspector.common.append_only import Appending
from inspector.common.cache import cache_folder
from inspector.common.errors import InspectorError
from inspector.common.foreign import ForeignError, parse_json
from inspector.common.text import count, plain

FORMAT = "adapter-inspector records"
VERSION = 1
_SUM = "sha256"
"""The field of a line with the first 16 digits of the checksum of the others."""


@dataclass(frozen=True, slots=True)
class Record:
    """One problem and one model's answer to it."""

    key: str
    """What was asked and what is right, by content: see `key_of`."""
    id: str
    correct: bool
    status: str
    """How the grading went: grading.Status."""
    parsed: str
    """What was read as the answer."""
    completion: str
    tokens: int
    finish: str
    """`stop`, or `length` where the token limit cut it."""


@dataclass(frozen=True, slots=True)
class Run:
    """What all records of one file have in common."""

    task: str
    base_digest: str
    adapter_digest: str
    """Empty for the base itself."""
    settings: str

    @property
    def file(self) -> str:
        """A name for it: readable, and of its own."""
        digest = hashlib.sha256(json.dumps(astuple(self)).encode()).hexdigest()
        task = re.sub(r"[^\w.-]+", "_", self.task)[:40]
        return f"{task}-{'adapter' if self.adapter_digest else 'base'}-{digest[:20]}.jsonl"


def key_of(prompt: object, gold: str) -> str:
    """What a problem is known by: sha256 of its prompt (token ids or messages) and gold answer, in 20 digits."""
    return hashlib.sha256(json.dumps([prompt, gold]).encode()).hexdigest()[:20]


def folder_of(given: Path | None) -> Path:
    """Where records are kept: where the user says, else in the cache folder."""
    return cache_folder("records") if given is None else given.expanduser()


class Records:
    """The records of one run, on disk and in `done` by key. One process at a time; close it.

    Raises InspectorError where the file cannot be read or written, or another process writes it.
    """

    def __init__(
        self, folder: Path, run: Run, label: str = "", note: Callable[[str], None] = lambda _text: None
    ) -> None:
        self.path = folder / run.file
        self.done: dict[str, Record] = {}
        self._file = Appending(self.path, "the records ", "name another folder with --records")
        try:
            empty, damaged = self._read()
            if empty:
                self._write([{"format": FORMAT, "version": VERSION, "model": label} | asdict(run)])
        except InspectorError:
            self.close()
            raise
        if damaged:
            note(f"{count(damaged, 'damaged line')} in {plain(self.path)}: done again")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file and its lock."""
        self._file.close()

    def append(self, records: Sequence[Record]) -> None:
        """Keep these, all or none of them when it raises. From here on they survive the end of this process."""
        new = {r.key: r for r in records if r.key not in self.done}
        if new:
            self._write([asdict(record) | {_SUM: _sum_of(record)} for record in new.values()])
            self.done |= new

    def _read(self) -> tuple[bool, int]:
        """Fill `done`; cut what a killed process left of its last line. (no line at all, how many are damaged)."""
        lines, rest = self._file.read()
        first, *others = lines.splitlines() or [b""]
        if lines:
            _check_first(first, self.path)
        if rest:
            self._file.cut()
        damaged = 0
        for line in others:
            record = _record(line)
            if record is None:
                damaged += 1
            else:
                self.done.setdefault(record.key, record)
        return not lines, damaged

    def _write(self, lines: Sequence[dict[str, Any]]) -> None:
        # A lone surrogate becomes its JSON escape.
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
        self._file.append(text.encode(errors="backslashreplace"))


def _check_first(line: bytes, path: Path) -> None:
    head = _json(line)
    if head.get("format") != FORMAT:
        raise InspectorError(f"{plain(path)} holds no records of inspector: name another folder with --records.")
    if not isinstance(head.get("version"), int) or head["version"] > VERSION:
        raise InspectorError(f"{plain(path)} was written by a newer adapter-inspector: update, or use --records.")


def _record(line: bytes) -> Record | None:
    """The record of a line; None where it is none, or is not what was written. Older lines have no checksum."""
    found = _json(line)
    kinds = {"correct": bool, "tokens": int}
    if any(not isinstance(found.get(f.name), kinds.get(f.name, str)) for f in fields(Record)):
        return None
    record = Record(**{f.name: found[f.name] for f in fields(Record)})
    return record if found.get(_SUM, _sum_of(record)) == _sum_of(record) else None


def _sum_of(record: Record) -> str:
    return hashlib.sha256(json.dumps(asdict(record), sort_keys=True).encode()).hexdigest()[:16]


def _json(line: bytes) -> dict[str, Any]:
    try:
        found = parse_json(line)
    except ForeignError:
        return {}
    return found if isinstance(found, dict) else {}
