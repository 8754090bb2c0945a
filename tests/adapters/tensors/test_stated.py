"""Where the scale is read from, and that it is unknown where nothing says it."""

import json

import pytest
from safetensors.torch import save_file

from inspector.adapters.formats import read_adapter
from inspector.adapters.locate import expand
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.sources import Local
from tests.adapters.peft.models import assert_same, our_deltas
from tests.makers import lora_tensors, random_factors, write_adapter
from tests.shown import shown

FACTORS = random_factors({"layers.0.attention.wq": (24, 16), "layers.1.attention.wq": (24, 16)}, r=4)


def read(path, read_options=DEFAULTS):
    (found,) = expand(Local(path))
    return read_adapter(found.path, "a", str(path), read_options)


def peft_names(folder, metadata=None, name="lora.safetensors", prefix=""):
    folder.mkdir(exist_ok=True)
    save_file(lora_tensors(FACTORS, prefix), folder / name, metadata=metadata)
    return folder


def scales(adapter):
    return {module.scale.value for module in adapter.modules.values()}


@pytest.mark.parametrize(
    ("file", "content", "scale"),
    [
        ("params.json", {"dim": 16, "lora": {"enable": True, "rank": 4, "scaling": 2.5}}, 2.5),
        ("adapter_config.json", {"lora_parameters": {"rank": 4, "scale": 10.0}}, 10.0),
        ("adapter_config.json", {"peft_type": "LORA", "r": 4, "lora_alpha": 6}, 1.5),
        ("adapter_config.json", {"peft_type": "LORA", "r": 4}, 2.0),  # PEFT's own default, α = 8
        ("params.json", {"dim": 16, "lora": {"enable": False}}, None),
        ("params.json", {"dim": 16}, None),
        ("adapter_config.json", {"r": 4}, None),
        ("adapter_config.json", {"rank": 4, "alpha": 16.0}, None),  # s = α is mlx-vlm's, whose factors are in×r
    ],
)
def test_a_file_beside_says_it(tmp_path, file, content, scale):
    folder = peft_names(tmp_path)
    (folder / file).write_text(json.dumps(content))
    assert scales(read(folder / "lora.safetensors")) == {scale}


@pytest.mark.parametrize(
    ("metadata", "scale"),
    [
        ({"ss_network_alpha": "2.0", "ss_network_dim": "4"}, 0.5),
        ({"ss_network_alpha": "2.0", "ss_network_dim": "8"}, None),  # of modules of another rank
        ({"ss_network_alpha": "Dynamic", "ss_network_dim": "4"}, None),
        ({"lora_adapter_metadata": json.dumps({"r": 4, "lora_alpha": 6})}, 1.5),
        ({"lora_adapter_metadata": "{"}, None),
        ({"format": "pt"}, None),
    ],
)
def test_the_header_says_it(tmp_path, metadata, scale):
    assert scales(read(peft_names(tmp_path, metadata))) == {scale}


def test_the_config_of_another_adapter_says_nothing(tmp_path):
    write_adapter(tmp_path, FACTORS, alpha=16)
    peft_names(tmp_path, name="other.safetensors")
    assert scales(read_adapter(tmp_path, "a", "")) == {4.0}
    assert scales(read(tmp_path / "other.safetensors")) == {None}


@pytest.mark.parametrize("prefix", ["diffusion_model.", "transformer.", "unet."])
def test_below_a_component_of_a_pipeline_loaders_take_alpha_for_the_rank(tmp_path, prefix):
    assert scales(read(peft_names(tmp_path, prefix=prefix))) == {1.0}


def test_peft_weights_of_a_pipeline_without_a_config_are_its_loaders(tmp_path):
    assert scales(read(peft_names(tmp_path, name="adapter_model.safetensors", prefix="diffusion_model."))) == {1.0}


def test_mlx_vlm(tmp_path):
    tensors = {f"{p}.{side}": f.T.contiguous() for p, (B, A) in FACTORS.items() for side, f in (("A", A), ("B", B))}
    save_file(tensors, tmp_path / "adapters.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"rank": 4, "alpha": 0.1, "dropout": 0.0}))
    assert_same(our_deltas(read(tmp_path)), {shown(p): 0.1 * B.double() @ A.double() for p, (B, A) in FACTORS.items()})
    (tmp_path / "adapter_config.json").unlink()
    assert scales(read(tmp_path)) == {None}


def test_the_users_alpha_is_of_those_that_say_none_alone(tmp_path):
    assert scales(read(peft_names(tmp_path / "a"), ReadOptions(alpha=6))) == {1.5}
    assert scales(read(write_adapter(tmp_path / "b", FACTORS, alpha=16), ReadOptions(alpha=6))) == {4.0}
    assert ReadOptions(alpha=6).words == ("--alpha", "6")
