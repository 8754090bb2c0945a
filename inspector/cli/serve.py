"""`inspector serve`."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import click

from inspector.cli import completion
from inspector.cli.options import DEBUG, OPENING, SETTINGS, reading, refuse_unread

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions


@click.command(context_settings=SETTINGS)
@click.argument("sources", nargs=-1, shell_complete=completion.SOURCES)
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--host", default="localhost", show_default=True, help="The address to listen on.")
@click.option("--expose", is_flag=True, help="Allow a --host that other machines reach.")
@reading(run="always")
@DEBUG
def serve(sources: tuple[str, ...], port: int, host: str, *, expose: bool, read_options: ReadOptions) -> None:
    """The app in a browser, on this machine's own interface.

    Sources are those of `inspector SOURCE…`; `demo` alone opens the bundled adapters.
    """
    from inspector.adapters.locate import matches
    from inspector.adapters.sources import parse
    from inspector.cli.browser_server import serve as run

    if sources == ("demo",):
        refuse_unread(OPENING, "says how adapters are read, and the bundled ones need none of it: leave it out.")
    else:
        for source in chain.from_iterable(map(matches, sources)):
            parse(source)  # what is not a source is said before anything listens
    beside = ("--checkpoints",) if read_options.checkpoints else ()
    run((*sources, *read_options.words, *beside), host, port, expose=expose)
