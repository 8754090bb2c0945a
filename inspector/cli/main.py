"""The table of commands, and how they end. `inspector --help` loads nothing heavy."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from inspector._version import __version__
from inspector.common.addresses import without_password
from inspector.common.cores import settle
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.streams import UnwritableError, guarded

DONE, BAD_INPUT, INCOMPLETE, INTERRUPTED = 0, 2, 3, 130


class _SourcesFirst(click.Group):
    """`inspector SOURCE…` is `inspector open SOURCE…`: what is not a command is a source."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # the shell asks what could follow
            return super().parse_args(ctx, args)
        if not args or (args[0] not in self.commands and args[0] not in {"--help", "-h", "--version"}):
            args = ["open", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Files for the sources, and commands: bash forgets what it was offered before files."""
        return [CompletionItem(incomplete, type="file"), *super().shell_complete(ctx, incomplete)]

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[SOURCE…]  |  COMMAND [ARGS]…")


class Lazy(click.Command):
    """A command, imported when it runs: its name and one line of help stand here."""

    def __init__(self, name: str, module: str, help: str) -> None:  # noqa: A002 - click's own name for it
        super().__init__(name, help=help)
        self._module = module

    @property
    def real(self) -> click.Command:
        """The command itself."""
        found = vars(importlib.import_module(self._module)).values()
        return next(c for c in found if isinstance(c, click.Command) and c.name == self.name)

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **extra: Any) -> click.Context:
        """That of the command itself."""
        return self.real.make_context(info_name, args, *more, **extra)


@click.group(cls=_SourcesFirst, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="adapter-inspector %(version)s")
def cli() -> None:
    """See what LoRA training did to the weights.

    A SOURCE is a folder (the adapter at its root, else those below it), an adapter file of any format, a pattern, a Hub
    id org/repo[@revision][:path], or a saved study (.json, .parquet). NAME=SOURCE names it.
    Without sources the last session opens again.
    """


for _name, _module, _help in (
    ("open", "inspector.cli.open", "Open adapters in the app (the default command)."),
    ("demo", "inspector.cli.open", "Open the bundled adapters."),
    ("analyze", "inspector.cli.analyze", "Measure adapters: tables on stdout, or every number to a file."),
    ("sketch", "inspector.cli.sketch", "Sketch many adapters into a file that grows, for the atlas."),
    ("atlas", "inspector.cli.atlas", "Hundreds of adapters: groups, duplicates, outliers, neighbours, what to keep."),
    ("check", "inspector.cli.check", "Tell what is wrong, or odd, with adapters and their files."),
    ("receipt", "inspector.cli.receipt", "Tell whether a merged model, or a server, has an adapter in it."),
    ("survival", "inspector.cli.survival", "Tell what of an adapter survives a merge in bf16, fp8, int8, nf4, GGUF."),
    ("ls", "inspector.cli.ls", "List the adapters of a folder or a repo, and their sizes; download nothing."),
    ("eval", "inspector.cli.evaluate", "Solve problems with the base and every adapter: accuracy."),
    ("verify", "inspector.cli.verify", "Check published claims against adapters: holds, does not hold."),
    ("claims", "inspector.cli.verify", "The sets of claims that ship; `new` writes one about your adapters."),
    ("convert", "inspector.cli.convert", "Write an adapter of any format as a PEFT folder, exactly."),
    ("resize", "inspector.cli.resize", "A smaller rank that keeps an adapter: by rank, energy or size."),
    ("report", "inspector.cli.report", "A study as a web page, as figures and tables for papers, as Markdown."),
    ("diff", "inspector.cli.diff", "What changed from one study to another."),
    ("merge-preview", "inspector.cli.merge_preview", "What a weighted sum of adapters would be, or write it."),
    ("watch", "inspector.cli.watch", "Watch a training: norm, rank, cosines and loss by step."),
    ("serve", "inspector.cli.serve", "The app in a browser, on this machine's own interface."),
    ("train", "trainer.cli.train", "Train adapters from rollouts: sft, rft, dft, rift, dpo …"),
    ("rollouts", "trainer.cli.rollouts", "Sample completions from a teacher, graded: what training reads."),
):
    cli.add_command(Lazy(_name, _module, _help))


def main(args: Sequence[str] | None = None) -> None:
    """Run a command; exit with 0 done, 1 a check failed, 2 bad input, 3 incomplete, 130 interrupted."""
    settle()
    _reopen_closed()
    with guarded():
        code = run(lambda: cli.main(args, prog_name="inspector", standalone_mode=False))
    sys.exit(code)


def _reopen_closed() -> None:
    """A stream that was closed (`>&-`) leads nowhere: its number would be that of the next file that is opened."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
            setattr(sys, name, os.fdopen(number, "r" if not number else "w", encoding="utf-8"))


def run(command: Callable[[], Any]) -> int:
    """The exit code of a command; its errors become one or two sentences on stderr."""
    try:
        code = command()
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt, CancelledError):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except InspectorError as error:
        return _failed(str(error))
    except UnwritableError as error:  # where the reader left (`| head`), that is not a failure
        return DONE if error.reader_left else _failed(str(error))
    except Exception as error:  # noqa: BLE001 - the last line of defence: a sentence, not a traceback
        return _failed(f"Unexpected {type(error).__name__}: {error}. Run again with --debug and report the traceback.")
    return code if isinstance(code, int) else DONE


def _failed(message: str) -> int:
    if "--debug" in sys.argv:
        click.echo(without_password(traceback.format_exc()), err=True)
    click.echo(f"Error: {without_password(message)}", err=True)
    return BAD_INPUT
