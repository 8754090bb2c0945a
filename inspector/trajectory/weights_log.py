"""`weights.jsonl`: what WeightsCallback records in a training's output folder, one JSON object a line. No torch.

The first line is the header, every other a record of one step, or a loss. A guide describes the fields:
assets/guide/other-trainers.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from inspector.common.foreign import ForeignError, field, parse_json
from inspector.common.text import plain

FILE = "weights.jsonl"
FORMAT = "adapter-inspector weights"
_MOST = 200_000
"""Steps of one file that are read."""

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """Of a training: the modules in the order of every list in the records, and what is not recorded."""

    adapter: str = ""
    modules: tuple[str, ...] = ()
    base_norm: Numbers = ()
    """‖W₀‖_F of the weight that each module adapts, NaN where it is quantised."""
    left_out: tuple[str, ...] = ()
    reference: str = ""
    base: str = ""
    method: str = ""
    lr: float = math.nan
    seed: int = -1
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """After one step, over all modules; NaN where not defined."""

    step: int
    norm: float
    effective_rank: float
    cosine_last: float = math.nan
    """With the last checkpoint, that of `last_step`."""
    last_step: int = 0
    cosine_reference: float = math.nan
    learning_rate: float = math.nan
    """Its mean over the steps since the record before."""
    module_norm: Numbers = ()
    module_sigma1: Numbers = ()
    still: tuple[int, ...] = ()
    """The modules that have not moved since the record before."""
    broken: tuple[int, ...] = ()
    """The modules whose factors hold NaN or Inf: left out of all sums."""
    seconds: float = 0.0
    """What recording it took."""


@dataclass(frozen=True, slots=True)
class WeightsLog:
    """A file as it is now."""

    header: Header
    records: tuple[Record, ...] = ()
    losses: tuple[tuple[int, float], ...] = ()

    def until(self, step: int) -> WeightsLog:
        """What was known after that step."""
        records = tuple(record for record in self.records if record.step <= step)
        return WeightsLog(self.header, records, tuple(loss for loss in self.losses if loss[0] <= step))

    def text(self) -> str:
        """The file."""
        losses = [{"step": step, "loss": loss} for step, loss in self.losses]
        lines = sorted([*map(asdict, self.records), *losses], key=lambda line: int(line["step"]))
        return "".join(map(line_of, [{"format": FORMAT} | asdict(self.header), *lines]))


def line_of(values: Mapping[str, Any]) -> str:
    """One line of strict JSON: seven digits, null for what is not finite."""
    return json.dumps({name: _written(value) for name, value in values.items()}) + "\n"


def _written(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return [_written(one) for one in value] if isinstance(value, tuple | list) else value


def parse(text: str) -> WeightsLog | None:
    """The log, as far as its lines are whole; None if it is another program's file."""
    header, records, losses = None, [], []
    for line in text.splitlines()[:_MOST]:
        try:
            found = parse_json(line, float)
            if header is None:
                if field(found, str, "format", default="") != FORMAT:
                    return None
                header = _header(found)
            elif "norm" in found:
                records.append(_record(found, len(header.modules)))
            else:
                losses.append((field(found, int, "step"), field(found, float, "loss", default=math.nan)))
        except (ForeignError, TypeError):
            if header is None:
                return None
            break  # a line that is still being written
    return None if header is None else WeightsLog(header, tuple(records), tuple(losses))


def _header(found: Any) -> Header:
    names = ("adapter", "reference", "base", "method")
    texts = {name: plain(field(found, str, name, default=""), 380) for name in names}
    return Header(
        modules=tuple(plain(name) for name in field(found, tuple[str, ...], "modules")),
        base_norm=_numbers(found, "base_norm"),
        left_out=tuple(plain(text, 380) for text in field(found, tuple[str, ...], "left_out", default=())),
        lr=field(found, float, "lr", default=math.nan),
        seed=field(found, int, "seed", default=-1),
        steps=field(found, int, "steps", default=0),
        **texts,
    )


def _record(found: Any, modules: int) -> Record:
    """Raises ForeignError if its lists are not of these modules."""
    names = ("norm", "effective_rank", "cosine_last", "cosine_reference", "learning_rate", "seconds")
    made = Record(
        step=field(found, int, "step"),
        last_step=field(found, int, "last_step", default=0),
        module_norm=_numbers(found, "module_norm"),
        module_sigma1=_numbers(found, "module_sigma1"),
        still=field(found, tuple[int, ...], "still", default=()),
        broken=field(found, tuple[int, ...], "broken", default=()),
        **{name: field(found, float, name, default=math.nan) for name in names},
    )
    sizes = {len(made.module_norm), len(made.module_sigma1)}
    if sizes != {modules} or not all(0 <= m < modules for m in (*made.still, *made.broken)):
        raise ForeignError("its lists are not of the modules of the header")
    return made


def _numbers(found: Any, name: str) -> Numbers:
    values = field(found, tuple[float | None, ...], name, default=())
    return tuple(math.nan if value is None else value for value in values)
