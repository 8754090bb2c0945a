"""Several training loops in one process, each making one optimizer step at a time, in turn."""

import threading
import time
from dataclasses import dataclass, field

import torch
from transformers import TrainerCallback


@dataclass(frozen=True)
class Step:
    """What one turn took: of this process's CPUs, and on the clock."""

    cpu: float
    wall: float


@dataclass
class Relay:
    """Who may run; what each turn took."""

    runners: int
    turn: int = 0
    steps: list[list[Step]] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    condition: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, runner: int) -> Step:
        """Until it is this runner's turn; the clocks then."""
        with self.condition:
            self.condition.wait_for(lambda: self.turn == runner or self.errors)
        if self.errors:
            raise RuntimeError("another runner failed")
        return clocks()

    def hand_on(self) -> None:
        with self.condition:
            self.turn = (self.turn + 1) % self.runners
            self.condition.notify_all()


def clocks() -> Step:
    """On a GPU once all that was asked of it is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return Step(time.process_time(), time.perf_counter())


class Turn(TrainerCallback):
    """One runner: a turn goes from the end of its last step to the end of its next."""

    def __init__(self, relay: Relay, runner: int) -> None:
        self.relay, self.runner = relay, runner
        self.began = clocks()

    def on_step_end(self, args, state, control, **_):
        ended = clocks()
        self.relay.steps[self.runner].append(Step(ended.cpu - self.began.cpu, ended.wall - self.began.wall))
        if state.global_step < state.max_steps:
            self.relay.hand_on()
            self.began = self.relay.wait(self.runner)


def interleaved(trainers: list, warm: int) -> list[list[Step]]:
    """Train all of them in turn; what each one's steps took, without its first `warm`."""
    relay = Relay(len(trainers), steps=[[] for _ in trainers])

    def run(runner: int) -> None:
        try:
            turn = Turn(relay, runner)
            trainers[runner].add_callback(turn)
            turn.began = relay.wait(runner)
            trainers[runner].train()
            relay.hand_on()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            with relay.condition:
                relay.errors.append(error)
                relay.condition.notify_all()

    threads = [threading.Thread(target=run, args=(runner,)) for runner in range(len(trainers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if relay.errors:
        raise relay.errors[0]
    return [steps[warm:] for steps in relay.steps]
