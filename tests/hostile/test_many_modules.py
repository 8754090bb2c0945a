"""10^5 modules, real ones: opened in memory that follows the file. How long that takes is a bench's."""

import pytest

from inspector.adapters.opening import open_sources
from tests.bench.many_modules import cost, mixture

pytestmark = pytest.mark.slow
WITHOUT = 100e6
"""Bytes of the process itself."""


def test_a_hundred_thousand_modules_are_opened(tmp_path):
    modules = mixture(100_000, tmp_path / "moe")
    assert modules == 99_936
    size = (tmp_path / "moe" / "adapter_model.safetensors").stat().st_size
    _, peak = cost("ls", tmp_path / "moe")
    assert 1e6 * peak < WITHOUT + 10 * size


def test_each_of_very_many_is_accounted_for(tmp_path):
    modules = mixture(20_000, tmp_path / "moe")
    (adapter,), failures = open_sources([str(tmp_path / "moe")])
    assert not failures
    assert len(adapter.modules) == modules
    assert {tensor.role for tensor in adapter.tensors} == {"used"}
    assert len(adapter.tensors) == 2 * modules
