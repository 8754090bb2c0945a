"""What numbers of a base are known by, and what is said of them."""

from types import SimpleNamespace

import pytest

from inspector.base_model.encode import Encoded
from inspector.probes.job import Job

BASE = {"name": "org/base", "digest": "d", "device": "cuda:0", "dtype": "bfloat16"}


def job(notes=(), **more):
    attached = SimpleNamespace(base=SimpleNamespace(**BASE | more))
    return Job(None, attached, ("a",), {}, None, None, None, list(notes), None)


EXAMPLES = [Encoded((1, 2, 3), 1), Encoded((4, 5), 1)]


def test_a_key_is_of_the_kind_of_device_and_of_all_tokens():
    key = job().key(EXAMPLES, pooling="mean")
    assert (key["base"], key["dtype"], key["device"], key["pooling"]) == ("d", "bfloat16", "cuda", "mean")
    assert job(device="cuda:1").key(EXAMPLES, pooling="mean") == key
    assert job(name="other").key(EXAMPLES, pooling="mean") == key
    assert job().key(EXAMPLES, pooling="last") != key
    assert job().key(pooling="mean") != key


@pytest.mark.parametrize("other", [{"digest": "e"}, {"dtype": "float32"}, {"device": "cpu"}])
def test_another_base_dtype_or_device_is_another_key(other):
    assert job(**other).key(EXAMPLES) != job().key(EXAMPLES)


@pytest.mark.parametrize(
    "examples",
    [EXAMPLES[:1], EXAMPLES[::-1], [Encoded((1, 2, 3), 2), EXAMPLES[1]], [Encoded((1, 2, 4), 1), EXAMPLES[1]],
     [Encoded((1, 2), 1), Encoded((3, 4, 5), 1)]],
)  # fmt: skip
def test_other_tokens_are_another_key(examples):
    assert job().key(examples) != job().key(EXAMPLES)


def test_what_is_said_of_a_probe():
    """Each note once, in the order it came."""
    info = job(["halved", "slow", "halved"]).info("cka", detail="pooling: mean")
    assert (info.probe, info.base, info.base_digest, info.device, info.dtype) == (
        "cka", "org/base", "d", "cuda:0", "bfloat16",
    )  # fmt: skip
    assert (info.prompts, info.prompts_digest, info.examples, info.detail) == ("", "", 0, "pooling: mean")
    assert info.note == "halved; slow"
    problems = SimpleNamespace(name="sums", digest="p", problems=(1, 2, 3))
    info = job().info("lmc", problems)
    assert (info.prompts, info.prompts_digest, info.examples, info.detail, info.note) == ("sums", "p", 3, "", "")
