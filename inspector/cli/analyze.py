"""`inspector analyze`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inspector.cli import completion
from inspector.cli.options import AGAINST, DEBUG, DEVICE, DTYPE, SETTINGS, K, reading, refuse_for_study, refuse_unread
from inspector.insights.sensitivity import GROUPINGS

if TYPE_CHECKING:
    from inspector.adapters.options import ReadOptions

_OF_PROBES = ("prompts", "limit", "pairs", "alphas", "loss", "pooling", "dtype", "batch")


@click.command(context_settings=SETTINGS)
@click.argument("sources", nargs=-1, required=True, shell_complete=completion.SOURCES)
@click.option("--out", type=click.Path(path_type=Path), help="Write the table: FILE.json, FILE.csv or FILE.parquet.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    shell_complete=completion.METRICS,
    help="Only this metric (repeat, or separate by commas).",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="SCOPE",
    help="Write only this scope: global, layer, module (repeat, or separate by commas).",
)
@click.option("--tables", is_flag=True, help="All numbers as tables.")
@click.option("--summary", is_flag=True, help="All findings, in plain sentences.")
@click.option(
    "--group-by",
    "by",
    type=click.Choice(GROUPINGS),
    help="Cosines within and between groups, what seed and learning rate did, and lineage.",
)
@K
@click.option(
    "--modules",
    shell_complete=completion.MODULES,
    default="union",
    show_default=True,
    help="union or common (what sums run over), and/or path ends such as q_proj,v_proj.",
)
@click.option("--sides", type=click.Choice(["left", "right", "both"]), default="left", show_default=True)
@DEVICE
@AGAINST
@click.option(
    "--probe",
    "probes",
    multiple=True,
    shell_complete=completion.PROBES,
    help="Also run the base: lmc, cka, lens, intruders, accuracy.",
)
@reading(run="always")
@click.option(
    "--prompts",
    shell_complete=completion.TASKS,
    default="",
    help="gsm8k, arithmetic (bundled, default for SmolLM2), aime26, a .jsonl …",
)
@click.option("--limit", type=click.IntRange(0), default=0, help="Only the first so many prompts; 0 is all of them.")
@click.option("--pair", "pairs", multiple=True, metavar="A:B", help="Only this pair of adapters (repeat).")
@click.option("--alphas", default="", help="Points of the paths.  [default: 0,0.1,…,1]")
@click.option("--loss", type=click.Choice(["boxed", "rollouts"]), default="boxed", show_default=True)
@click.option("--pooling", type=click.Choice(["last", "mean", "all"]), default="last", show_default=True)
@DTYPE
@click.option("--batch", type=click.IntRange(0), default=0, help="Prompts at a time.  [default: 16, on a GPU 64]")
@DEBUG
def analyze(
    sources: tuple[str, ...],
    out: Path | None,
    metrics: tuple[str, ...],
    scopes: tuple[str, ...],
    read_options: ReadOptions,
    **more: Any,
) -> int:
    """Measure adapters: an overview on stdout (--tables has all numbers), or every number to a file with --out.

    Principal angles compare output subspaces (--sides left); right or both adds input subspaces.
    With --probe the base model runs too: loss between adapters (lmc), similarity of hidden states (cka),
    logit lens, intruder dimensions, accuracy.
    """
    from inspector.claims.bundled import claim_set
    from inspector.workflows import analyze, asked

    against = more.pop("against")
    measuring = {name: more.pop(name) for name in ("k", "modules", "sides")}
    if not more["probes"]:
        refuse_unread(_OF_PROBES, "says how to run the base, and nothing asks for that: add --probe.")
    refuse_for_study(sources)
    printed = {"tables": more.pop("tables"), "summary": more.pop("summary"), "by": more.pop("by") or ""}
    parts = analyze.Parts(asked.metric_names(metrics), asked.scope_names(scopes), **printed)
    return analyze.analyze(
        sources,
        out=out,
        parts=parts,
        settings=asked.settings(device=more["device"], **measuring),
        request=asked.request(base=read_options.base_name, **more),
        read_options=read_options,
        against=claim_set(against) if against else None,
    )
