"""One module under the names that files give it: what meets, what does not, and what is said of the rest."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from inspector.adapters.alignment import aligned
from inspector.adapters.model import Adapter, LoraModule, Scale
from inspector.adapters.opening import identity
from inspector.analysis.analyse import analyse
from inspector.study.adapter_info import AdapterInfo
from inspector.study.module_id import canonical, module_ids
from inspector.study.study import Settings


def adapter(name, shapes, *, seed=0, of=None):
    """Random factors at these full paths; `of`: which paths share the factors of which others."""
    generator = torch.Generator().manual_seed(seed)
    pairs = {
        path: (torch.randn(d_out, 3, generator=generator), torch.randn(3, d_in, generator=generator))
        for path, (d_out, d_in) in shapes.items()
    }
    return in_memory(name, of(pairs) if of else pairs)


def in_memory(name, pairs):
    ids = module_ids({path: B.shape[0] * A.shape[1] for path, (B, A) in pairs.items()})
    modules = {
        ids[path]: LoraModule(ids[path], B.shape[0], A.shape[1], 3, Scale(2.0, "test"), "F32", path)
        for path, (B, A) in pairs.items()
    }
    at = {ids[path]: pair for path, pair in pairs.items()}
    return Adapter(AdapterInfo(name, name, "test"), modules, at.__getitem__, base="org/base")


def renamed(one, name, rename):
    """The same update under other names."""
    return in_memory(name, {rename(module.path): one.load(id_) for id_, module in one.modules.items()})


def cosines(*adapters):
    study = analyse(aligned(adapters), Settings(k=2))
    return study, study.blocks["cosine", "global"][..., 0]


LANGUAGE = {f"model.language_model.layers.{n}.self_attn.q_proj": (12, 8) for n in range(3)}
VISION = {f"model.vision_tower.encoder.layers.{n}.self_attn.q_proj": (12, 8) for n in range(3)}
TWO_TOWERS = LANGUAGE | VISION | {"lm_head": (20, 8), "model.projector.linear_1": (8, 8)}


@pytest.mark.parametrize(
    "rename",
    [
        lambda path: path.replace("model.language_model", "language_model.model").replace("model.vision", "vision"),
        lambda path: path.replace("model.language_model", "model").replace("vision_tower", "vision_tower.vision_model"),
        lambda path: path.replace("model.language_model.", "").replace("model.", ""),
        lambda path: path.replace(".", "_"),
        lambda path: path.replace("lm_head", "language_model.lm_head"),
        lambda path: f"diffusion_model.{path}",
        lambda path: f"base_model.model.{path}",
    ],
)
def test_wrappers_and_separators_do_not_keep_modules_apart(rename):
    """Shapes of both towers are equal, and so are the paths below: only what stands before them tells them apart."""
    one = adapter("one", TWO_TOWERS)
    other = renamed(one, "other", rename)
    for pair in (one, other), (other, one):
        study, cosine = cosines(*pair)
        assert len(study.modules) == len(TWO_TOWERS)
        assert cosine == pytest.approx(1, abs=1e-12)
        assert not [finding for info in study.adapters for finding in info.findings]


def test_of_two_spellings_the_one_with_more_dots_is_shown():
    underscored = adapter("kohya", {"unet.double_blocks.0.img_attn_qkv": (12, 4), "unet.blocks_0_proj": (4, 4)})
    dotted = renamed(underscored, "dotted", lambda path: path.replace("attn_qkv", "attn.qkv").replace("_0_", ".0."))
    for pair in (underscored, dotted), (dotted, underscored):
        study, _ = cosines(*pair)
        assert [str(id_) for id_ in study.modules] == ["0.double_blocks.img_attn.qkv", "0.proj"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("model.encoder.layers.{}.fc1", "model.decoder.layers.{}.fc1"),
        ("transformer_blocks.{}.attn.to_q", "single_transformer_blocks.{}.attn.to_q"),
        ("model.layers.{}.mlp.fc1", "model.visual.layers.{}.mlp.fc1"),
        ("model.layers.{}.self_attn.q_proj", "model.layers.{}.self_attn.o_proj"),
        ("model.layers.{}.self_attn.q_proj", "model.vision_model.layers.{}.self_attn.q_proj"),
        ("model.encoder.layers.{}.fc1", "vision_model.encoder.layers.{}.fc1"),
        ("text_encoder.layers.{}.fc1", "text_encoder_2.layers.{}.fc1"),
    ],
)
def test_what_is_another_place_stays_apart_and_a_warning_says_so(one, other):
    mine, theirs = ({path.format(n): (8, 8) for n in range(2)} for path in (one, other))
    study, cosine = cosines(adapter("one", mine), adapter("other", theirs))
    assert len(study.modules) == 4
    assert np.isnan(cosine[0, 1])
    for info, who in zip(study.adapters, ("other", "one"), strict=True):
        (finding,) = info.findings
        assert finding.severity == "warning"
        assert finding.text.startswith(f"2 modules under names that are not in {who}, where modules of equal shapes")


def test_other_layers_and_other_shapes_are_no_left_over_modules():
    """A layer more, and a target of a shape that the other has nothing of."""
    base = {f"model.layers.{n}.fc1": (8, 4) for n in range(2)}
    study, _ = cosines(
        adapter("one", base | {"model.layers.0.fc2": (4, 8)}),
        adapter("other", base | {"model.layers.2.fc1": (8, 4), "model.layers.2.fc3": (9, 4)}),
    )
    assert [info.findings for info in study.adapters] == [(), ()]


def test_another_shape_is_no_other_name():
    """The stack that could be meant has one module of another shape: none of it is taken for the other's."""
    names = ("q_proj", "k_proj")
    one = adapter("one", {f"model.language_model.layers.0.{name}": (8, 8) for name in names})
    other = adapter(
        "other", {"language_model.model.layers.0.q_proj": (8, 8), "language_model.model.layers.0.k_proj": (4, 8)}
    )
    study, _ = cosines(one, other)
    assert len(study.modules) == 4


