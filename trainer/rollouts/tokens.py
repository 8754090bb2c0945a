"""Rollouts as token ids, made once: one memory-mapped file for all methods, processes and resumptions. No torch.

A rollout is the prompt as the chat template opens the answer, the completion, and the end-of-text token. Nothing
follows it: templates of the ChatML family add a newline there, which a model that samples never writes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.base_model.encode import TODAY, prompt_ids
from inspector.common.append_only import alone
from inspector.common.errors import InspectorError
from inspector.common.files import replacing
from inspector.common.text import plain
from trainer.rollouts.reasoning import WRAP, joined, opens, parts
from trainer.rollouts.schema import Rollout

Ids = NDArray[np.int32]

_TAG = 8
"""Tokens at the end of a prompt in which its last tag stands."""
_CHARACTERS = 2_000_000
"""Of the texts that are tokenised together: work for many cores, and little to hold."""
_LAYOUT = 1
"""Of the file, and of how a rollout becomes token ids."""


class Encoded(NamedTuple):
    """One rollout: `ids[start:]` are the completion, with the end-of-text token unless it was cut."""

    ids: Ids
    start: int
    reward: float
    group: str
    weight: float
    solution: str
    split: str
    unended: bool
    reasoned: bool
    """Whether a teacher's reasoning came with it."""
    hidden: bool
    """Whether its server kept some to itself."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Every rollout, in the order of the rollouts."""

    table: Any
    """pyarrow's, of the columns of `Encoded`."""
    reasoning: str
    """What became of a teacher's reasoning: a key of `LEARNED`."""

    def __iter__(self) -> Iterator[Encoded]:
        """Their ids are views of the table."""
        for batch in self.table.to_batches():
            ids = batch.column("ids")
            values, ends = ids.values.to_numpy(), ids.offsets.to_numpy().tolist()
            others = [batch.column(name).to_pylist() for name in Encoded._fields[1:]]
            for at, row in enumerate(zip(*others, strict=True)):
                yield Encoded(values[ends[at] : ends[at + 1]], *row)


def tokenised(rollouts: Sequence[Rollout], tokenizer: Any, reasoning: str = WRAP) -> Tokens:
    """The rollouts as token ids, in memory. Raises InspectorError for a chat that the template refuses."""
    import pyarrow as pa

    with _threads():
        return Tokens(pa.Table.from_batches(_batches(rollouts, tokenizer, reasoning), _schema()), reasoning)


def stored(
    folder: Path,
    rollouts: Sequence[Rollout],
    digest: str,
    tokenizer: Any,
    reasoning: str,
    note: Callable[[str], None] = lambda _text: None,
) -> Path:
    """The file of the rollouts (`digest`: theirs) as token ids, made where it is not there or is damaged.

    It is named by all that makes it what it is. Of several processes one makes it, the others wait.
    """
    key = _key(rollouts, digest, tokenizer, reasoning)
    path = folder / f"tokens-{key[:16]}.arrow"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InspectorError(f"Cannot write to {plain(folder)}: {error.strerror or error}.") from error
    with alone(path.with_suffix(".lock")):
        if not _whole(path, key):
            note(f"Tokenising {len(rollouts):,} rollouts …")
            for part in folder.glob(f".{path.name}.*.part"):  # of a process that was killed
                part.unlink(missing_ok=True)
            _write(path, rollouts, tokenizer, reasoning, key)
    return path


