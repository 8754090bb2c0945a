"""`make demo-study`: everything measured of the bundled adapters, base included, to `assets/demo/study.parquet`.

The base takes about an hour on two CPU cores the first time; what was measured before comes from the cache.
"""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from inspector.adapters.alignment import aligned
from inspector.adapters.opening import open_sources
from inspector.analysis.analyse import analyse
from inspector.base_model import smollm2
from inspector.common.assets import demo_sources, demo_study
from inspector.common.console import Progress, say
from inspector.probes.request import Request
from inspector.probes.runner import Prober
from inspector.study.export import load, save
from inspector.study.study import Settings, Study

ROOT = Path(__file__).parents[1]
RUNS = (
    Request(("cka", "lens", "intruders"), base=smollm2.NAME, limit=100, device="cpu"),
    Request(("lmc",), base=smollm2.NAME, limit=32, alphas=(0.0, 0.25, 0.5, 0.75, 1.0), device="cpu"),
    Request(("accuracy",), base=smollm2.NAME, limit=100, device="cpu"),
)
"""What the base is run for, with the sizes that the guides quote."""


def commit() -> str:
    """The commit of this checkout, `.dirty` behind it where the code is another."""
    git = ["git", "-C", str(ROOT)]
    found = subprocess.check_output([*git, "rev-parse", "--short=12", "HEAD"], text=True).strip()
    return found + ".dirty" * bool(subprocess.check_output([*git, "status", "--porcelain", "inspector"]))


def measured() -> Study:
    """Geometry, then every run of the base."""
    adapters, failures = open_sources(demo_sources())
    assert not failures, failures
    adapters = aligned(adapters)
    study = analyse(adapters, Settings(device="cpu"))
    prober = Prober()
    for request in RUNS:
        say(f"{', '.join(request.probes)}: {prober.estimate(adapters, study, request).text}")
        study = prober.run(adapters, study, request, progress=Progress(), note=say)
    return study


def compact(study: Study) -> Study:
    """The study in single precision, seven digits of every number; sources and versions as they hold anywhere."""
    made_by = f"{study.settings.version}+{commit()}"
    return replace(
        study,
        adapters=tuple(replace(a, source=Path(a.source).relative_to(ROOT).as_posix()) for a in study.adapters),
        settings=replace(study.settings, version=made_by),
        probes=tuple(replace(probe, version=made_by) for probe in study.probes),
        blocks={key: values.astype(np.float32).astype(np.float64) for key, values in study.blocks.items()},
    )


if __name__ == "__main__":
    save(compact(measured()), demo_study())
    kept = load(demo_study())
    print(f"{demo_study()}: {demo_study().stat().st_size / 1e6:.2f} MB, {len(kept.probes)} probes", file=sys.stderr)
