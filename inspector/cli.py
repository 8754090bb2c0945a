"""The commands. Each imports what it needs when it runs: `inspector --help` loads nothing heavy."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from inspector import __version__
from inspector.errors import CancelledError, InspectorError

DONE, BAD_INPUT, INCOMPLETE, INTERRUPTED = 0, 2, 3, 130

_K = click.option(
    "--k", type=click.IntRange(1, 256), default=10, show_default=True, help="Size of the top-k subspaces."
)
_DEBUG = click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")


class _SourcesFirst(click.Group):
    """`inspector SOURCE…` is `inspector open SOURCE…`: what is no command is a source."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in {"--help", "-h", "--version"}):
            args = ["open", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[SOURCE…]  |  COMMAND [ARGS]…")


@click.group(cls=_SourcesFirst, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="adapter-inspector %(version)s")
def cli() -> None:
    """See what LoRA training did to the weights.

    A SOURCE is a folder (one adapter or several), an adapter_model.safetensors, a Hub id
    org/repo[@revision][:subfolder], or a saved study (.json, .parquet). NAME=SOURCE names it.
    Without sources the last session opens again.
    """


@cli.command("open")
@click.argument("sources", nargs=-1)
@_K
@_DEBUG
def open_(sources: tuple[str, ...], k: int) -> int:
    """Open adapters in the app (the default command)."""
    return _open(sources, k)


@cli.command()
@_K
@_DEBUG
def demo(k: int) -> int:
    """Open the bundled adapters."""
    from inspector.assets import demo_sources

    return _open(demo_sources(), k)


@cli.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the table: FILE.json, FILE.csv or FILE.parquet.")
@click.option("--metric", "metrics", multiple=True, help="Only this metric (repeat, or separate by commas).")
@_K
@click.option(
    "--modules",
    default="union",
    show_default=True,
    help="union or common (what sums run over), and/or path ends such as q_proj,v_proj.",
)
@click.option("--sides", type=click.Choice(["left", "right", "both"]), default="left", show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 …")
@click.option("--probe", "probes", multiple=True, help="Also run the base: lmc, cka, lens, intruders, accuracy.")
@click.option("--base", default="", help="The base model: Hub id, folder, or smollm2. Default: what the adapters name.")
@click.option(
    "--prompts",
    default="",
    help="gsm8k, arithmetic (bundled, default for SmolLM2), aime26, a .jsonl …",
)
@click.option("--limit", type=click.IntRange(0), default=0, help="Only the first so many prompts.")
@click.option("--pair", "pairs", multiple=True, metavar="A:B", help="Only this pair of adapters (repeat).")
@click.option("--alphas", default="", help="Points of the paths.  [default: 0,0.1,…,1]")
@click.option("--loss", type=click.Choice(["boxed", "rollouts"]), default="boxed", show_default=True)
@click.option("--pooling", type=click.Choice(["last", "mean", "all"]), default="last", show_default=True)
@click.option("--dtype", default="auto", show_default=True, help="Of the base: auto, float32, bfloat16, float16.")
@click.option("--batch", type=click.IntRange(0), default=0, help="Prompts at a time.  [default: 16, on a GPU 64]")
@_DEBUG
def analyze(
    sources: tuple[str, ...],
    out: Path | None,
    metrics: tuple[str, ...],
    k: int,
    modules: str,
    sides: str,
    device: str,
    **probing: Any,
) -> int:
    """Measure adapters: tables on stdout, or every number to a file with --out.

    Principal angles compare output subspaces (--sides left); right or both adds input subspaces.
    With --probe the base model runs too: loss between adapters (lmc), similarity of hidden states (cka),
    logit lens, intruder dimensions, accuracy.
    """
    from inspector import headless

    return headless.analyze(
        sources,
        out=out,
        metrics=headless.metric_names(metrics),
        settings=headless.settings(k=k, modules=modules, sides=sides, device=device),
        request=headless.request(device=device, **probing),
    )


@cli.command("eval")
@click.argument("sources", nargs=-1, required=True)
@click.option("--task", required=True, help="arithmetic (bundled), gsm8k, aime24/25/26, a .jsonl or .parquet file.")
@click.option("--limit", type=click.IntRange(0), default=0, help="Only the first so many problems.")
@click.option("--base", default="", help="The base model: Hub id, folder, or smollm2. Default: what the adapters name.")
@click.option("--no-base", is_flag=True, help="Leave the base itself out of the table.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 …")
@click.option("--dtype", default="auto", show_default=True, help="Of the base: auto, float32, bfloat16, float16.")
@click.option("--batch", type=click.IntRange(0), default=0, help="Problems at a time.  [default: 16, on a GPU 64]")
@click.option(
    "--max-new-tokens",
    type=click.IntRange(0),
    default=0,
    help="Longest answer.  [default: arithmetic 128, AIME 16384, else 512]",
)
@click.option("--server", default="", metavar="URL", help="Ask this OpenAI-compatible server (key: OPENAI_API_KEY).")
@click.option("--concurrency", type=click.IntRange(1), default=16, show_default=True, help="Requests at a time.")
@click.option("--records", type=click.Path(path_type=Path), help="Where answers are kept. Default: the cache folder.")
@click.option("--out", type=click.Path(path_type=Path), help="Write a study: FILE.json, FILE.csv or FILE.parquet.")
@_DEBUG
def eval_(sources: tuple[str, ...], **options: Any) -> int:
    """Solve problems with the base and every adapter: accuracy, and which pairs differ.

    Greedy answers, graded by math-verify. Every answer is kept as it comes: an interrupted run goes on
    where it was, and what was answered before is not asked again. With --server, a source answers under
    its own name (NAME=SOURCE) there.
    """
    from inspector import evaluation

    return evaluation.evaluate(sources, evaluation.Options(**options))


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--against", default="", metavar="NAME", help="The other run of the cosines. In the app n changes it.")
@click.option("--table", is_flag=True, help="Print the numbers once and leave, as without a terminal.")
@_K
@_DEBUG
def watch(run: Path, against: str, table: bool, k: int) -> int:
    """Watch a training: norm, effective rank, cosines and loss over its steps.

    RUN is the --out of a training, or one run in it. The app follows the checkpoints as they land; without a
    terminal every number is printed once, tab separated.
    """
    if table or not (sys.stdin.isatty() and sys.stdout.isatty()):
        from inspector.trajectory.command import print_once

        return print_once(run, against)
    from inspector.trajectory.command import refuse_unknown
    from inspector.tui.app import run_app

    refuse_unknown(run, against)
    return run_app([], k=k, watch=str(run), against=against)


class _Lazy(click.Command):
    """A command of the trainer, imported when it runs: its name and one line of help stand here."""

    def __init__(self, name: str, module: str, help: str) -> None:  # noqa: A002 - click's own name for it
        super().__init__(name, help=help)
        self._module = module

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **extra: Any) -> click.Context:
        """That of the command itself."""
        command: click.Command = getattr(importlib.import_module(self._module), self.name or "")
        return command.make_context(info_name, args, *more, **extra)


cli.add_command(_Lazy("train", "trainer.train_command", "Train adapters from rollouts: sft, rft, dft, rift, dpo …"))
cli.add_command(
    _Lazy("rollouts", "trainer.rollouts_command", "Sample completions from a teacher, graded: what training reads.")
)


def _open(sources: Sequence[str], k: int) -> int:
    """The app on a terminal; the tables anywhere else, so that nothing hangs in a pipe or in CI."""
    _suggest_command(sources)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        from inspector import headless

        if not sources:
            raise InspectorError("No terminal and no source: name what to print, as in `inspector analyze ADAPTER…`.")
        return headless.analyze(sources, settings=headless.settings(k=k))
    from inspector.tui.app import run_app

    if len(sources) == 1 and is_study(sources[0]):
        from inspector.export import load

        return run_app([], study=load(sources[0]), k=k)
    return run_app(sources, k=k)


def is_study(source: str) -> bool:
    """Whether a source names a saved study rather than an adapter."""
    return Path(source).suffix.lower() in {".json", ".parquet"} and Path(source).name != "adapter_config.json"


def _suggest_command(sources: Sequence[str]) -> None:
    if sources and not Path(sources[0]).exists() and "/" not in sources[0] and "=" not in sources[0]:
        close = difflib.get_close_matches(sources[0], cli.commands, n=1, cutoff=0.7)
        hint = f" Did you mean the command `inspector {close[0]}`?" if close else ""
        raise InspectorError(f"No file or folder {sources[0]!r} here, and no Hub id (org/repo).{hint}")


def main(args: Sequence[str] | None = None) -> None:
    """Run a command; exit with 0 done, 1 a check failed, 2 bad input, 3 incomplete, 130 interrupted."""
    sys.exit(run(lambda: cli.main(args, prog_name="inspector", standalone_mode=False)))


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
    except BrokenPipeError:
        # The reader of our output left (`| head`): point stdout nowhere, so that the exit is silent.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except InspectorError as error:
        return _failed(str(error))
    except Exception as error:  # noqa: BLE001 - the last line of defence: a sentence, not a traceback
        return _failed(f"Unexpected {type(error).__name__}: {error}. Run again with --debug and report the traceback.")
    return code if isinstance(code, int) else DONE


def _failed(message: str) -> int:
    if "--debug" in sys.argv:
        traceback.print_exc()
    click.echo(f"Error: {message}", err=True)
    return BAD_INPUT
