"""Studies with a number everywhere, of any size, for what reports make of them."""

from dataclasses import replace

import numpy as np

from inspector.study.adapter_info import AdapterInfo, HealthIssue
from inspector.study.aggregate import fill_diagonals
from inspector.study.metrics import DEFINITIONS
from inspector.study.module_id import ModuleId
from inspector.study.provenance import Origin
from inspector.study.study import ProbeInfo, Settings, Study

METHODS = ("sft", "rft", "rift", "dft", "dpo", "offline-grpo", "online-grpo", "online-dapo")
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
PROBES = ("weights", "lmc", "cka", "lens", "intruders", "accuracy")
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a\u202eb\u200b_$x^2$_&amp;|`c`\\d")


def full_study(names=METHODS, layers=36, *, probes=PROBES, k=10, rank=16, seed=0, base="org/base"):
    """Every metric of the weights and of these probes, random within its range; NaN of an adapter with itself.

    Scales are known: shares in place of norms are not part of it.
    """
    rng = np.random.default_rng(seed)
    modules = tuple(ModuleId(layer, f"mlp.{p}") for layer in range(layers) for p in PROJECTIONS)
    alphas = tuple(np.linspace(0, 1, 11).round(2).tolist()) if "lmc" in probes else ()
    places = {"global": 1, "layer": layers, "module": len(modules)}
    blocks = {}
    for metric, definition in DEFINITIONS.items():
        if metric.startswith(("sum_", "merge_", "norm_share", "singular_value_share")) or definition.probe not in {
            "",
            *probes,
        }:
            continue
        for scope in _scopes(metric, definition):
            tail = {"": (), "k": (rank if metric == "singular_value" else k,), "alpha": (len(alphas),)}[
                definition.index
            ]
            lead = (len(names),) * {"none": 0, "adapter": 1}.get(definition.subject, 2)
            blocks[metric, scope] = _values(rng, definition, (*lead, places[scope], *tail))
    fill_diagonals(blocks)
    infos = tuple(
        AdapterInfo(
            name, f"/data/{n}", "PEFT LoRA", base, (rank,), "32", "2", ("q_proj",), "BF16", 10**6, len(modules),
            2 * len(modules), digest=f"{n:064x}", findings=(HealthIssue("warning", f"odd: {name}"),) if n == 1 else (),
            origin=Origin("sft" if n < 2 else name, 1e-4, 42 + n % 2, 42, f"a0{n % 2}", told_by="run.json"),
        )
        for n, name in enumerate(names)
    )  # fmt: skip
    shapes = np.full((len(names), len(modules), 2), 64, dtype=np.int64)
    ran = tuple(ProbeInfo(p, base, "d1", "cpu", "float32", "gsm8k", "d2", 100, "loss: boxed") for p in probes)
    return Study(infos, modules, shapes, Settings(k=k, version="1"), blocks, ran, alphas, layers if probes else 0)


def only(report, *sections):
    """The report with these sections alone: drawing all of them takes its time."""
    return replace(report, sections=tuple(s for s in report.sections if s.id in sections))


def _scopes(metric, definition):
    if definition.probe in {"lmc", "lens", "accuracy"}:
        return ("global",)
    if definition.probe == "cka":
        return ("global", "layer")
    if metric in {"singular_value", "spectral_gap"}:
        return ("module",)
    return ("global", "layer", "module")


def _values(rng, definition, shape):
    values = rng.uniform(0, 1, shape)
    if definition.unit == "°":
        values = np.sort(90 * values, axis=-1)
    elif definition.metric.startswith(("norm", "effective", "stable", "lmc", "lens")):
        values = 1 + 3 * values
    elif definition.metric == "singular_value":
        values = -np.sort(-values, axis=-1)
    if definition.subject == "pair":
        values = np.maximum(values, np.swapaxes(values, 0, 1))
    if definition.subject in {"pair", "ordered"} and definition.probe:
        values[np.arange(len(values)), np.arange(len(values))] = np.nan
    return values
