"""The corpus of hostile files, the same each time.

python -m tests.hostile.make FOLDER      writes every case into a folder of its own, and lists them
"""

import re
import sys
from pathlib import Path

from tests.hostile import (
    config_cases,
    factor_cases,
    gguf_cases,
    image_cases,
    model_cases,
    pickle_cases,
    place_cases,
    study_cases,
    weights_cases,
)
from tests.hostile.case import Case

MODULES = (
    weights_cases,
    factor_cases,
    config_cases,
    place_cases,
    pickle_cases,
    gguf_cases,
    image_cases,
    model_cases,
    study_cases,
)
CASES: tuple[Case, ...] = tuple(case for module in MODULES for case in module.cases())


def folder_of(case: Case) -> str:
    return re.sub(r"\W+", "-", case.name).strip("-").lower()


def make(case: Case, root: Path) -> Path:
    """Write a case below `root`; the path to open."""
    folder = root / folder_of(case)
    folder.mkdir(parents=True)
    return case.make(folder) or folder


if __name__ == "__main__":
    for case in CASES:
        path = make(case, Path(sys.argv[1]))
        print(f"{case.code}  {path}")
