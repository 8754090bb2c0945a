"""`inspector verify` and `inspector claims`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inspector.cli import completion
from inspector.cli.options import DEBUG, DEVICE, OPENING, SETTINGS, K, reading, refuse_for_study, refuse_unread
from inspector.common.errors import InspectorError
from inspector.common.text import plain
from inspector.tables.claims import FORMATS

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions


@click.command(context_settings=SETTINGS)
@click.argument("claims", shell_complete=completion.CLAIMS)
@click.argument("more", nargs=-1, shell_complete=completion.SOURCES, metavar="")
@click.option(
    "--adapters",
    multiple=True,
    shell_complete=completion.SOURCES,
    metavar="SOURCE…",
    help="Check these instead of the published ones.",
)
@click.option("--study", "studies", multiple=True, metavar="FILE", type=click.Path(path_type=Path),
              help="Check a saved study instead (repeat where probes ran over several prompts).")  # fmt: skip
@reading(run="for claims")
@click.option("--limit", type=click.IntRange(0), default=0, help="Only the first so many prompts; 0 is all of them.")
@DEVICE
@click.option("--format", "form", type=click.Choice(FORMATS), help="[default: table; json or junit by --out's name]")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result to this file (.json, .xml, or a table).")
@DEBUG
def verify(
    claims: str,
    more: tuple[str, ...],
    adapters: tuple[str, ...],
    form: str | None,
    out: Path | None,
    *,
    read_options: ReadOptions,
    **options: Any,
) -> int:
    """Check published claims: does each hold for the published adapters, or for yours?

    CLAIMS is a YAML file, or a bundled set by its address (`inspector claims` lists them). Exit code 1 when a
    claim does not hold under any definition its sentence allows; what cannot be measured here, or is about adapters
    that are not published, does not fail.
    """
    from inspector.workflows import verify

    if more and not adapters:
        raise InspectorError(f"{more[0]!r} is not an option: name adapters after --adapters.")
    if options["studies"]:
        unread = ("adapters", "limit", "device", *OPENING)
        refuse_unread(unread, "says what to measure, and --study has its numbers already: leave out one of them.")
    elif read_options.base is None:
        refuse_unread(("limit",), "says how many prompts to run, and nothing runs: add --base.")
    form = form or {".json": "json", ".xml": "junit"}.get(out.suffix.lower() if out else "", "table")
    return verify.verify(claims, verify.Options((*adapters, *more), form=form, out=out, **options), read_options)


@click.group("claims", invoke_without_command=True, context_settings=SETTINGS)
@click.pass_context
def claims_(context: click.Context) -> None:
    """List the bundled sets of claims; `new` writes a first one about one's own."""
    if context.invoked_subcommand is None:
        from inspector.claims.bundled import addresses
        from inspector.claims.reading import read

        for address, path in addresses().items():
            found = read(path)
            click.echo(f"{address}\t{len(found.claims)} claims\t{found.title}")


@claims_.command(context_settings=SETTINGS)
@click.argument("file", required=False, type=click.Path(path_type=Path, allow_dash=True))
@click.argument("sources", nargs=-1, shell_complete=completion.SOURCES)
@K
@DEVICE
@reading()
@DEBUG
def new(file: Path | None, sources: tuple[str, ...], k: int, device: str, read_options: ReadOptions) -> int:
    """Write a first set of claims about adapters, to FILE or to stdout (-).

    The SOURCEs are measured, and one claim of each kind is written with their names and numbers: it holds until you
    put your sentences and the published numbers in its place. Without sources it is about two bundled adapters.
    """
    from inspector.claims.bundled import SUFFIXES
    from inspector.claims.template import template
    from inspector.common.assets import demo_sources
    from inspector.common.files import refuse_place, replacing
    from inspector.workflows import analyze, asked

    refuse_for_study(sources)
    to_file = None if file is None or str(file) == "-" else file
    if to_file is not None:
        shown = plain(to_file, 300)
        if to_file.suffix not in SUFFIXES:
            raise InspectorError(f"{shown} cannot be a set of claims: the name must end in {SUFFIXES[0]}.")
        if to_file.exists():
            raise InspectorError(f"{shown!r} is there already: name another file.")
        refuse_place(to_file)
    bundled = [source for source in demo_sources() if Path(source).name in {"sft", "dpo"}]
    study, complete = analyze.measured(
        sources or bundled, asked.settings(k=k, device=device), read_options=read_options
    )
    text = template(study, to_file.parent if to_file is not None else Path())
    if to_file is None:
        click.echo(text, nl=False)
    else:
        with replacing(to_file) as temporary:
            temporary.write_text(text, encoding="utf-8")
        click.echo(f"Wrote {shown}. `inspector verify {shown}` checks it.", err=True)
    return 0 if complete else 3
