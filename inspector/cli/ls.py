"""`inspector ls`."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from math import inf
from typing import TYPE_CHECKING

import click

from inspector.cli import completion
from inspector.cli.options import DEBUG, SETTINGS, reading
from inspector.common.errors import CancelledError, InspectorError, NotAnAdapterError

if TYPE_CHECKING:
    from inspector.adapters.inventory import Inventory, Item
    from inspector.adapters.options import ReadOptions

_HEADINGS = ("adapter", "format", "files", "size", "here")
_GAP = "  "


@click.command(context_settings=SETTINGS)
@click.argument("sources", nargs=-1, required=True, shell_complete=completion.SOURCES)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: sources, their adapters, files and bytes.")
@reading(checkpoints=False)
@DEBUG
def ls(sources: tuple[str, ...], as_json: bool, read_options: ReadOptions) -> int:
    """List the adapters of a folder or a repo on the Hub, and their sizes. No weights are downloaded.

    What stands in the first column opens after a colon: inspector org/repo:PATH.
    """
    from inspector.adapters.inventory import inventory
    from inspector.adapters.locate import matches

    found, complete = [], True
    sources = tuple(chain.from_iterable(map(matches, sources)))
    for source in sources:
        try:
            found.append(inventory(source, read_options=read_options))
        except CancelledError:
            raise
        except NotAnAdapterError as error:
            if len(sources) == 1:
                raise
            sys.stderr.write(f"Skipped: {error}\n")
        except InspectorError as error:
            if len(sources) == 1:
                raise
            sys.stderr.write(f"Error: {error}\n")
            complete = False
    if not found:
        raise InspectorError("No adapter could be opened.")
    sys.stderr.write("".join(f"{each.note}\n" for each in found if each.note))
    if as_json:
        click.echo(json.dumps({"sources": [_plain(each) for each in found]}, ensure_ascii=False, indent=1))
    else:
        for each in found:
            _print(each)
    unreadable = any(item.fault for each in found for item in each.items)
    return 0 if complete and not unreadable else 3


def _plain(found: Inventory) -> dict[str, object]:
    adapters = [
        asdict(item) | {"files": [{"path": path, "bytes": size} for path, size in item.files], "bytes": item.size}
        for item in found.items
    ]
    return {"source": found.source, "bytes": found.size, "offline": found.offline, "adapters": adapters}


def _print(found: Inventory) -> None:
    """How many and how large, then a line each."""
    from inspector.common.text import count, in_bytes, plain

    if found.offline:
        sys.stderr.write("The Hub cannot be reached: this is what the cache has.\n")
    models = len(found.items) - found.adapters
    held = [count(found.adapters, "adapter")] if found.adapters or not models else []
    held += [count(models, "whole model")] if models else []
    click.echo(f"{plain(found.source, 400)}\n{', '.join((*held, in_bytes(found.size)))}\n")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in _lines(found.items, width):
        click.echo(line)
    for item in found.items:
        if item.fault:
            sys.stderr.write(f"{item.fault}\n")


def _lines(items: Sequence[Item], width: int | None) -> Iterator[str]:
    """A table; a path too long for the terminal stands whole on a line of its own, so that it can be pasted."""
    from rich.cells import cell_len

    rows = [_HEADINGS, *map(_row, items)]
    _, format_, files, size, here = (max(map(cell_len, column)) for column in zip(*rows, strict=True))
    room = inf if width is None else width - (format_ + files + size + here + 4 * len(_GAP))
    first = max(length for row in rows if (length := cell_len(row[0])) <= max(room, cell_len(_HEADINGS[0])))
    for n, row in enumerate(rows):
        path = row[0]
        if cell_len(path) > first:
            yield path
            path = ""
        cells = (path + " " * (first - cell_len(path)), f"{row[1]:<{format_}}", f"{row[2]:>{files}}")
        yield _GAP.join((*cells, f"{row[3]:>{size}}", f"{row[4]:<{here}}")).rstrip()
        if n == 0:
            yield "─" * (first + format_ + files + size + here + 4 * len(_GAP))
        elif items[n - 1].note:
            yield f"{_GAP}{items[n - 1].note}"


def _row(item: Item) -> tuple[str, ...]:
    from inspector.common.text import in_bytes, plain

    mark = "✗" if item.fault else "yes" if item.here else "no"
    path = plain(item.path, 4000) or "."
    if not item.files:
        return path, item.format or "?", "-", "-", mark
    return path, item.format, str(len(item.files)), in_bytes(item.size), mark
