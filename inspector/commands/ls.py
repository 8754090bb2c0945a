"""`inspector ls`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from inspector.commands.options import DEBUG, PICKLE, SETTINGS, given
from inspector.errors import CancelledError, InspectorError

if TYPE_CHECKING:
    from inspector.adapters.inventory import Inventory, Item


@click.command(context_settings=SETTINGS)
@click.argument("sources", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: sources, their adapters, files and bytes.")
@PICKLE
@DEBUG
def ls(sources: tuple[str, ...], as_json: bool, allow_pickle: bool) -> int:
    """List the adapters of a folder or a repo on the Hub, and their sizes. No weights are downloaded.

    What stands in the first column opens after a colon: inspector org/repo:PATH.
    """
    from inspector.adapters.inventory import inventory

    found, failed = [], 0
    for source in sources:
        try:
            found.append(inventory(source, given=given("", allow_pickle)))
        except CancelledError:
            raise
        except InspectorError as error:
            if len(sources) == 1:
                raise
            sys.stderr.write(f"Error: {error}\n")
            failed += 1
    if as_json:
        click.echo(json.dumps({"sources": [_plain(each) for each in found]}, ensure_ascii=False, indent=1))
    else:
        for each in found:
            _print(each)
    unreadable = any(item.fault for each in found for item in each.items)
    return 2 if failed == len(sources) else 3 if failed or unreadable else 0


def _plain(found: Inventory) -> dict[str, object]:
    adapters = [
        asdict(item) | {"files": [{"path": path, "bytes": size} for path, size in item.files], "bytes": item.size}
        for item in found.items
    ]
    return {"source": found.source, "bytes": found.size, "offline": found.offline, "adapters": adapters}


def _print(found: Inventory) -> None:
    """A table no wider than the terminal: long paths are folded, nothing is cut."""
    from rich.console import Console

    from inspector.adapters.progress import in_bytes
    from inspector.text import count
    from inspector.text_tables import titled

    if found.offline:
        sys.stderr.write("The Hub cannot be reached: this is what the cache has.\n")
    table = titled("")
    table.add_column("adapter", overflow="fold", ratio=1)
    table.add_column("format", overflow="fold")
    table.add_column("files", justify="right")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("here", no_wrap=True)
    for item in found.items:
        table.add_row(*_row(item))
    console = Console(highlight=False, markup=False, emoji=False)
    console.width = min(console.width, 100)
    console.print(f"{found.source}\n{count(len(found.items), 'adapter')}, {in_bytes(found.size)}", soft_wrap=True)
    console.print(table)
    for item in found.items:
        if item.fault:
            sys.stderr.write(f"{item.fault}\n")


def _row(item: Item) -> tuple[str, ...]:
    from inspector.adapters.progress import in_bytes

    mark = "✗" if item.fault else "yes" if item.here else "no"
    if not item.files:
        return item.path or ".", item.format or "?", "-", "-", mark
    return item.path or ".", item.format, str(len(item.files)), in_bytes(item.size), mark
