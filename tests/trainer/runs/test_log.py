"""Which steps are told: the first, the last, and the one in which a stop was asked for."""

import pytest
from transformers import TrainerControl, TrainerState

from trainer.runs.log import TrainingLog


@pytest.mark.parametrize(("stop", "told"), [(False, [1, 9]), (True, [1, 5, 9])])
def test_the_step_of_a_stop_is_told(tmp_path, capsys, stop, told):
    log, control = TrainingLog("sft", tmp_path / "log.jsonl"), TrainerControl()
    state = TrainerState(max_steps=9, is_world_process_zero=True)
    log.on_train_begin(None, state, control)
    for state.global_step in range(1, 10):
        control.should_training_stop = stop and state.global_step == 5
        log.on_log(None, state, control, {"loss": 1.0, "tokens": 8})
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == [f"sft: step {step} of 9" for step in told]
