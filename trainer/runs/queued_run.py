"""One run of a queue, in a process of its own: `python -m trainer.runs.queued_run`, with a `Job` on its input."""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path

from inspector.common.console import say
from inspector.common.cores import settle
from inspector.common.errors import CancelledError, InspectorError
from trainer.runs.data import Data
from trainer.runs.tasks import Options, tasks

FAILED, INTERRUPTED = 2, 130


@dataclass(frozen=True, slots=True)
class Job:
    """What a process is told: the command, and which of its runs is meant."""

    options: Options
    data: Data
    folder: Path


def main() -> int:
    """Train it; the exit code. Errors are a line that begins with `Error:`, the last one."""
    try:
        job: Job = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
        from trainer.runs.bases import Bases
        from trainer.runs.one_run import run

        task = next(task for task in tasks(job.options) if task.folder == job.folder)
        run(task, job.data, job.options.trackers, job.options.vllm, say, Bases())
    except (KeyboardInterrupt, CancelledError):
        return INTERRUPTED
    except InspectorError as error:
        say(f"Error: {error}")
        return FAILED
    return 0


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    settle()
    sys.exit(main())
