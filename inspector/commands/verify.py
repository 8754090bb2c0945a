"""`inspector verify` and `inspector claims`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from inspector.claims.reports import FORMATS
from inspector.commands.options import DEBUG, DEVICE, SETTINGS
from inspector.errors import InspectorError


@click.command(context_settings=SETTINGS)
@click.argument("claims")
@click.argument("more", nargs=-1, metavar="")
@click.option("--adapters", multiple=True, metavar="SOURCE…", help="Check these instead of the published ones.")
@click.option("--study", "studies", multiple=True, metavar="FILE", type=click.Path(path_type=Path),
              help="Check a saved study instead (repeat where probes ran over several prompts).")  # fmt: skip
@click.option("--base", default="", help="Also run this base, where claims ask for it: Hub id, folder, or smollm2.")
@click.option("--limit", type=click.IntRange(0), default=0, help="Only the first so many prompts.")
@DEVICE
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the result to this file instead of stdout.")
@DEBUG
def verify(claims: str, more: tuple[str, ...], adapters: tuple[str, ...], **options: Any) -> int:
    """Check published claims: does each hold for the published adapters, or for yours?

    CLAIMS is a YAML file, or a bundled set by its address (`inspector claims` lists them). Exit code 1 when a
    claim does not hold under any definition its sentence allows; what cannot be measured here does not fail.
    """
    from inspector import verification

    if more and not adapters:
        raise InspectorError(f"{more[0]!r} is no option: name adapters after --adapters.")
    return verification.verify(claims, verification.Options(adapters=(*adapters, *more), **options))


@click.group("claims", invoke_without_command=True, context_settings=SETTINGS)
@click.pass_context
def claims_(context: click.Context) -> None:
    """List the bundled sets of claims; `new` writes a template for one's own."""
    if context.invoked_subcommand is None:
        from inspector.claims.bundled import addresses
        from inspector.claims.reading import read

        for address, path in addresses().items():
            found = read(path)
            click.echo(f"{address}\t{len(found.claims)} claims\t{found.title}")


@claims_.command(context_settings=SETTINGS)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@DEBUG
def new(file: Path | None) -> int:
    """Write a commented template, to FILE or to stdout."""
    from inspector.claims.bundled import template
    from inspector.export import replacing

    if file is None:
        click.echo(template(), nl=False)
        return 0
    if file.exists():
        raise InspectorError(f"{str(file)!r} is there already: name another file.")
    with replacing(file) as temporary:
        temporary.write_text(template(), encoding="utf-8")
    click.echo(f"Wrote {file}. `inspector verify {file}` checks it.", err=True)
    return 0
