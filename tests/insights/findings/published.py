"""Studies made of numbers: those the study "Weight-Space Geometry" publishes, and any others.

Its figures are those of its text, in the set each was reported for; what it does not report is left out of the study.
"""

from dataclasses import replace

import numpy as np

from inspector.insights.findings import findings_of
from inspector.study.adapter_info import AdapterInfo
from inspector.study.module_id import ModuleId
from inspector.study.provenance import Origin
from inspector.study.study import ProbeInfo, Settings, Study

LAYERS = 36
CHANCE = 0.02
"""Of row spaces: r 1 or 2 at d 64."""


def study(names, *, origins=(), layers=LAYERS, alphas=(), probes=(), **pairs):
    """A study with these global numbers: `metric={("a", "b"): value}` for pairs, `metric={"a": value}` for adapters."""
    n = len(names)
    infos = [AdapterInfo(name, f"/x/{name}", "PEFT LoRA", base="Qwen/Qwen3-4B") for name in names]
    infos = [replace(i, origin=o) for i, o in zip(infos, origins or [Origin()] * n, strict=True)]
    modules = tuple(ModuleId(layer, "self_attn.q_proj") for layer in range(layers))
    blocks = {}
    for metric, values in pairs.items():
        first = next(iter(values))
        sample = np.asarray(next(iter(values.values())), dtype=float)
        places = sample.shape or ()
        if isinstance(first, tuple):
            block = np.full((n, n, 1, *places), np.nan)
            for (a, b), value in values.items():
                i, j = names.index(a), names.index(b)
                block[i, j, 0] = value
                block[j, i, 0] = np.asarray(value)[::-1] if metric == "lmc_loss" else value
        else:
            block = np.full((n, 1, *places), np.nan)
            for a, value in values.items():
                block[names.index(a), 0] = value
        blocks[metric, "global"] = block
    if "row_space_overlap" in pairs:
        blocks["row_space_overlap_chance", "global"] = np.array([CHANCE])
    shapes = np.full((n, layers, 2), 64)
    infos_of = tuple(ProbeInfo(probe, "b") for probe in probes)
    return Study(tuple(infos), modules, shapes, Settings(), blocks, infos_of, alphas)


def with_layers(found, metric, values):
    """The study with a pair metric's numbers by layer."""
    n = len(found.names)
    block = np.full((n, n, len(found.layers)), np.nan)
    for (a, b), value in values.items():
        i, j = found.index(a), found.index(b)
        block[i, j] = block[j, i] = value
    return replace(found, blocks={**found.blocks, (metric, "layer"): block})


def from_layer(found, first):
    """The study with its layers numbered from another one on."""
    modules = tuple(ModuleId(first + module.layer, module.path) for module in found.modules)
    return replace(found, modules=modules)


def takeaways_of(found, kind=""):
    return [t for t in findings_of(found) if kind in {"", t.kind}]


def texts(found, kind=""):
    return [t.text for t in takeaways_of(found, kind)]


def marked(found, kind=""):
    """The sentences, with `! ` before those that are cautions."""
    return ["! " * t.caution + t.text for t in takeaways_of(found, kind)]


def below(value):
    """The next smaller number: what a threshold must not reach."""
    return float(np.nextafter(value, -np.inf))


EIGHT = ("sft", "rft", "rift", "dft", "offline-grpo", "dpo", "online-grpo", "online-dapo")


COSINE = {
    ("sft", "rft"): 0.977, ("sft", "rift"): 0.967, ("rft", "rift"): 0.969,
    ("dft", "sft"): 0.572, ("dft", "rift"): 0.536, ("dft", "rft"): 0.55, ("dft", "offline-grpo"): 0.45,
    ("offline-grpo", "sft"): 0.74, ("offline-grpo", "rft"): 0.74, ("offline-grpo", "rift"): 0.74,
    ("dpo", "sft"): 0.057, ("dpo", "rft"): 0.06, ("dpo", "rift"): 0.065, ("dpo", "dft"): 0.13,
    ("dpo", "offline-grpo"): 0.13, ("dpo", "online-grpo"): 0.02, ("dpo", "online-dapo"): 0.02,
    ("online-grpo", "sft"): 0.025, ("online-grpo", "rft"): 0.024, ("online-grpo", "rift"): 0.02,
    ("online-grpo", "dft"): 0.02, ("online-grpo", "offline-grpo"): 0.02, ("online-grpo", "online-dapo"): -0.16,
    ("online-dapo", "sft"): 0.02, ("online-dapo", "rft"): 0.02, ("online-dapo", "rift"): 0.02,
    ("online-dapo", "dft"): 0.02, ("online-dapo", "offline-grpo"): 0.02,
}  # fmt: skip
"""Its figures; .02 and .45 where its text gives no more than "near zero" and nothing."""


def barriers(path):
    path = np.array(path)
    alphas = np.linspace(0, 1, len(path))
    ends = path[0], path[-1]
    return {
        "barrier_mean": path.max() - sum(ends) / 2,
        "barrier_chord": (path - ((1 - alphas) * ends[0] + alphas * ends[1])).max(),
        "barrier_strict": path.max() - max(ends),
    }
