"""LyCORIS's methods against the ΔW of its own modules: what they merge, and what they add to a layer's output.

`get_diff_weight` of LoHa and LoKr multiplies by α/r a second time (lycoris-lora 4.1.3), which their forward does not:
for these `get_weight` is ΔW.
"""

import pytest
import torch
from torch import nn

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.formats import read_adapter
from inspector.adapters.health.summary import account
from inspector.adapters.options import ReadOptions
from inspector.adapters.updates.lycoris import VECTOR
from inspector.study.module_id import ModuleId
from tests.adapters.peft.models import assert_same, our_deltas
from tests.adapters.readers.image_models import save

pytestmark = pytest.mark.filterwarnings("ignore")  # lycoris on torch's deprecations
NAME = "lora_unet_mid_block_resnets_0_conv1"
MODULE = ModuleId(None, "mid_block.resnets.0.conv1")


def layer(kind):
    torch.manual_seed(0)
    made = {"linear": nn.Linear(24, 16), "conv": nn.Conv2d(12, 16, 3), "conv1x1": nn.Conv2d(12, 16, 1)}
    return made[kind].double()


def trained(module):
    generator = torch.Generator().manual_seed(1)
    for name, parameter in module.named_parameters():
        if "dora" not in name:
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 4
    return module


def file_of(path, module):
    return save(path, {f"{NAME}.{key}": value.detach() for key, value in module.state_dict().items()})


def read(path, read_options=None):
    return read_adapter(path, "a", str(path), read_options or ReadOptions())


CASES = [
    ("LoConModule", "linear", {}),
    ("LoConModule", "conv", {}),
    ("LoConModule", "conv", {"use_tucker": True}),
    ("LoConModule", "linear", {"rs_lora": True}),
    ("LoConModule", "linear", {"weight_decompose": True}),
    ("LohaModule", "linear", {}),
    ("LohaModule", "conv", {}),
    ("LohaModule", "conv", {"use_tucker": True}),
    ("LokrModule", "linear", {}),
    ("LokrModule", "linear", {"factor": 4}),
    ("LokrModule", "linear", {"decompose_both": True, "factor": 8}),
    ("LokrModule", "linear", {"full_matrix": True}),
    ("LokrModule", "conv", {"factor": 2}),
    ("LokrModule", "conv", {"factor": 2, "use_tucker": True}),
    ("LokrModule", "conv1x1", {"factor": 2, "unbalanced_factorization": True}),
]


@pytest.mark.parametrize(("algo", "kind", "options"), CASES)
def test_delta_is_the_librarys_own(tmp_path, algo, kind, options):
    modules = pytest.importorskip("lycoris.modules")
    org = layer(kind)
    rank = 1 if "factor" in options and kind != "conv" else 2
    module = trained(getattr(modules, algo)(NAME, org, lora_dim=rank, alpha=1.5, **options).double())
    theirs = module.get_diff_weight()[0] if algo == "LoConModule" else module.get_weight(None)
    adapter = read(file_of(tmp_path / "x.safetensors", module))
    # The file's alpha is float32, which rounds the √r of rsLoRA.
    tolerance = 1e-7 if "rs_lora" in options else 1e-12
    torch.testing.assert_close(our_deltas(adapter)[MODULE], theirs.detach().reshape(16, -1), rtol=tolerance, atol=1e-14)
    assert adapter.info.format == {"LoCon": "kohya LoRA", "Loha": "LyCORIS LoHa", "Lokr": "LyCORIS LoKr"}[algo[:-6]]
    said = "DoRA: ΔW needs the base (--base); only the direction part s·B·A is analysed"
    assert [f.text for f in adapter.info.findings if f.severity == "warning"] == (
        [said] if "weight_decompose" in options else []
    )


