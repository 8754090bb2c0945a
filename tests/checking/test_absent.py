"""Half an adapter: modules that its config names and its file lacks, with the base and without."""

import json

import pytest

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.formats import read_adapter
from inspector.checking.absent import gaps
from inspector.checking.checks import checked
from inspector.checking.fit import fit
from tests.base_model.tiny_model import MODULES, saved_base
from tests.makers import random_factors, write_adapter

DEEP = {
    f"model.layers.{n}.{path}": shape
    for n in range(6)
    for path, shape in {"self_attn.q_proj": (8, 8), "self_attn.v_proj": (4, 8), "mlp.up_proj": (12, 8)}.items()
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = saved_base(tmp_path_factory.mktemp("base"))
    return BaseWeights("tiny/base", lambda: folder)


def read(folder, modules, **config):
    return read_adapter(write_adapter(folder, random_factors(modules), **config), "a", str(folder))


def without(*ends, of=MODULES):
    return {path: shape for path, shape in of.items() if not path.endswith(ends)}


def test_modules_that_the_targets_name_in_the_base_are_missed(tmp_path, base):
    found = checked(read(tmp_path, without("0.self_attn.q_proj", "1.self_attn.v_proj")), base)
    assert [str(id_) for id_ in found.fit.absent] == ["0.self_attn.q_proj", "1.self_attn.v_proj"]
    (text,) = (f.text for f in found.findings if f.severity == "warning" and "target_modules" in f.text)
    assert "not in the file: 0.self_attn.q_proj, 1.self_attn.v_proj;" in text


def test_a_file_cut_after_a_layer_is_missed_with_the_base_alone(tmp_path, base):
    cut = read(tmp_path, {path: shape for path, shape in MODULES.items() if "layers.0." in path})
    assert [str(id_) for id_ in fit(cut, base).absent] == ["1.self_attn.q_proj", "1.self_attn.v_proj"]
    assert list(gaps(cut)) == []


@pytest.mark.parametrize(
    "config",
    [
        {"layers_to_transform": [1]},
        {"target_modules": r"model\.layers\.1\.self_attn\.(q|v)_proj"},
        {"exclude_modules": ["layers.0.self_attn.q_proj", "layers.0.self_attn.v_proj"]},
        {"target_modules": ["layers.1.self_attn.q_proj", "layers.1.self_attn.v_proj"]},
    ],
    ids=lambda config: next(iter(config)),
)
def test_layers_that_were_not_chosen_are_not_missed(tmp_path, base, config):
    chosen = {path: shape for path, shape in MODULES.items() if "layers.1." in path}
    adapter = read(tmp_path, chosen, **config)
    assert fit(adapter, base).absent == ()
    assert list(gaps(adapter)) == []


def test_a_path_that_is_in_no_layer_of_the_file_is_not_missed(tmp_path, base):
    adapter = read(tmp_path, MODULES, target_modules=["q_proj", "v_proj", "up_proj"])
    assert fit(adapter, base).absent == ()


def test_layers_beyond_those_of_the_model_are_not_missed(tmp_path, base):
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "model.safetensors").symlink_to(base.folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"text_config": {"num_hidden_layers": 1}}))
    first = read(tmp_path / "a", {path: shape for path, shape in MODULES.items() if "layers.0." in path})
    assert fit(first, BaseWeights("with/mtp", lambda: folder)).absent == ()


def test_without_the_base_gaps_are_told_of_projections_alike(tmp_path):
    gone = [f"{n}.self_attn.{end}" for n in (0, 2, 3, 4) for end in ("q_proj", "v_proj")]
    adapter = read(tmp_path, without(*gone, "1.mlp.up_proj", of=DEEP))
    assert {(f.severity, f.text.partition(", though")[0]) for f in gaps(adapter)} == {
        ("info", "q_proj, v_proj not in 4 of 6 layers (0, 2, 3, …)"),
        ("info", "up_proj not in 1 of 6 layers (1)"),
    }
    assert [f for f in checked(adapter, None).findings if "not in 4 of 6 layers" in f.text]


def test_a_file_cut_after_a_layer_lacks_those_that_its_config_chooses(tmp_path):
    half = {path: shape for path, shape in DEEP.items() if int(path.split(".")[2]) < 3}
    said = [f.text for f in read(tmp_path / "cut", half, layers_to_transform=[1, 2, 3, 4, 5]).info.findings]
    assert said == ["layers_to_transform without a tensor in the file: 3, 4, 5"]
    assert read(tmp_path / "whole", half, layers_to_transform=[0, 1, 2]).info.findings == ()


@pytest.mark.parametrize("kept", [1, 8, 17, 31, 33, 35])
@pytest.mark.parametrize("order", [str, lambda path: int(path.split(".")[2])], ids=["text", "layers"])
def test_a_file_that_ends_early_is_a_warning(tmp_path, kept, order):
    """Cut anywhere: known where layers are missing in the midst, or where its last layer is not whole."""
    deep = {path.replace(".0.", f".{n}.", 1): shape for n in range(12) for path, shape in list(DEEP.items())[:3]}
    keys = sorted(sorted(deep), key=order)[:kept]
    found = list(
        gaps(read(tmp_path, {key: deep[key] for key in keys}, target_modules=[r"q_proj", "v_proj", "up_proj"]))
    )
    layers = {int(key.split(".")[2]) for key in keys}
    known = len(layers) > 1 and (len(layers) <= max(layers) or kept % 3)
    assert [f.severity for f in found] == (["warning"] if known else [])
    assert all("would come after the last key of the file" in f.text for f in found)


@pytest.mark.parametrize(
    "kinds",
    [
        lambda n: ["self_attn.q_proj"] * (n % 4 == 3) + ["mlp.up_proj"],
        lambda n: ["self_attn.q_proj"] * (n % 4 == 3),
        lambda n: ["self_attn.q_proj"] + ["self_attn.v_proj"] * (n < 7),
        lambda n: ["mlp.experts.0.up_proj" if n > 2 else "mlp.up_proj"],
        lambda n: ["self_attn.q_proj"] * (n > 7),
        lambda n: ["attn.to_q"] + ["attn.to_add_out"] * (n < 11),
    ],
    ids=["hybrid", "hybrid attention", "shared values", "dense first", "last layers", "last block apart"],
)
def test_layers_of_a_model_that_differ_do_not_end_a_file(tmp_path, kinds):
    modules = {f"model.layers.{n}.{path}": (8, 8) for n in range(12) for path in kinds(n)}
    ends = sorted({path.rpartition(".")[2] for path in modules})
    assert {f.severity for f in gaps(read(tmp_path, modules, target_modules=ends))} <= {"info"}


def test_numbers_of_layers_that_no_model_has_end_no_file(tmp_path):
    modules = {f"model.layers.{n}.self_attn.q_proj": (8, 8) for n in (0, 999_999, 10**12)}
    assert {f.severity for f in gaps(read(tmp_path, modules, target_modules=["q_proj"]))} <= {"info"}


def test_a_whole_adapter_has_no_gaps(tmp_path):
    assert list(gaps(read(tmp_path, DEEP))) == []
