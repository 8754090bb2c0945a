"""`torchrun -m tests.trainer.fsdp_on_cpu BASE ROLLOUTS OUT`: runs sharded by FSDP2 over processes on a CPU.

accelerate shards on accelerators alone, and quietly replicates on CPUs: here it is told to shard there too.
"""

import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import accelerate.state
from accelerate.utils import DistributedType

from inspector.common.errors import CancelledError
from tests.trainer.small import options
from trainer.saving import checkpoints
from trainer.saving.sharded import is_sharded
from trainer.train import train

RUNS = {
    "offline-grpo": {"variant": "krafton-post", "kl": 0.5, "dtype": "bfloat16", "micro_batch": 2},
    "dpo": {"micro_batch": 1, "batch": 4, "dropout": 0.0},
}
"""Method -> settings; KRAFTON's has a KL to the base with the adapter switched off."""
STOPPED = "dpo"
"""The run that is stopped after its second step, and begun again."""
_plain = accelerate.state.AcceleratorState.__init__


def sharding(self, *args, fsdp_plugin=None, **more):
    _plain(self, *args, fsdp_plugin=fsdp_plugin, **more)
    if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin
        accelerate.state.PartialState._shared_state["distributed_type"] = DistributedType.FSDP  # as accelerate does
        if self._mixed_precision != "no":
            fsdp_plugin.set_mixed_precision(self._mixed_precision)


class Stop(checkpoints.Guard):
    """As after a signal; and never without shards."""

    def on_step_end(self, args, state, control, **more):
        assert is_sharded(self.trainer.model)
        self.asked = f"/{STOPPED}/" in args.output_dir and state.global_step == 2
        super().on_step_end(args, state, control, **more)


def main(base: str, rollouts: str, out: str) -> None:
    warnings.simplefilter("ignore")
    accelerate.state.AcceleratorState.__init__ = sharding
    checkpoints.Guard = Stop
    for name in (*RUNS, STOPPED):
        with suppress(CancelledError):
            train(options(Path(base), name, Path(rollouts), Path(out), save_steps=9, **RUNS[name]))


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    main(*sys.argv[1:])
