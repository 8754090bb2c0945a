"""mlx-lm's adapters: its layout, and files its own layers wrote with the ΔW its own `fuse` adds."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.formats import read_adapter
from inspector.adapters.locate import expand
from inspector.adapters.options import ReadOptions
from inspector.adapters.readers.npz import npz_weights
from inspector.adapters.sources import Local, name_places
from inspector.common.errors import InspectorError
from inspector.study.module_id import ModuleId
from tests.adapters.peft.models import assert_same, our_deltas
from tests.makers import random_factors

Q0 = ModuleId(0, "self_attn.q_proj")
LEGACY = {"rank": 8, "alpha": 16.0, "dropout": 0.0, "scale": 10.0}


def write(folder, *, r=4, parameters=None, config=True, name="adapters.safetensors", extra=None):
    """What mlx-lm's trainer leaves of random factors; the factors in PEFT's orientation."""
    folder.mkdir(parents=True, exist_ok=True)
    factors = random_factors(r=r, dtype=torch.float64)
    tensors = {f"{path}.lora_a": A.T.contiguous() for path, (_, A) in factors.items()}
    tensors |= {f"{path}.lora_b": B.T.contiguous() for path, (B, _) in factors.items()}
    save_file(tensors | (extra or {}), folder / name)
    if config:
        parameters = parameters if parameters is not None else {"rank": r, "dropout": 0.0, "scale": 20.0}
        fields = {"model": "mlx-community/tiny-4bit", "fine_tune_type": "lora", "num_layers": 3}
        (folder / "adapter_config.json").write_text(json.dumps(fields | {"lora_parameters": parameters}))
    return factors


def read(folder):
    (place,) = expand(Local(folder))
    return read_adapter(place.path, "a", str(folder))


def texts(adapter, severity):
    return [f.text for f in adapter.info.findings if f.severity == severity]


def test_the_scale_is_not_divided_by_the_rank(tmp_path):
    factors = write(tmp_path, parameters=LEGACY | {"rank": 4})
    adapter = read(tmp_path)
    assert_same(
        our_deltas(adapter), {ModuleId(int(p.split(".")[2]), p[15:]): 10 * B @ A for p, (B, A) in factors.items()}
    )
    assert adapter.info.scale == "10 (scale 10 as is)"
    assert adapter.info.base == "mlx-community/tiny-4bit"
    assert (adapter.info.format, adapter.info.rank, adapter.info.health) == ("mlx-lm LoRA", "4", "ok")
    assert adapter.modules[Q0].path == "model.layers.0.self_attn.q_proj"
    assert "alpha 16 too, which mlx-lm does not read" in texts(adapter, "info")[0]


def test_another_rank_than_the_config_says(tmp_path):
    write(tmp_path, parameters=LEGACY)
    adapter = read(tmp_path)
    assert adapter.info.rank == "4"
    assert "6 modules with another rank than the config says" in texts(adapter, "warning")[0]


@pytest.mark.parametrize("parameters", [{}, {"scale": "20"}, {"scale": None}, None])
def test_no_scale_is_unknown(tmp_path, parameters):
    write(tmp_path, parameters=parameters or {}, config=parameters is not None)
    adapter = read(tmp_path)
    assert {module.scale.value for module in adapter.modules.values()} == {None}
    assert "the scale of ΔW is unknown" in texts(adapter, "warning")[0]


def test_legacy_npz(tmp_path):
    factors = write(tmp_path, config=False)
    arrays = {f"{path}.lora_a": A.T.numpy() for path, (_, A) in factors.items()}
    arrays |= {f"{path}.lora_b": B.T.numpy() for path, (B, _) in factors.items()}
    (tmp_path / "adapters.safetensors").unlink()
    np.savez(tmp_path / "adapters.npz", **arrays)
    adapter = read(tmp_path)
    assert not adapter.info.scaled
    read_options = read_adapter(tmp_path / "adapters.npz", "a", "", ReadOptions(alpha=80))
    assert_same(
        our_deltas(read_options), {ModuleId(int(p.split(".")[2]), p[15:]): 20 * B @ A for p, (B, A) in factors.items()}
    )
    assert read_options.info.scale == "20 (α/r = 80/4, α as given)"
    assert {t.role for t in adapter.tensors} == {"used"}


def test_a_compressed_or_cut_npz_is_refused(tmp_path):
    zeros = {"layers.0.q.lora_a": np.zeros((1000, 8)), "layers.0.q.lora_b": np.zeros((8, 1000))}
    np.savez_compressed(tmp_path / "adapters.npz", **zeros)
    with pytest.raises(InspectorError, match="compressed"):
        read(tmp_path)
    np.savez(tmp_path / "adapters.npz", **{key: np.array([{}]) for key in zeros})
    with pytest.raises(InspectorError, match=r"not a valid|cut off"):
        read(tmp_path)


def test_a_pickle_in_an_npz_is_never_loaded(tmp_path):
    """Also one as long as the header's shape says."""
    pickled = pickle.dumps(print)
    pickled += bytes(-len(pickled) % 8)
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (len(pickled) // 8,)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", file.getvalue() + pickled)
    with pytest.raises(InspectorError, match="Object arrays cannot be loaded"):
        npz_weights(tmp_path / "x.npz").tensor("x")


def test_dora_is_its_direction_part(tmp_path):
    write(tmp_path, extra={"model.layers.0.self_attn.q_proj.m": torch.ones(24)})
    adapter = read(tmp_path)
    assert len(adapter.modules) == 6
    assert texts(adapter, "warning") == ["DoRA: ΔW needs the base (--base); only the direction part s·B·A is analysed"]
    assert {t.reason for t in adapter.tensors if t.role == "ignored"} == {
        "DoRA magnitudes: they need the base weights (--base)"
    }


def test_dora_with_a_base_that_does_not_fit_says_why_and_asks_for_no_other(tmp_path):
    write(tmp_path / "a", extra={"model.layers.0.self_attn.q_proj.m": torch.ones(24)})
    (tmp_path / "base").mkdir()
    save_file({"other.weight": torch.ones(2, 2)}, tmp_path / "base" / "model.safetensors")
    base = BaseWeights("tiny/base", lambda: tmp_path / "base")
    (said,) = texts(read_adapter(tmp_path / "a" / "adapters.safetensors", "a", "a", ReadOptions(base)), "warning")
    assert "DoRA: ΔW cannot be formed (the base tiny/base has no such module)" in said
    assert "--base" not in said


def test_checkpoints_in_one_folder_lie_beside_its_adapter(tmp_path):
    for name in ("adapters.safetensors", "0000100_adapters.safetensors"):
        write(tmp_path / "run", name=name)
    (alone,) = expand(Local(tmp_path))
    assert (name_places([alone]), alone.beside) == (["run"], ("0000100_adapters.safetensors",))
    places = expand(Local(tmp_path), ReadOptions(checkpoints=True))
    assert name_places(places) == ["0000100_adapters", "run"]
    assert [read_adapter(p.path, "a", "").info.modules for p in places] == [6, 6]
    (one,) = expand(Local(tmp_path / "run" / "adapters.safetensors"))
    assert name_places([one]) == ["run"]


def test_halves_and_misfits_are_left_out(tmp_path):
    write(
        tmp_path,
        extra={"model.layers.0.self_attn.k_proj.lora_a": torch.ones(16, 4), "x.lora_a": torch.ones(2, 3)}
        | {"x.lora_b": torch.ones(4, 2), "whatever": torch.ones(1)},
    )
    adapter = read(tmp_path)
    assert set(adapter.info.excluded) == {ModuleId(0, "self_attn.k_proj"), ModuleId(None, "x")}
    assert len(adapter.modules) == 6
    assert all(words in " ".join(texts(adapter, "error")) for words in ("without its lora_b", "does not multiply"))
    assert "whatever" in " ".join(texts(adapter, "warning"))


@pytest.mark.parametrize("container", ["safetensors", "npz"])
def test_what_mlx_lm_writes_and_fuses(tmp_path, container):
    mx = pytest.importorskip("mlx.core")
    lora = pytest.importorskip("mlx_lm.tuner.lora")
    nn = pytest.importorskip("mlx.nn")
    switch = pytest.importorskip("mlx_lm.models.switch_layers")
    mx.set_default_device(mx.cpu)
    mx.random.seed(0)
    linear, experts = nn.Linear(16, 24, bias=False), switch.SwitchLinear(16, 8, 3, bias=False)
    layers = {
        "model.layers.1.self_attn.q_proj": lora.LoRALinear.from_base(linear, r=4, scale=2.5),
        "model.layers.1.mlp.switch_mlp.up_proj": lora.LoRASwitchLinear.from_base(experts, r=2, scale=2.5),
    }
    tensors = {}
    for path, layer in layers.items():
        layer.lora_b = mx.random.normal(layer.lora_b.shape)
        tensors |= {f"{path}.lora_a": layer.lora_a, f"{path}.lora_b": layer.lora_b}
    if container == "npz":
        mx.savez(str(tmp_path / "adapters.npz"), **tensors)
    else:
        mx.save_safetensors(str(tmp_path / "adapters.safetensors"), tensors)
    config = {"lora_parameters": {"rank": 4, "scale": 2.5, "dropout": 0.0}}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    ours = our_deltas(read(tmp_path))
    fused = {path: torch.tensor(np.array(layer.fuse().weight)) for path, layer in layers.items()}
    before = {path: torch.tensor(np.array(layer.linear.weight)) for path, layer in layers.items()}
    theirs = {path: (fused[path] - before[path]).double() for path in layers}
    torch.testing.assert_close(
        ours[ModuleId(1, "self_attn.q_proj")], theirs["model.layers.1.self_attn.q_proj"], rtol=0, atol=2e-6
    )
    for e in range(3):
        mine = ours[ModuleId(1, f"mlp.experts.{e}.up_proj")]
        torch.testing.assert_close(mine, theirs["model.layers.1.mlp.switch_mlp.up_proj"][e], rtol=0, atol=2e-6)


def test_dora_with_the_base_is_what_mlx_lm_fuses(tmp_path):
    mx = pytest.importorskip("mlx.core")
    dora = pytest.importorskip("mlx_lm.tuner.dora")
    nn = pytest.importorskip("mlx.nn")
    mx.set_default_device(mx.cpu)
    mx.random.seed(1)
    path = "model.layers.0.self_attn.q_proj"
    linear = nn.Linear(16, 24, bias=False)
    layer = dora.DoRALinear.from_base(linear, r=4, scale=2.5)
    layer.lora_b, layer.m = mx.random.normal(layer.lora_b.shape), layer.m * 1.5
    mx.save_safetensors(
        str(tmp_path / "adapters.safetensors"),
        {f"{path}.lora_a": layer.lora_a, f"{path}.lora_b": layer.lora_b, f"{path}.m": layer.m},
    )
    config = {"lora_parameters": {"rank": 4, "scale": 2.5, "dropout": 0.0}, "fine_tune_type": "dora"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    base = tmp_path / "base"
    base.mkdir()
    before = torch.tensor(np.array(linear.weight))
    save_file({f"{path}.weight": before}, base / "model.safetensors")
    read_options = ReadOptions(base=BaseWeights("base", lambda: base))
    (place,) = expand(Local(tmp_path / "adapters.safetensors"))
    adapter = read_adapter(place.path, "a", "", read_options)
    fused = torch.tensor(np.array(layer.fuse().weight))
    torch.testing.assert_close(our_deltas(adapter)[Q0], (fused - before).double(), rtol=0, atol=5e-6)
    assert adapter.info.health == "ok"
    assert "base" in adapter.depends_on
