"""A study of random updates with known kinship, for tests of the app; numpy only."""

import numpy as np

from inspector.study.adapter_info import AdapterInfo, HealthIssue
from inspector.study.aggregate import aggregate
from inspector.study.metrics import DEFINITIONS
from inspector.study.module_id import ModuleId
from inspector.study.study import Settings, Study

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")


def make_study(n: int = 5, layers: int = 30, k: int = 10, seed: int = 0, names: tuple[str, ...] = ()) -> Study:
    rng = np.random.default_rng(seed)
    modules = tuple(ModuleId(layer, f"self_attn.{p}") for layer in range(layers) for p in PROJECTIONS)
    m = len(modules)
    names = names or tuple(f"run_{i}" for i in range(n))
    infos = tuple(
        AdapterInfo(
            name=names[i],
            source=f"/data/adapters/{names[i]}",
            format="peft",
            base="org/base-135M",
            ranks=(8,),
            alpha="16",
            scale="α/r",
            targets=PROJECTIONS,
            dtype="float32",
            parameters=460_800,
            modules=m,
            tensors=2 * m,
            findings=(HealthIssue("warning", "one tensor was not understood"),) if i == 1 else (),
        )
        for i in range(n)
    )
    blocks = {}
    mix = rng.normal(size=(n, 3)) + 0.5
    unit = mix / np.linalg.norm(mix, axis=1, keepdims=True)
    base = np.clip(unit @ unit.T, -1, 1)

    def symmetric(noise: float, low: float, high: float) -> np.ndarray:
        jitter = rng.normal(scale=noise, size=(n, n, m))
        values = np.clip(base[:, :, None] * np.cos(np.arange(m) / m)[None, None] + jitter, low, high)
        values = np.triu(values.transpose(2, 0, 1), 1).transpose(1, 2, 0)
        values = values + values.swapaxes(0, 1)
        values[np.arange(n), np.arange(n)] = 1.0
        return values

    blocks["norm", "module"] = rng.uniform(0.5, 2.0, size=(n, m))
    blocks["cosine", "module"] = symmetric(0.1, -0.99, 0.99)
    for metric in ("u1", "v1", "subspace_overlap", "subspace_overlap_right"):
        blocks[metric, "module"] = np.abs(symmetric(0.1, -0.99, 0.99))
    for metric, value in (
        ("u1_chance", 0.033),
        ("v1_chance", 0.033),
        ("subspace_overlap_chance", 0.017),
        ("subspace_overlap_right_chance", 0.017),
    ):
        blocks[metric, "module"] = np.full(m, value)
    angles = np.sort(rng.uniform(5, 89, size=(n, n, m, k)), axis=-1)
    upper = np.triu(np.ones((n, n)), 1)[:, :, None, None]
    angles = angles * upper
    blocks["principal_angle", "module"] = angles + angles.swapaxes(0, 1)
    blocks["principal_angle_chance", "module"] = np.tile(np.linspace(75, 89.5, k), (m, 1))
    sigma = np.sort(rng.uniform(0.01, 1.0, size=(n, m, 8)), axis=-1)[..., ::-1]
    blocks["singular_value", "module"] = sigma
    for metric, low, high in (
        ("effective_rank", 4, 8),
        ("effective_rank_energy", 3, 6),
        ("participation_ratio", 2, 5),
        ("stable_rank", 1, 3),
        ("rank_90", 2, 6),
    ):
        blocks[metric, "module"] = rng.uniform(low, high, size=(n, m))
    assert all(metric in DEFINITIONS for metric, _ in blocks)
    shapes = np.full((n, m, 2), 576, dtype=np.int64)
    return aggregate(Study(infos, modules, shapes, Settings(k=k), blocks))
