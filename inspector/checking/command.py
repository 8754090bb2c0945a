"""`inspector check`: sources -> what is wrong with them, as text or JSON on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from inspector.adapters.given import Given
from inspector.adapters.opening import open_sources
from inspector.checking import as_json, printing
from inspector.checking.checks import checked
from inspector.checking.together import together
from inspector.errors import InspectorError
from inspector.narration import Downloads, Progress, say


def check(sources: Sequence[str], *, given: Given, as_text: bool = True, tensors: bool = False) -> int:
    """Check the sources; 0 where nothing is wrong, 1 where an adapter is, 3 where only a source could not be opened.

    Raises InspectorError where none could be opened.
    """
    adapters, failures = open_sources(sources, given=given, progress=Downloads())
    if not adapters and len(failures) == 1:
        raise InspectorError(failures[0].message)
    for failure in failures:
        say(str(failure))
    if not adapters:
        raise InspectorError("No adapter could be opened.")
    tell = Progress()
    found = [checked(adapter, given.base, progress=tell) for adapter in adapters]
    side_by_side = together(adapters) if len(adapters) > 1 else None
    if as_text:
        sys.stdout.write(printing.text(found, side_by_side, tensors=tensors))
    else:
        base = given.base.name if given.base else ""
        report = as_json.report(found, side_by_side, failures, base=base, tensors=tensors)
        sys.stdout.write(json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    if not all(one.holds for one in found):
        return 1
    return 0 if all(failure.skipped for failure in failures) else 3
