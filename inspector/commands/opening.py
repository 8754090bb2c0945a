"""`inspector SOURCE…` and `inspector demo`: the app on a terminal, the tables anywhere else."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inspector import completion
from inspector.commands.options import AGAINST, BASE, DEBUG, PICKLE, SETTINGS, SVD_RANK, K, given, on_terminal
from inspector.errors import InspectorError

if TYPE_CHECKING:
    from inspector.adapters.given import Given
    from inspector.tui.judged import Published


@click.command("open", context_settings=SETTINGS)
@click.argument("sources", nargs=-1, shell_complete=completion.SOURCES)
@K
@BASE
@PICKLE
@SVD_RANK
@click.option(
    "--claims",
    shell_complete=completion.CLAIMS,
    default="",
    help="Also check these claims: a .yaml file, or a bundled set (`inspector claims`).",
)
@AGAINST
@DEBUG
def open_(sources: tuple[str, ...], k: int, base: str, claims: str, against: str, **giving: Any) -> int:
    """Open adapters in the app (the default command)."""
    from inspector.claims.bundled import claim_set
    from inspector.tui.judged import Published

    if claims:
        claim_set(claims)  # what is wrong in it is said before the app opens
    published = Published(claims, show=bool(claims), reference=claim_set(against) if against else None)
    return _open(sources, k, given(base, **giving), published)


@click.command(context_settings=SETTINGS)
@K
@DEBUG
def demo(k: int) -> int:
    """Open the bundled adapters."""
    from inspector.assets import demo_sources
    from inspector.tui.judged import Published

    return _open(demo_sources(), k, published=Published("demo"))


def _open(sources: Sequence[str], k: int, giving: Given | None = None, published: Published | None = None) -> int:
    """The app on a terminal; the tables anywhere else, so that nothing hangs in a pipe or in CI."""
    _suggest_command(sources)
    if not on_terminal():
        from inspector import headless

        if not sources:
            raise InspectorError("No terminal and no source: name what to print, as in `inspector analyze ADAPTER…`.")
        return headless.analyze(
            sources, settings=headless.settings(k=k), given=giving, against=published.reference if published else None
        )
    from inspector.tui.app import run_app
    from inspector.tui.judged import NOTHING

    published = published or NOTHING

    if len(sources) == 1 and is_study(sources[0]):
        from inspector.export import load

        return run_app([], study=load(sources[0]), k=k, published=published)
    return run_app(sources, k=k, given=giving, published=published)


def is_study(source: str) -> bool:
    """Whether a source names a saved study rather than an adapter."""
    return Path(source).suffix.lower() in {".json", ".parquet"} and Path(source).name != "adapter_config.json"


def _suggest_command(sources: Sequence[str]) -> None:
    if sources and not Path(sources[0]).exists() and "/" not in sources[0] and "=" not in sources[0]:
        commands = getattr(click.get_current_context().find_root().command, "commands", {})
        close = difflib.get_close_matches(sources[0], commands, n=1, cutoff=0.7)
        hint = f" Did you mean the command `inspector {close[0]}`?" if close else ""
        raise InspectorError(f"No file or folder {sources[0]!r} here, and no Hub id (org/repo).{hint}")