def test_of_two_stacks_that_could_be_meant_neither_is():
    """A policy head of the language model's size beside it: a language model's adapter does not say which it is of."""
    policy = {f"model.{tower}.layers.0.q_proj": (8, 8) for tower in ("paligemma", "expert")}
    one, other = adapter("policy", policy), adapter("plain", {"model.layers.0.q_proj": (8, 8)})
    study, cosine = cosines(one, other)
    assert len(study.modules) == 3
    assert np.isnan(cosine[0, 1])
    assert ["plain" in info.findings[0].text for info in study.adapters] == [True, False]


KIMI = {
    f"model.{path.format(n)}": shape
    for n in range(3)
    for path, shape in {
        "vision_tower.layers.{}.mlp.fc1": (8, 8),
        "vision_tower.layers.{}.mlp.fc2": (8, 8),
        "language_model.layers.{}.self_attn.o_proj": (8, 8),
    }.items()
}


def older_kimi(path):
    """As its checkpoints have it: blocks, and the two halves of an MLP counted from 0."""
    path = path.replace("vision_tower.layers", "vision_tower.encoder.blocks").removeprefix("model.")
    path = path.replace("fc1", "fc0").replace("fc2", "fc1")
    return path.replace("language_model.layers", "language_model.model.layers")


@pytest.mark.parametrize("last", [3, 2])
def test_names_of_a_checkpoint_meet_those_that_transformers_gives_them(last):
    """Shapes are equal, and fc1 is one thing in either: only the table of the model tells which is which."""
    one = adapter("one", {path: shape for path, shape in KIMI.items() if f".{last}." not in path})
    other = renamed(adapter("whole", KIMI), "other", older_kimi)
    for pair in (one, other), (other, one):
        study, _ = cosines(*pair)
        assert {str(id_) for id_ in study.modules} == {str(id_) for id_ in adapter("all", KIMI).modules}
        said = {info.name: [f.text for f in info.findings] for info in study.adapters}
        assert said["one"] == []
        assert said["other"] == ["9 modules under the names that transformers gives them as it loads kimi_k25"]
    mine = renamed(one, "mine", older_kimi)
    assert cosines(one, mine)[1] == pytest.approx(1, abs=1e-12)


