"""Rows end to end in a pass: the loss and gradient of padded ones, and refused where rows would see each other."""

import pytest
from transformers import masking_utils

from inspector.errors import InspectorError
from tests.trainer.small import close, first_step, made, nats, options, rollouts, tiny
from trainer.runs.tasks import tasks

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("sft", {}),
        ("dft", {}),
        ("rift", {"probability": "geo-mean"}),
        ("rift", {"probability": "sequence"}),
        ("offline-grpo", {"variant": "krafton", "kl": 0.5}),
        ("sft", {"gradient_checkpointing": "true"}),
    ],
)
def test_padding_free_is_padded(base, tmp_path, name, more):
    """Rows of several lengths, in passes of four."""
    file = rollouts(tmp_path)
    padded = first_step(base, name, file, tmp_path, micro_batch=4, **more)
    free = first_step(base, name, file, tmp_path, micro_batch=4, padding="free", **more)
    assert free[0] == nats(padded[0])
    assert close(padded[1], free[1])
    for told in ("tokens", "nll_up", "nll_down", "negatives", "vanished"):
        assert free[2].get(told) == nats(padded[2].get(told))


def test_rows_that_see_each_other_are_refused(base, tmp_path, monkeypatch):
    """An attention that takes no notice of where a row begins."""
    monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", lambda _ids: None)
    with pytest.raises(
        InspectorError, match=r"its attention \(sdpa\), rows of one pass see each other: leave it padded"
    ):
        made(base, "sft", rollouts(tmp_path), tmp_path, padding="free")


@pytest.mark.parametrize("name", ["dpo", "kto", "online-grpo"])
def test_methods_that_trl_scores_stay_padded(base, tmp_path, name):
    asked = options(base, name, rollouts(tmp_path), tmp_path / "out", padding="free")
    with pytest.raises(InspectorError, match=f"padding=free is not for {name}"):
        tasks(asked)
