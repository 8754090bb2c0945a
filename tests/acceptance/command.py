"""Running the commands as a user would."""

import os
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.acceptance.nursery import ROOT, Child, Nursery

TIMEOUT = 300.0
DEMO = ROOT / "assets" / "demo"
FEW = "torch", "numpy", "click", "yaml", "rich.table", "rich.progress", "safetensors.torch"
ALL = (
    *FEW, "transformers.models.llama.modeling_llama", "datasets", "peft", "trl.trainer.sft_trainer",
    "trl.trainer.dpo_trainer", "trl.trainer.kto_trainer", "trl.trainer.grpo_trainer",
)  # fmt: skip
"""Of a small training or probe these imports are the most part; they read HF_… and XDG_CACHE_HOME."""
_AT_THE_START = ("PYTHON", "LC_", "LANG", "OMP_")
"""What the interpreter reads then, and torch while it is imported."""


def inspector(*args: str | Path, cwd: Path = ROOT, known=FEW, **env: str) -> subprocess.CompletedProcess[str]:
    """`inspector args…` without a terminal, from a process that knows some libraries already."""
    if any(name.startswith(_AT_THE_START) for name in env):
        return subprocess.run(
            [sys.executable, "-m", "inspector", *map(str, args)], cwd=cwd, env=_environment(env),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip
    child = begun("inspector", *args, cwd=cwd, known=known, **env)
    out, err = child.communicate(TIMEOUT)
    return subprocess.CompletedProcess(args, child.returncode, out.decode(), err.decode())


def begun(module: str, *args: str | Path, cwd: Path = ROOT, known=ALL, **env: str) -> Child:
    """`python -m module args…`, still running."""
    return _nursery(known).begin(module, list(map(str, args)), cwd, _environment(env))


def launched(module: str, *args: str | Path, processes: int = 2, **env: str) -> tuple[int, str]:
    """As `torchrun --nproc_per_node 2 -m module args…`: the worst exit code, and what all have said."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    shared["LOCAL_WORLD_SIZE"] = shared["WORLD_SIZE"]
    ranks = map(str, range(processes))
    children = [begun(module, *args, **env, **shared, RANK=rank, LOCAL_RANK=rank) for rank in ranks]
    said = "".join(child.communicate(TIMEOUT)[1].decode() for child in children)
    return max(abs(child.returncode) for child in children), said


def _environment(more: dict[str, str]) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"} | more


@cache
def _nursery(known: tuple[str, ...]) -> Nursery:
    return Nursery(*known)