def test_rows_that_a_checkpoint_has_in_another_order_are_not_taken_for_the_models():
    """q and k of Mistral's own files are in the order of interleaved rotary embeddings; v and o are as they are."""
    mine = {f"layers.{n}.attention.w{x}": (8, 8) for n in range(2) for x in "qkvo"}
    theirs = {f"model.language_model.layers.{n}.self_attn.{x}_proj": (8, 8) for n in range(2) for x in "qkvo"}
    one, other = aligned([adapter("one", mine), adapter("other", theirs)])
    met = {module.path.rpartition(".")[2] for id_, module in one.modules.items() if id_ in other.modules}
    assert not met & {"wq", "wk"}
    assert "warning" in {finding.severity for finding in one.info.findings}


PARTS = {
    "model.layers.{}.self_attn.qkv_proj": {"q_proj": 12, "k_proj": 4, "v_proj": 4},
    "model.layers.{}.mlp.gate_up_proj": {"gate_proj": 6, "up_proj": 6},
    "blocks.{}.attn.to_kv": {"to_k": 4, "to_v": 5},
    "double_blocks.{}.img_attn_qkv": {"img_attn_q": 4, "img_attn_k": 4, "img_attn_v": 4},
    "model.layers.{}.mlp.experts.3.gate_up_proj": {"gate_proj": 6, "up_proj": 6},
}


@pytest.mark.parametrize("whole", PARTS)
def test_a_fused_module_is_its_parts(whole):
    """The parts have the rows of the whole in the order of its name, and all of its A."""
    parts = PARTS[whole]
    fused = adapter("fused", {whole.format(n): (sum(parts.values()), 8) for n in range(2)})

    def split(name):
        pairs = {}
        for id_, module in fused.modules.items():
            B, A = fused.load(id_)
            start = 0
            for part, rows in parts.items():
                pairs[f"{module.path.rpartition('.')[0]}.{part}"] = B[start : start + rows].clone(), A
                start += rows
        return in_memory(name, pairs)

    study, cosine = cosines(fused, split("split"))
    assert len(study.modules) == 2 * len(parts)
    assert cosine == pytest.approx(1, abs=1e-12)
    norms = study.blocks["norm", "global"][:, 0]
    exact = sum(((2 * B @ A) ** 2).sum().item() for B, A in map(fused.load, fused.modules)) ** 0.5
    assert norms == pytest.approx([exact, exact], rel=1e-6)
    alone = analyse(aligned([fused]), Settings(k=2))
    assert len(alone.modules) == 2


def test_rows_that_do_not_add_up_are_no_parts():
    fused = adapter("fused", {"layers.0.qkv_proj": (12, 8)})
    apart = adapter("apart", {f"layers.0.{name}_proj": (5, 8) for name in "qkv"})
    study, _ = cosines(fused, apart)
    assert len(study.modules) == 4


def in_parts(tower, of):
    """`of` with its `qkv` as q, k and v in another tower."""
    pairs = {}
    for id_, module in of.modules.items():
        B, A = of.load(id_)
        for letter, rows in zip("qkv", B.chunk(3), strict=True):
            pairs[f"{tower}.{module.path.split('.', 2)[2].removesuffix('qkv')}{letter}"] = rows, A
    return in_memory("parts", pairs)


@pytest.mark.parametrize(
    ("tower", "towers", "met"),
    [
        ("visual", ["model.visual"], True),
        ("model.vision_tower.visual", ["model.visual"], True),
        ("audio.visual", ["model.visual", "model.audio"], False),
        ("encoder", ["model.decoder"], False),
    ],
)
def test_a_fused_module_is_its_parts_under_another_wrapper(tower, towers, met):
    """Nothing else need meet there; where two wholes could be meant, neither is."""
    shapes = {f"{place}.blocks.{n}.attn.qkv": (12, 8) for place in towers for n in range(2)}
    whole = adapter("whole", shapes)
    first = in_memory("first", {m.path: whole.load(id_) for id_, m in whole.modules.items() if towers[0] in m.path})
    study, cosine = cosines(whole, in_parts(tower, first))
    assert len(study.modules) == (6 if met else 6 + len(shapes))
    if met:
        assert cosine[0, 1] == pytest.approx(1)


