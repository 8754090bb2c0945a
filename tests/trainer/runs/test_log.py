"""Which steps are told: the first, the last, and the one in which a stop was asked for."""

import pytest
from transformers import TrainerControl, TrainerState

from trainer.runs.log import TrainingLog


@pytest.mark.parametrize(("stop", "told"), [(False, [1, 9]), (True, [1, 5, 9])])
def test_the_step_of_a_stop_is_told(tmp_path, capsys, stop, told):
    log, control = TrainingLog("sft", tmp_path / "log.jsonl", tmp_path / "seconds"), TrainerControl()
    state = TrainerState(max_steps=9, is_world_process_zero=True)
    log.on_train_begin(None, state, control)
    for state.global_step in range(1, 10):
        control.should_training_stop = stop and state.global_step == 5
        log.on_log(None, state, control, {"loss": 1.0, "tokens": 8})
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == [f"sft: step {step} of 9" for step in told]


def test_seconds_are_those_of_all_sessions(tmp_path, monkeypatch):
    """10 s up to step 4; resumed after step 3, 5 s more; begun anew, none of them count."""
    now = [100.0]
    monkeypatch.setattr("trainer.runs.log.time.monotonic", lambda: now[0])

    def session(first, seconds):
        log = TrainingLog("sft", tmp_path / "log.jsonl", tmp_path / "seconds")
        state = TrainerState(max_steps=9, is_world_process_zero=True, global_step=first)
        log.on_train_begin(None, state, TrainerControl())
        now[0] += seconds
        state.global_step += 1
        log.on_log(None, state, TrainerControl(), {"loss": 1.0, "tokens": 8})
        return log.before, float((tmp_path / "seconds").read_text())

    assert session(0, 10) == (0, 10)
    assert session(3, 5) == (10, 15)
    assert session(0, 2) == (0, 2)
