"""`inspector SOURCE…` and `inspector demo`: the app on a terminal, the tables anywhere else."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.cli import completion
from inspector.cli.options import AGAINST, DEBUG, MOUSE, SETTINGS, K, on_terminal, reading, refuse_for_study
from inspector.common.errors import InspectorError
from inspector.common.nearby import nearby

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions
    from inspector.tui.views.claims.state import Published


@click.command("open", context_settings=SETTINGS)
@click.argument("sources", nargs=-1, shell_complete=completion.SOURCES)
@K
@reading(run="always")
@click.option(
    "--claims",
    shell_complete=completion.CLAIMS,
    default="",
    help="Also check these claims: a .yaml file, or a bundled set (`inspector claims`).",
)
@AGAINST
@MOUSE
@DEBUG
def open_(
    sources: tuple[str, ...], k: int, claims: str, against: str, *, mouse: bool, read_options: ReadOptions
) -> int:
    """Open adapters in the app (the default command)."""
    from inspector.claims.bundled import claim_set
    from inspector.tui.views.claims.state import Published

    if claims:
        claim_set(claims)  # what is wrong in it is said before the app opens
    refuse_for_study(sources)
    published = Published(claims, show=bool(claims), reference=claim_set(against) if against else None)
    return _open(sources, k, read_options, published, mouse=mouse)


@click.command(context_settings=SETTINGS)
@K
@click.option("--measure", is_flag=True, help="Measure them now, rather than show the study of them that ships.")
@MOUSE
@DEBUG
def demo(k: int, *, measure: bool, mouse: bool) -> int:
    """Open the bundled adapters, with everything that was measured of them."""
    from inspector.common.assets import demo_sources
    from inspector.tui.views.claims.state import Published

    if not measure and on_terminal():
        from inspector.tui.app import InspectorApp

        return InspectorApp(demo=True, k=k, published=Published("demo")).run_to_end(mouse=mouse)
    if not measure:
        from inspector.adapters.opening import open_sources
        from inspector.tables.studies import print_overview
        from inspector.workflows.demo import shipped_study

        study = shipped_study(open_sources(demo_sources())[0])
        if study is not None and study.settings.k == k:
            print_overview(study)
            return 0
    return _open(demo_sources(), k, published=Published("demo"), mouse=mouse)


def _open(
    sources: Sequence[str],
    k: int,
    read_options: ReadOptions | None = None,
    published: Published | None = None,
    *,
    mouse: bool,
) -> int:
    """The app on a terminal; the tables anywhere else, so that nothing hangs in a pipe or in CI."""
    _suggest_command(sources)
    if not on_terminal():
        from inspector.workflows import analyze, asked

        if not sources:
            raise InspectorError("No terminal and no source: name what to print, as in `inspector analyze ADAPTER…`.")
        return analyze.analyze(
            sources,
            settings=asked.settings(k=k),
            read_options=read_options,
            against=published.reference if published else None,
        )
    from inspector.study.export import is_study, load
    from inspector.tui.app import InspectorApp
    from inspector.tui.views.claims.state import NOTHING

    published = published or NOTHING

    if is_study(sources):
        return InspectorApp(study=load(sources[0]), k=k, published=published).run_to_end(mouse=mouse)
    return InspectorApp(sources, k=k, read_options=read_options, published=published).run_to_end(mouse=mouse)


def _suggest_command(sources: Sequence[str]) -> None:
    if sources and not Path(sources[0]).exists() and "/" not in sources[0] and not set("=*?[") & set(sources[0]):
        commands = getattr(click.get_current_context().find_root().command, "commands", {})
        close = difflib.get_close_matches(sources[0], commands, n=1, cutoff=0.7)
        hint = f" Did you mean the command `inspector {close[0]}`?" if close else ""
        missing = f"No file or folder {sources[0]!r} here{nearby(sources[0])}"
        raise InspectorError(f"{missing}, and it is not a Hub id (org/repo).{hint}")