def test_dylora_is_the_lora_that_its_own_loader_takes_it_for(tmp_path):
    """Its file tells no blocks: loaded it is scaled by α/r, while its training scaled by α/blocks."""
    modules = pytest.importorskip("lycoris.modules")
    org = layer("linear")
    module = trained(modules.DyLoraModule(NAME, org, lora_dim=8, block_size=4, alpha=1.5).double())
    path = file_of(tmp_path / "x.safetensors", module)
    state = {f"{NAME}.{key}": value.detach() for key, value in module.state_dict().items()}
    loader, factors = modules.get_module(state, NAME)
    theirs = modules.make_module(loader, factors, NAME, org).double().get_diff_weight()[0].detach()
    ours = our_deltas(read(path))[MODULE]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)  # it loads in float32
    torch.testing.assert_close(4 * ours, module.get_diff_weight(rank=4)[0].detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("algo", ["LoConModule", "LohaModule", "LokrModule"])
def test_delta_is_what_the_layer_adds(tmp_path, algo):
    modules = pytest.importorskip("lycoris.modules")
    org = layer("linear")
    before = org(torch.eye(24, dtype=torch.float64))
    module = trained(getattr(modules, algo)(NAME, org, lora_dim=2, alpha=1.5, factor=4).double())
    ours = our_deltas(read(file_of(tmp_path / "x.safetensors", module)))
    module.apply_to()
    added = (org(torch.eye(24, dtype=torch.float64)) - before).detach().T
    torch.testing.assert_close(ours[MODULE], added, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_magnitudes_with_the_base_are_what_it_merges(tmp_path, kind):
    modules = pytest.importorskip("lycoris.modules")
    org = layer(kind)
    module = trained(modules.LoConModule(NAME, org, lora_dim=2, alpha=1.5, weight_decompose=True).double())
    assert module.dora_scale.shape[0] == 16
    module.dora_scale.data *= 1.5
    base = tmp_path / "base"
    save(base / "diffusion_pytorch_model.safetensors", {"mid_block.resnets.0.conv1.weight": org.weight.data})
    adapter = read(file_of(tmp_path / "x.safetensors", module), ReadOptions(base=BaseWeights("base", lambda: base)))
    merged = module.get_merged_weight()[0].detach() - org.weight.data
    torch.testing.assert_close(our_deltas(adapter)[MODULE], merged.flatten(1), rtol=0, atol=1e-12)
    assert adapter.info.health == "ok"


def test_magnitudes_of_a_square_matrixs_columns_are_not_taken_for_those_of_its_rows(tmp_path):
    modules = pytest.importorskip("lycoris.modules")
    org = nn.Linear(16, 16).double()
    options = {"weight_decompose": True, "wd_on_out": False}
    module = trained(modules.LoConModule(NAME, org, lora_dim=2, alpha=1.5, **options).double())
    assert module.dora_scale.shape == (1, 16)
    base = tmp_path / "base"
    save(base / "diffusion_pytorch_model.safetensors", {"mid_block.resnets.0.conv1.weight": org.weight.data})
    adapter = read(file_of(tmp_path / "x.safetensors", module), ReadOptions(base=BaseWeights("base", lambda: base)))
    torch.testing.assert_close(our_deltas(adapter)[MODULE], module.get_diff_weight()[0].detach(), rtol=0, atol=1e-12)
    assert [f.text for f in adapter.info.findings if f.text.startswith("DoRA: ")]


@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_full_is_its_low_rank_part_of_the_rank_asked_for(tmp_path, kind):
    modules = pytest.importorskip("lycoris.modules")
    org = layer(kind)
    module = trained(modules.FullModule(NAME, org).double())
    norm = NAME.replace("conv1", "norm1")
    tensors = {f"{NAME}.diff": module.weight.data, f"{NAME}.diff_b": module.bias.data, f"{norm}.diff": torch.ones(16)}
    path = save(tmp_path / "x.safetensors", tensors)
    assert {t.reason for t in read(path).tensors if t.key == f"{norm}.diff"} == {VECTOR.reason}
    whole = module.weight.data.reshape(16, -1)
    assert_same(our_deltas(read(path)), {MODULE: whole})
    (delta,) = our_deltas(read(path, ReadOptions(rank=3))).values()
    assert torch.linalg.matrix_rank(delta) == 3
    best = torch.linalg.svdvals(whole)[3:].norm()
    torch.testing.assert_close((delta - whole).norm(), best, rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("slots", "name"),
    [
        (("a1.weight", "a2.weight", "b1.weight", "b2.weight"), "GLoRA"),
        (("oft_blocks",), "OFT or BOFT"),
        (("on_input",), "IA³"),
    ],
)
def test_other_methods_are_refused_by_name(tmp_path, slots, name):
    tensors = {f"{NAME}.{slot}": torch.ones(4, 4) for slot in slots}
    adapter = read(save(tmp_path / "x.safetensors", tensors))
    assert adapter.modules == {}
    error = next(f.text for f in adapter.info.findings if f.severity == "error")
    assert error.startswith(f"{name}: ")
    assert dict(account(adapter.info))["format"] == "kohya LoRA · dtype unknown · no usable module"


def test_shapes_that_do_not_fit(tmp_path):
    hada = {"hada_w1_a": (16, 2), "hada_w1_b": (2, 24), "hada_w2_a": (15, 2), "hada_w2_b": (2, 24)}
    adapter = read(save(tmp_path / "x.safetensors", {f"{NAME}.{k}": torch.ones(s) for k, s in hada.items()}))
    assert adapter.info.excluded == (MODULE,)
    lokr = {"lokr_w1": (2, 2), "lokr_w2_a": (8, 2)}
    adapter = read(save(tmp_path / "y.safetensors", {f"{NAME}.{k}": torch.ones(s) for k, s in lokr.items()}))
    assert adapter.info.excluded == (MODULE,)


FACTORS = {
    "hada": {"hada_w1_a": (16, 2), "hada_w1_b": (2, 24), "hada_w2_a": (16, 2), "hada_w2_b": (2, 24)},
    "lokr": {"lokr_w1_a": (2, 2), "lokr_w1_b": (2, 4), "lokr_w2_a": (8, 2), "lokr_w2_b": (2, 6)},
    "lora": {"lora_up.weight": (16, 2), "lora_down.weight": (2, 24)},
}


@pytest.mark.parametrize("damage", ["missing", "integers", "empty"])
@pytest.mark.parametrize(("method", "factor"), [(name, factor) for name, those in FACTORS.items() for factor in those])
def test_one_factor_that_is_none_leaves_the_module_out_and_is_named(tmp_path, method, factor, damage):
    tensors = {f"{NAME}.{name}": torch.ones(shape) for name, shape in FACTORS[method].items()}
    assert read(save(tmp_path / "x.safetensors", tensors)).modules.keys() == {MODULE}
    bad = tensors.pop(f"{NAME}.{factor}")
    if damage != "missing":
        tensors[f"{NAME}.{factor}"] = bad.int() if damage == "integers" else bad[:0]
    adapter = read(save(tmp_path / "y.safetensors", tensors))
    assert adapter.info.excluded == (MODULE,)
    reasons = {t.reason for t in adapter.tensors}
    said = {"missing": f"without its {factor.removesuffix('.weight')}", "integers": "not a float", "empty": "zero-size"}
    assert all(said[damage] in reason for reason in reasons)
