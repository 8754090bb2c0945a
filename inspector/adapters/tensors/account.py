"""What is done with every tensor of a file: used, ignored (why) or not understood, and what is said of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from inspector.adapters.files.headers import TensorHeader
from inspector.adapters.model import TensorRecord
from inspector.common.text import count, distinct, some
from inspector.study.adapter_info import HealthIssue


class Verdict(NamedTuple):
    """What is done with a tensor, why, and how much that matters."""

    role: Literal["used", "ignored", "unknown"]
    reason: str = ""
    severity: Literal["info", "warning", "error"] = "info"


USED = Verdict("used")
HALF = Verdict("unknown", "only A or only B of the module is there", "error")
NEITHER = Verdict("unknown", "neither A nor B of the module is there", "warning")
TWICE = Verdict("unknown", "several tensors claim the same module", "error")
EMPTY = Verdict("unknown", "1-D or zero-size factor, as ZeRO-3 and FSDP leave when they save ungathered", "error")
MISFIT = Verdict("unknown", "B·A does not multiply: A is r×in and B out×r in a LoRA", "error")
NOT_FLOAT = Verdict("unknown", "factors of a type that is not a float", "error")
TOO_LARGE = Verdict("unknown", "factors whose product would not fit into memory: no layer is that large", "error")
UNKNOWN = Verdict("unknown", "no tensor of a LoRA", "warning")
STRAY = Verdict("unknown", "a factor in another layout than the rest of the file", "error")

_NO_PAIR = "no LoRA pair (A and B of one module) that could be analysed"
_MOST_NAMED = 12
"""Of what is an error: a user wants to know every module."""


def half(missing: Sequence[str]) -> Verdict:
    """`HALF` of a module whose factors of these names are missing."""
    return HALF._replace(reason=f"{HALF.reason}, without its {' and '.join(missing)}")


def no_pair(verdicts: Iterable[Verdict]) -> str:
    """That there is no module, the first reason that one was not made of its tensors, and the way out."""
    reasons = list(dict.fromkeys(verdict.reason for verdict in verdicts if verdict.severity == "error"))
    if not reasons:
        return _NO_PAIR
    missing = reasons[0].removeprefix(f"{HALF.reason}, without its ")
    if missing != reasons[0] and len(reasons) == 1:
        return f"no LoRA pair: the file has no {missing} of any module; save the adapter again with both factors"
    again = "; gather the weights, and save the adapter again" if reasons[0] == EMPTY.reason else ""
    return f"{_NO_PAIR}: {reasons[0]}{again}"


def records(headers: Mapping[str, TensorHeader], verdicts: Mapping[str, Verdict]) -> tuple[TensorRecord, ...]:
    """One record a tensor, in the file's order."""
    return tuple(
        TensorRecord(distinct(key), header.shape, header.dtype, verdicts[key].role, verdicts[key].reason)
        for key, header in headers.items()
    )


def findings(verdicts: Mapping[str, Verdict]) -> tuple[HealthIssue, ...]:
    """One finding per verdict: how many tensors, why, and the first of them."""
    by_verdict: dict[Verdict, list[str]] = defaultdict(list)
    for key, verdict in verdicts.items():
        by_verdict[verdict].append(key)
    return tuple(
        HealthIssue(
            verdict.severity,
            f"{count(len(keys), 'tensor')} {'ignored' if verdict.role == 'ignored' else 'not understood'}, "
            f"{verdict.reason}: {some(keys, _MOST_NAMED if verdict.severity == 'error' else 3)}",
        )
        for verdict, keys in by_verdict.items()
        if verdict is not USED
    )
