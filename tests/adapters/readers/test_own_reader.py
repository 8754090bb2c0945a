"""What a format of its own takes: a module like `own_reader`, and one entry in the list of readers."""

import torch
from safetensors.torch import save_file

from inspector.adapters import formats
from inspector.adapters.hub.choice import choices
from inspector.adapters.opening import open_sources
from inspector.adapters.options import DEFAULTS
from tests.adapters.readers import own_reader


def test_a_reader_and_its_entry_are_all_that_a_format_takes(tmp_path, monkeypatch):
    """Found in a folder, read exactly, and told by its name in a listing of the Hub."""
    U, V = torch.randn(6, 2), torch.randn(2, 4)
    save_file(
        {"model.layers.0.mlp.up_proj.U": U, "model.layers.0.mlp.up_proj.V": V}, tmp_path / "own.lowrank.safetensors"
    )
    adapters, (failure,) = open_sources([str(tmp_path)])
    assert not adapters
    assert "without the factors of a LoRA" in str(failure)

    monkeypatch.setattr(formats, "READERS", (own_reader, *formats.READERS))
    (adapter,), failures = open_sources([str(tmp_path)])
    assert not failures
    assert adapter.info.format == "low-rank pairs"
    (module,) = adapter.modules
    assert (module.layer, module.path) == (0, "mlp.up_proj")
    B, A = adapter.load(module)
    assert torch.equal(B @ A, U @ V)
    assert adapter.modules[module].scale.value == 1.0
    (choice,) = choices(["own.lowrank.safetensors"], "", DEFAULTS)
    assert choice.format == "low-rank pairs"