def test_an_adapter_that_has_both_is_not_cut():
    both = {"layers.0.kv_proj": (8, 8), "layers.0.k_proj": (4, 8), "layers.0.v_proj": (4, 8)}
    study, _ = cosines(adapter("both", both), adapter("apart", dict(list(both.items())[1:])))
    assert len(study.modules) == 3


def test_aligning_again_starts_from_the_files_and_keeps_the_name():
    one = adapter("one", TWO_TOWERS)
    other = renamed(one, "other", lambda path: path.replace("model.language_model", "language_model.model"))
    first = aligned([one, other])
    assert first[0].stored is None
    named = replace(first[1], info=replace(first[1].info, name="mine"))
    again = aligned([one, named])
    assert [list(a.modules) for a in again] == [list(a.modules) for a in first]
    assert again[1].info.name == "mine"
    assert aligned([named])[0].modules.keys() == other.modules.keys()


def test_a_warning_is_not_repeated_by_aligning_again():
    pair = [adapter("one", {"layers.0.a": (8, 8)}), adapter("other", {"layers.0.b": (8, 8)})]
    assert [len(a.info.findings) for a in aligned(aligned(pair))] == [1, 1]


def test_what_an_adapter_is_known_by_does_not_depend_on_the_others(tmp_path):
    one = adapter("one", TWO_TOWERS)
    other = renamed(one, "other", lambda path: path.replace("model.language_model", "model"))
    assert [identity(a) for a in aligned([one, other])] == [identity(one), identity(other)]


def test_modules_left_out_go_by_the_common_ids():
    one = adapter("one", {"model.layers.0.q_proj": (8, 8), "model.layers.1.q_proj": (8, 8)})
    big = {"model.expert.layers.0.q_proj": (8, 8), "model.layers.0.q_proj": (80, 8), "model.layers.1.q_proj": (80, 8)}
    other = adapter("other", {"model.expert.layers.0.q_proj": (8, 8)})
    left_out = canonical("model.expert.layers.1.q_proj")
    ids = module_ids({"model.expert.layers.0.q_proj": 64, "model.expert.layers.1.q_proj": 64})
    other = replace(other, info=replace(other.info, excluded=(ids["model.expert.layers.1.q_proj"],)))
    assert left_out.layer is None
    first, second = aligned([adapter("big", big), other])
    assert [str(id_) for id_ in second.modules] == ["0.expert.layers.q_proj"]
    assert [str(id_) for id_ in second.info.excluded] == ["1.expert.layers.q_proj"]
    assert [str(id_) for id_ in first.modules] == ["0.expert.layers.q_proj", "0.q_proj", "1.q_proj"]
    assert one.info.excluded == ()


def test_models_of_other_bases_with_nothing_in_common_have_no_left_over_modules():
    """One module that meets, or one base, and the warning is there."""
    mine, theirs = {"model.layers.0.a": (8, 8)}, {"model.layers.0.b": (8, 8)}
    common = {"model.layers.0.c": (4, 4)}

    def warnings(one, other, *bases):
        pair = [replace(adapter(n, s), base=base) for n, s, base in zip("xy", (one, other), bases, strict=True)]
        return [len(a.info.findings) for a in aligned(pair)]

    assert warnings(mine, theirs, "org/llama", "org/qwen") == [0, 0]
    assert warnings(mine, theirs, "org/llama", "mirror/llama") == [1, 1]
    assert warnings(mine, theirs, "", "") == [0, 0]
    assert warnings(mine | common, theirs | common, "org/llama", "org/qwen") == [1, 1]
