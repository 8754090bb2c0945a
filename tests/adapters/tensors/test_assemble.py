"""What is said of an adapter as a whole from its modules: scales, ranks and spans, where modules differ."""

from pathlib import Path

import pytest

from inspector.adapters.files.headers import TensorHeader
from inspector.adapters.files.weights import Weights
from inspector.adapters.model import LoraModule, Scale
from inspector.adapters.tensors.account import HALF, NEITHER, USED, Verdict
from inspector.adapters.tensors.assemble import Facts, Part, assemble
from inspector.study.module_id import ModuleId, canonical

KNOWN, OTHER, NONE = Scale(2.0, "α/r = 8/4"), Scale(0.5, "α/r = 2/4"), Scale(None, "no α, r = 4")


def made(scales, facts=None, verdicts=None, ranks=(), said=()):
    """An adapter of one module a scale, the last one first in the file."""
    parts = []
    for n, scale in reversed(list(enumerate(scales))):
        path = f"model.layers.{n}.{'ab'[n % 2]}_proj"
        rank = ranks[n] if ranks else 4
        module = LoraModule(canonical(path), 8, 6, rank, scale, "BF16" if n else "F32", path)
        parts.append(Part(module, lambda n=n: (n, n), 10 + n, lambda n=n: n / 10))
    verdicts = verdicts or {}
    headers = {key: TensorHeader(key, (2, 3), "F32", Path()) for key in verdicts}
    return assemble("name", "source", facts or Facts("a format"), parts, Weights((), headers, None), verdicts, said)


@pytest.mark.parametrize(
    ("scales", "shown", "origins"),
    [
        ([KNOWN] * 3, "2 (α/r = 8/4)", ("2 (α/r = 8/4): 3 modules",)),
        ([KNOWN, OTHER, OTHER], "0.5-2 (per module)", ("0.5 (α/r = 2/4): 2 modules", "2 (α/r = 8/4): 1 module")),
        ([KNOWN, Scale(2.0, "by hand")], "2 (per module)", ("2 (by hand): 1 module", "2 (α/r = 8/4): 1 module")),
        ([KNOWN, NONE], "unknown (per module)", None),
        ([NONE] * 2, "unknown (no α, r = 4)", ("unknown (no α, r = 4): 2 modules",)),
        ([], "", ()),
    ],
)
def test_scales_in_words(scales, shown, origins):
    info = made(scales).info
    assert info.scale == shown
    assert origins is None or set(info.scales) == set(origins)
    assert (info.modules, info.parameters) == (len(scales), sum(range(10, 10 + len(scales))))


@pytest.mark.parametrize(
    ("count", "last"), [(12, "11 (x): 1 module"), (13, "… and 1 other origin"), (15, "… and 3 other origins")]
)
def test_a_dozen_origins_are_listed(count, last):
    scales = [KNOWN, KNOWN, *(Scale(float(n), "x") for n in range(1, count))]
    found = made(scales).info.scales
    assert (len(found), found[0]) == (min(count, 13), "2 (α/r = 8/4): 2 modules")
    assert last in found


@pytest.mark.parametrize(
    ("scales", "said"),
    [
        ([KNOWN, OTHER], None),
        ([NONE, NONE], "cosines and angles hold, those over several modules if one α was trained for all of them"),
        ([NONE, Scale(None, "no α, r = 2")], "cosines and angles hold in single modules: "),
        ([NONE, KNOWN], "cosines and angles hold in single modules: "),
    ],
)
def test_what_holds_of_an_unknown_scale(scales, said):
    texts = [f.text for f in made(scales).info.findings]
    assert len(texts) == (said is not None)
    assert all("norms are n/a" in text and said in text for text in texts)


def test_modules_are_in_order_and_each_has_its_own_factors():
    adapter = made([KNOWN, OTHER, KNOWN], Facts("f", alphas={4.0, 8.0, 6.0}, targets=("z", "y")), ranks=(4, 2, 4))
    assert [str(id_) for id_ in adapter.modules] == ["0.a_proj", "1.b_proj", "2.a_proj"]
    assert [adapter.load(id_) for id_ in adapter.modules] == [(0, 0), (1, 1), (2, 2)]
    assert [adapter.left_out(id_) for id_ in adapter.modules] == [0, 0.1, 0.2]
    assert (adapter.info.ranks, adapter.info.alpha, adapter.info.targets) == ((2, 4), "4-8", ("y", "z"))
    assert adapter.info.dtype == "BF16, F32"
    assert made([KNOWN, OTHER]).info.targets == ("a_proj", "b_proj")


@pytest.mark.parametrize(
    ("verdict", "refusal"),
    [
        (Verdict("unknown", "odd", "error"), "no LoRA pair (A and B of one module) that could be analysed: odd"),
        (
            HALF._replace(reason=f"{HALF.reason}, without its B"),
            "no LoRA pair: the file has no B of any module; save the adapter again with both factors",
        ),
        (NEITHER, "no LoRA pair (A and B of one module) that could be analysed"),
        (USED, "no LoRA pair (A and B of one module) that could be analysed"),
    ],
)
def test_an_adapter_without_a_module_says_why_first(verdict, refusal):
    found = made([], verdicts={"x.weight": verdict}).info
    assert (found.findings[0].severity, found.findings[0].text) == ("error", refusal)


def test_a_refused_adapter_has_no_module_and_uses_no_tensor():
    verdicts = {"a": USED, "b": Verdict("ignored", "aside"), "c": Verdict("unknown", "odd")}
    facts = Facts("f", refusal="it is refused", excluded=(ModuleId(None, "x"),))
    adapter = made([KNOWN], facts, verdicts)
    assert (adapter.modules, adapter.info.modules, adapter.info.scale) == ({}, 0, "")
    assert [(t.role, t.reason) for t in adapter.tensors] == [
        ("ignored", "it is refused"), ("ignored", "aside"), ("unknown", "odd"),
    ]  # fmt: skip
    assert (adapter.info.tensors, adapter.info.ignored, adapter.info.unknown) == (3, 2, 1)
    assert (adapter.info.ranks, adapter.info.excluded) == ((4,), (ModuleId(None, "x"),))
    whole = made([KNOWN], Facts("f"), verdicts).info
    assert (whole.tensors, whole.ignored, whole.unknown) == (3, 1, 1)