def opened(path: Path) -> Tokens:
    """What `stored` has made, mapped into memory. Raises InspectorError if it is not there any more, or is damaged."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise InspectorError(f"Cannot read {plain(path)}: remove it and run again.") from error
    return Tokens(table, table.schema.metadata[b"reasoning"].decode())


def _batches(rollouts: Sequence[Rollout], tokenizer: Any, reasoning: str) -> Iterator[Any]:
    """Record batches of the columns of `Encoded`."""
    import pyarrow as pa

    end = tokenizer.eos_token_id
    if end is None:
        raise InspectorError("The base's tokenizer has no end-of-text token: a completion could not be ended.")
    schema = _schema()
    for some in _together(rollouts):
        openings = _openings(some, tokenizer)
        texts = [_text(r, opening, tokenizer, reasoning) for (_, r), opening in zip(some, openings, strict=True)]
        bodies = tokenizer(texts, add_special_tokens=False)["input_ids"]
        rows = [_encoded(r, opening, body, end) for (_, r), opening, body in zip(some, openings, bodies, strict=True)]
        columns = zip(zip(*rows, strict=True), schema.types, strict=True)
        yield pa.RecordBatch.from_arrays([pa.array(values, kind) for values, kind in columns], schema=schema)


def _encoded(rollout: Rollout, opening: Sequence[int], body: Sequence[int], end: int) -> Encoded:
    ids = np.array([*opening, *body, *([] if rollout.unended else [end])], np.int32)
    return Encoded(
        ids, len(opening), rollout.reward, rollout.group_id, rollout.weight, rollout.solution, rollout.split,
        rollout.unended, bool(parts(rollout)[0]), rollout.hidden,
    )  # fmt: skip


def _together(rollouts: Sequence[Rollout]) -> Iterator[list[tuple[int, Rollout]]]:
    """(number from 1, rollout), so many at a time as are tokenised together."""
    found: list[tuple[int, Rollout]] = []
    size = 0
    for number, rollout in enumerate(rollouts, 1):
        found.append((number, rollout))
        size += len(rollout.text) + len(rollout.reasoning)
        if size >= _CHARACTERS:
            yield found
            found, size = [], 0
    if found:
        yield found


def _openings(numbered: Sequence[tuple[int, Rollout]], tokenizer: Any) -> list[list[int]]:
    """The ids of every prompt; neighbours mostly share theirs."""
    from jinja2 import TemplateError

    found: list[list[int]] = []
    before: Any = None
    for number, rollout in numbered:
        try:
            found.append(found[-1] if rollout.prompt == before else prompt_ids(tokenizer, rollout.prompt))
        except (TemplateError, KeyError) as error:
            raise InspectorError(
                f"Rollout {number} (id {plain(rollout.id, 40)}): the base's chat template refuses its prompt "
                f"({plain(error, 80)})."
            ) from error
        before = rollout.prompt
    return found


def _text(rollout: Rollout, opening: Sequence[int], tokenizer: Any, reasoning: str) -> str:
    """The completion as it is learned."""
    thought = bool(parts(rollout)[0])
    return joined(rollout, reasoning, opened=thought and opens(tokenizer.decode(opening[-_TAG:])))


def _schema() -> Any:
    import pyarrow as pa

    types = [pa.list_(pa.int32()), pa.int32(), pa.float64(), pa.string(), pa.float64(), pa.string(), pa.string()]
    return pa.schema(list(zip(Encoded._fields, [*types, pa.bool_(), pa.bool_(), pa.bool_()], strict=True)))


def _write(path: Path, rollouts: Sequence[Rollout], tokenizer: Any, reasoning: str, key: str) -> None:
    import pyarrow as pa

    schema = _schema().with_metadata({"key": key, "reasoning": reasoning})
    with replacing(path) as temporary, temporary.open("wb") as file:
        with _threads(), pa.ipc.new_file(file, schema) as writer:
            for batch in _batches(rollouts, tokenizer, reasoning):
                writer.write_batch(batch)
        file.flush()
        os.fsync(file.fileno())


def _whole(path: Path, key: str) -> bool:
    """Whether the file is there, and was written to its end by this key: the last thing written is its index."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            found: bytes = pa.ipc.open_file(source).schema.metadata[b"key"]
    except (OSError, pa.ArrowInvalid, KeyError, TypeError):
        return False
    return found.decode() == key


def _key(rollouts: Sequence[Rollout], digest: str, tokenizer: Any, reasoning: str) -> str:
    """sha256 over what makes the token ids, and over what else of the rollouts is stored with them."""
    others = hashlib.sha256()
    for r in rollouts:
        others.update(json.dumps([r.solution, r.hidden]).encode())
    vocabulary = tokenizer.backend_tokenizer.to_str() if tokenizer.is_fast else sorted(tokenizer.get_vocab().items())
    template, end = getattr(tokenizer, "chat_template", None), tokenizer.eos_token_id
    told = [_LAYOUT, digest, others.hexdigest(), reasoning, TODAY.isoformat(), type(tokenizer).__name__, vocabulary,
            template, end, version("tokenizers"), version("transformers")]  # fmt: skip
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


@contextmanager
def _threads() -> Iterator[None]:
    """Tokenise with a thread for each core that this process may use (RAYON_NUM_THREADS: other than that).

    Only here: once they are used, tokenizers warns of every process that is forked.
    """
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "true"
    try:
        yield
    finally:
        os.environ[name] = before or "false"
