"""Fabricated probe numbers for the app's tests: what a run of the base would have put into the study."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from inspector.study.metrics.probes import SIGNED
from inspector.study.probe_results import merged
from inspector.study.study import ProbeInfo, Study
from tests.tui.factory import make_study

ALPHAS = tuple(round(0.1 * step, 1) for step in range(11))
BASE = "org/base-135M"


def info(probe: str, prompts: str = "arithmetic", examples: int = 64, detail: str = "", note: str = "") -> ProbeInfo:
    return ProbeInfo(probe, BASE, "ab" * 32, "cpu", "float32", prompts, "cd" * 32, examples, detail, note)


def with_digests(study: Study) -> Study:
    return replace(study, adapters=tuple(replace(a, digest=f"sha-{n}") for n, a in enumerate(study.adapters)))


def with_lmc(study: Study, pairs: tuple[tuple[int, int], ...] = (), suffix: str = "", seed: int = 1) -> Study:
    """Hills of random height over random ends; the base at 2.0."""
    rng, n = np.random.default_rng(seed), len(study.adapters)
    pairs = pairs or tuple((i, j) for i in range(n) for j in range(i + 1, n))
    a = np.array(ALPHAS)
    ends, loss = rng.uniform(0.6, 1.2, n), np.full((n, n, 1, len(a)), np.nan)
    blocks = {(f"lmc_loss_base{suffix}", "global"): np.array([2.0])}
    found = {
        f"barrier_{kind}{part}": np.full((n, n, 1), np.nan)
        for kind in ("mean", "chord", "strict")
        for part in ("", "_low", "_high", "_at")
    }
    found |= {f"lmc_ends{part}": np.full((n, n, 1), np.nan) for part in ("", "_low", "_high")}
    for i, j in pairs:
        for one, other in ((i, j), (j, i)):
            for part, more in (("", 0.0), ("_low", -0.1), ("_high", 0.1)):
                found[f"lmc_ends{part}"][one, other, 0] = ends[one] - ends[other] + more
        hill = 4 * rng.uniform(0, 0.5) * a * (1 - a)
        path = a * ends[i] + (1 - a) * ends[j] + hill
        loss[i, j, 0], loss[j, i, 0] = path, path[::-1]
        chord = a * ends[i] + (1 - a) * ends[j]
        floors = {"mean": (ends[i] + ends[j]) / 2, "chord": chord, "strict": max(ends[i], ends[j])}
        for kind, floor in floors.items():
            above = path - floor
            top = int(above.argmax())
            for part, value in (("", above[top]), ("_low", 0.8 * above[top]), ("_high", 1.2 * above[top])):
                found[f"barrier_{kind}{part}"][[i, j], [j, i], 0] = value
            found[f"barrier_{kind}_at"][i, j, 0] = a[top]
            found[f"barrier_{kind}_at"][j, i, 0] = 1 - a[top]
    blocks |= {(f"{metric}{suffix}", "global"): values for metric, values in found.items()}
    blocks[f"lmc_loss{suffix}", "global"] = loss
    probe = info(f"lmc{suffix}", detail=f"loss: {'rollouts' if suffix else 'boxed'}, {SIGNED}")
    return merged(study, probe, blocks, alphas=ALPHAS)


def with_cka(study: Study, depth: int = 0, seed: int = 2) -> Study:
    """Falling similarity over the layers; shuffled values near 0 ± .01 (debiased) and .4 ± .05 (plain); lens depths."""
    rng, n = np.random.default_rng(seed), len(study.adapters)
    depth = depth or len(study.layers)
    blocks = {}
    for metric, null, sd in (("cka_debiased", 0.0, 0.01), ("cka", 0.4, 0.05)):
        fall = rng.uniform(0.05, 0.6, (n, n))
        fall = np.triu(fall, 1) + np.triu(fall, 1).T
        values = 1 - fall[:, :, None] * np.linspace(0, 1, depth) ** 2
        values[np.arange(n), np.arange(n)] = np.nan
        shuffled = null + rng.normal(0, 0.02, (n, n, depth))
        to_base = 1 - rng.uniform(0.05, 0.4, n)[:, None] * np.linspace(0, 1, depth)
        spread = sd * rng.uniform(0.8, 1.2, (n, n, depth))
        named = {"": values, "_null": shuffled, "_null_sd": spread, "_base": to_base}
        for name, block in ((f"{metric}{part}", block) for part, block in named.items()):
            blocks[name, "layer"] = block
            blocks[name, "global"] = block.mean(axis=-1, keepdims=True)
    study = merged(
        study, info("cka", examples=100, detail="pooling: last; 100 of 100 rows distinct"), blocks, depth=depth
    )
    lens = {
        ("lens_depth", "global"): rng.uniform(18, 26, (n, 1)),
        ("lens_depth_base", "global"): np.array([24.5]),
        ("lens_depth_last", "global"): rng.uniform(20, 28, (n, 1)),
        ("lens_depth_last_base", "global"): np.array([25.5]),
    }
    return merged(study, info("lens", examples=100, detail="prompt tokens; 1830 of 2000 positions distinct"), lens)


def with_weights(study: Study, seed: int = 3) -> Study:
    """Norms of the base and intruder dimensions per module."""
    rng, shape = np.random.default_rng(seed), (len(study.adapters), len(study.modules))
    study = merged(study, info("weights", "", 0), {("base_norm", "module"): rng.uniform(80, 120, shape[1])})
    blocks = {
        ("intruder_dimensions", "module"): rng.integers(0, 4, shape).astype(float),
        ("intruder_dimensions_subspace", "module"): rng.integers(0, 2, shape).astype(float),
        ("intruder_dimensions_k", "module"): np.cumsum(rng.uniform(size=(*shape, 20)) < 0.2, -1).astype(float),
        ("intruder_dimensions_epsilon", "module"): np.sort(rng.integers(0, 11, (*shape, 9)), -1).astype(float),
        ("base_share_left", "module"): rng.uniform(0.02, 0.3, shape),
        ("base_share_right", "module"): rng.uniform(0.01, 0.1, shape),
        ("base_share_left_chance", "module"): rng.uniform(0.02, 0.05, shape[1]),
        ("base_share_right_chance", "module"): rng.uniform(0.01, 0.02, shape[1]),
    }
    return merged(study, info("intruders", "", 0), blocks)


def with_accuracy(study: Study, problems: int = 64, seed: int = 4, answered: Sequence[float] = ()) -> Study:
    """Answers drawn at random; intervals and tests are rough, consistent in sign. `answered`: of base and adapters."""
    rng, n = np.random.default_rng(seed), len(study.adapters)
    solved = rng.uniform(size=(n, problems)) < rng.uniform(0.3, 0.9, n)[:, None]
    share = solved.mean(axis=1, keepdims=True)
    wins = (solved[:, None] & ~solved[None, :]).sum(axis=-1).astype(float)
    wins[np.arange(n), np.arange(n)] = np.nan
    gap = np.abs(wins - wins.T) / np.sqrt(np.maximum(wins + wins.T, 1))
    p = np.clip(2 * np.exp(-(gap**2)), 0, 1)
    holm = np.clip(p * 15, 0, 1)
    base = np.clip(np.abs(share - 0.4) * 0.3, 0, 1)
    blocks = {
        ("accuracy", "global"): share,
        ("accuracy_low", "global"): np.clip(share - 0.1, 0, 1),
        ("accuracy_high", "global"): np.clip(share + 0.1, 0, 1),
        ("accuracy_base", "global"): np.array([0.4]),
        ("accuracy_base_low", "global"): np.array([0.3]),
        ("accuracy_base_high", "global"): np.array([0.5]),
        ("accuracy_base_answered", "global"): np.array([*answered[:1]] or [problems], dtype=float),
        ("accuracy_answered", "global"): np.array([*answered[1:]] or [problems] * n, dtype=float)[:, None],
        ("mcnemar_wins", "global"): wins[..., None],
        ("mcnemar_p", "global"): p[..., None],
        ("mcnemar_p_holm", "global"): holm[..., None],
        ("mcnemar_base_p", "global"): base,
        ("mcnemar_base_p_holm", "global"): np.clip(base * 3, 0, 1),
    }
    return merged(study, info("accuracy", examples=problems, detail="greedy, 256 new tokens"), blocks)


def probed_study(n: int = 5, **changes) -> Study:
    """Everything measured, on all pairs."""
    study = with_digests(make_study(n, **changes))
    return with_accuracy(with_weights(with_cka(with_lmc(study))))


def unknown(study: Study) -> Study:
    """The same study with NaN in every number of a probe."""
    from inspector.study.metrics import DEFINITIONS

    blocks = {
        key: np.full_like(values, np.nan) if DEFINITIONS[key[0]].probe else values
        for key, values in study.blocks.items()
    }
    return replace(study, blocks=blocks)
