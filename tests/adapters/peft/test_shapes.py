"""Which shapes of a PEFT file make an update, of which size, rank and scale: one row a case, nothing is read."""

from pathlib import Path

import pytest

from inspector.adapters.files.headers import TensorHeader
from inspector.adapters.files.weights import Weights
from inspector.adapters.options import DEFAULTS
from inspector.adapters.peft.config import PeftConfig
from inspector.adapters.peft.modules import PRUNED, PeftFile, make
from inspector.adapters.peft.scale import Scaling
from inspector.adapters.peft.tensors import Group
from inspector.adapters.tensors.account import EMPTY, MISFIT, NOT_FLOAT, UNKNOWN, Verdict
from inspector.adapters.tensors.stacked import ALONG_RANK, STACKED
from inspector.study.module_id import canonical

PATH = "model.layers.0.self_attn.q_proj"
EXPERT = "model.layers.0.mlp.experts.up_proj"
EMBEDDING = ("lora_embedding_A", "lora_embedding_B")


def made(shapes, path=PATH, dtype="F32", **config):
    slots = {slot: TensorHeader(slot, shape, dtype, Path()) for slot, shape in shapes.items()}
    settings = PeftConfig(**({"r": 4, "alpha": 8.0} | config))
    weights = Weights((), {}, lambda _key: pytest.fail("a tensor was read"))
    file = PeftFile(settings, weights, Scaling(settings, DEFAULTS), None, 64, weights.tensor)
    return make(Group(canonical(path), path, slots), file)


def pair(a, b):
    return {"lora_A": a, "lora_B": b}


@pytest.mark.parametrize(
    ("shapes", "config", "sizes"),
    [
        (pair((4, 16), (24, 4)), {}, (24, 16, 4, (), False, 2.0)),
        (pair((4, 6, 3, 2), (24, 4, 1, 1)), {}, (24, 36, 4, (3, 2), False, 2.0)),
        (pair((4, 6, 3), (24, 4, 1)), {}, (24, 18, 4, (3,), False, 2.0)),
        (pair((4, 16), (24, 4, 1)), {}, (24, 16, 4, (), False, 2.0)),
        (pair((8, 6, 3, 3), (24, 4, 1, 1)), {}, (24, 54, 8, (3, 3), False, 1.0)),
        (pair((8, 16), (24, 4, 1)), {"enabled": (True, False, True)}, (36, 16, 8, (), False, 2.0)),
        (dict(zip(EMBEDDING, ((4, 50), (16, 4)), strict=True)), {}, (16, 50, 4, (), True, 2.0)),
        (pair((3, 16), (24, 3)) | {"lora_E": (3, 1)}, {"peft_type": "ADALORA"}, (24, 16, 3, (), False, 8 / (4 + 1e-5))),
        (pair((4, 16), (24, 4)) | {"lora_E": (4, 1)}, {}, (24, 16, 4, (), False, 2.0)),
        ({"lokr_w1": (2, 3), "lokr_w2": (8, 7)}, {"peft_type": "LOKR"}, (16, 21, 14, (), False, 2.0)),
        ({"lokr_w1": (2, 3), "lokr_w2": (8, 7, 5)}, {"peft_type": "LOKR"}, (16, 105, 16, (5,), False, 2.0)),
        (pair((16, 6), (24, 16)), {}, (24, 6, 16, (), False, 0.5)),
    ],
)
def test_a_module(shapes, config, sizes):
    (part,) = made(shapes, **config).parts
    m = part.module
    assert (m.d_out, m.d_in, m.rank, m.kernel, m.embedding, m.scale.value) == sizes
    assert (m.path, m.dtype) == (PATH, "F32")


