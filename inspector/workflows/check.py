"""`inspector check`: sources -> what is wrong with them, as text or JSON on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace

from inspector.adapters.alignment import aligned
from inspector.adapters.model import Adapter
from inspector.adapters.opening import Failure
from inspector.adapters.options import ReadOptions
from inspector.checking import as_json
from inspector.checking.checks import Checked, checked
from inspector.checking.together import together
from inspector.common.console import Progress, say
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.text import plain
from inspector.tables import checks
from inspector.workflows.failures import opened


def check(sources: Sequence[str], *, read_options: ReadOptions, as_text: bool = True, tensors: bool = False) -> int:
    """Check the sources; 0 where nothing is wrong, 1 where an adapter is, 3 where only a source could not be opened.

    Raises InspectorError where none could be opened.
    """
    adapters, failures = opened(sources, read_options)
    adapters = [_whole(adapter) for adapter in aligned(adapters)]
    if read_options.base is not None and not read_options.base.weights.headers:
        raise InspectorError(
            f"The base {plain(read_options.base.name)} has no tensor in its files: give another with --base."
        )
    found, unread = _checked(adapters, read_options)
    failures += unread
    if not found:
        raise InspectorError(unread[0].message)
    side_by_side = together(aligned([one.adapter for one in found])) if len(found) > 1 else None
    if as_text:
        unopened = sum(not failure.skipped for failure in failures)
        sys.stdout.write(checks.text(found, side_by_side, unopened=unopened, tensors=tensors))
    else:
        report = as_json.report(found, side_by_side, failures, base=read_options.base_name, tensors=tensors)
        sys.stdout.write(json.dumps(report, ensure_ascii=False, allow_nan=False, indent=2) + "\n")
    if not all(one.holds for one in found):
        return 1
    return 0 if all(failure.skipped for failure in failures) else 3


def _whole(adapter: Adapter) -> Adapter:
    """As its files have it, with what was found beside the others."""
    return adapter if adapter.stored is None else replace(adapter.stored, info=adapter.info)


def _checked(adapters: Sequence[Adapter], read_options: ReadOptions) -> tuple[list[Checked], list[Failure]]:
    """The adapters checked, and those whose values could not be read: one bad file does not stop the others."""
    tell, found, unread = Progress(), [], []
    for adapter in adapters:
        try:
            found.append(checked(adapter, read_options.base, progress=tell))
        except CancelledError:
            raise
        except InspectorError as error:
            unread.append(Failure(adapter.info.source, str(error)))
            say(str(unread[-1]))
    return found, unread
