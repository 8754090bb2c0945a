"""PEFT's tensors in one file under any name, without a config; and files too damaged to tell what they are."""

import pytest
import torch
from safetensors.torch import save_file

from inspector.adapters.formats import read_adapter
from inspector.adapters.locate import expand
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.sources import Local, name_places
from inspector.common.errors import InspectorError
from tests.adapters.peft.models import assert_same, our_deltas
from tests.makers import lora_tensors, random_factors
from tests.shown import shown


def read(path, read_options=DEFAULTS):
    (place,) = expand(Local(path))
    return read_adapter(place.path, "a", str(path), read_options)


def test_without_a_config_alpha_is_unknown_unless_given(tmp_path):
    factors = random_factors(r=4, dtype=torch.float64)
    save_file(lora_tensors(factors), tmp_path / "my_lora.safetensors")
    adapter = read(tmp_path)
    assert {module.scale.value for module in adapter.modules.values()} == {None}
    (warning,) = [f.text for f in adapter.info.findings if f.severity == "warning"]
    assert "the scale of ΔW is unknown" in warning
    read_options = read(tmp_path, ReadOptions(alpha=8))
    assert_same(our_deltas(read_options), {shown(path): 2 * B @ A for path, (B, A) in factors.items()})
    assert read_options.info.scale == "2 (α/r = 8/4, α as given)"
    assert name_places(expand(Local(tmp_path))) == ["my_lora"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"\xff" * 64, "not a valid safetensors file"),
    ],
)
def test_a_damaged_file_is_told(tmp_path, content, message):
    (tmp_path / "style.safetensors").write_bytes(content)
    with pytest.raises(InspectorError, match=message):
        read(tmp_path)
    with pytest.raises(InspectorError, match=message):
        read(tmp_path / "style.safetensors")


def test_a_file_of_no_adapter_is_no_adapter(tmp_path):
    save_file({"weight": torch.ones(2, 2)}, tmp_path / "x.safetensors")
    with pytest.raises(InspectorError, match="No adapter in"):
        read(tmp_path)