@pytest.mark.parametrize(
    ("shapes", "config", "verdict"),
    [
        (pair((4, 16), (24, 3)), {}, MISFIT),
        (pair((8, 16), (24, 4)), {}, MISFIT),
        (pair((4, 6, 3, 3), (24, 4, 3, 3)), {}, MISFIT),
        (pair((4, 16), (24, 4, 2)), {}, STACKED),
        (pair((4, 6, 3), (24, 4)), {}, STACKED),
        (pair((8, 6, 3, 3), (25, 4, 1, 1)), {}, MISFIT),
        (pair((9, 6, 3, 3), (24, 4, 1, 1)), {}, MISFIT),
        (pair((8, 16), (24, 4, 1)), {"enabled": (True, False, False)}, MISFIT),
        (pair((8, 16), (25, 4, 1)), {"enabled": (True, False, True)}, MISFIT),
        (pair((0, 16), (24, 0)), {}, EMPTY),
        (pair((4,), (24, 4)), {}, EMPTY),
        ({"lora_E": (4, 1)}, {}, UNKNOWN),
        ({"lora_magnitude_vector": (24,)}, {}, UNKNOWN),
        (pair((3, 16), (24, 3)) | {"lora_E": (2, 1)}, {"peft_type": "ADALORA"}, MISFIT),
        (pair((3, 16), (24, 2)) | {"lora_E": (3, 1)}, {"peft_type": "ADALORA"}, MISFIT),
        (pair((3, 16), (24, 3)) | {"lora_E": (3, 2)}, {"peft_type": "ADALORA"}, MISFIT),
        (pair((3, 16, 1), (24, 3)) | {"lora_E": (3, 1)}, {"peft_type": "ADALORA"}, MISFIT),
        (pair((3, 16), (24, 3, 1)) | {"lora_E": (3, 1)}, {"peft_type": "ADALORA"}, MISFIT),
        (pair((0, 16), (24, 0)) | {"lora_E": (0, 1)}, {"peft_type": "ADALORA"}, PRUNED),
        (pair((0, 16), (24, 3)) | {"lora_E": (3, 1)}, {"peft_type": "ADALORA"}, EMPTY),
        (pair((3, 16), (24, 3)) | {"lora_E": (0, 1)}, {"peft_type": "ADALORA"}, EMPTY),
        ({"lokr_w1": (2, 0), "lokr_w2": (8, 7, 5)}, {"peft_type": "LOKR"}, EMPTY),
    ],
)
def test_no_module(shapes, config, verdict):
    assert made(shapes, **config) == verdict


@pytest.mark.parametrize(
    ("a", "path", "experts"),
    [((4, 16), EXPERT, False), ((8, 16), EXPERT, True), ((9, 16), EXPERT, False), ((8, 16), PATH, False)],
)
def test_experts_along_the_rank_are_told_by_the_configs_own(a, path, experts):
    found = made(pair(a, (24, a[0])), path)
    assert (found == ALONG_RANK) == experts
    assert isinstance(found, Verdict) == experts


@pytest.mark.parametrize(
    ("path", "config", "parts", "named"),
    [
        (EXPERT, {}, 3, False),
        (EXPERT, {"target_parameters": ("experts.up_proj",)}, 3, True),
        (EXPERT, {"target_parameters": ("perts.up_proj",)}, 3, False),
        (EXPERT.replace("up", "gate_up"), {}, 3, True),
    ],
)
def test_a_stack_is_on_a_parameter_if_one_is_named_so(path, config, parts, named):
    found = made(pair((3, 4, 16), (3, 24, 4)), path, **config).parts
    assert [part.module.rank for part in found] == [4] * parts
    assert {part.module.parameter is not None for part in found} == {named}


def test_factors_of_no_float_and_a_stack_of_another_method():
    assert made(pair((4, 16), (24, 4)), dtype="I32") == NOT_FLOAT
    assert made(pair((3, 4, 16), (3, 24, 4)), dtype="I32") == NOT_FLOAT
    assert isinstance(made(pair((3, 4, 16), (3, 24, 4)), peft_type="ADALORA"), Verdict)
