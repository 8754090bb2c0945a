"""What PEFT itself makes of a base: merged minus base, and our reader's ΔW with the base given."""

import torch

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.formats import read_adapter
from inspector.adapters.options import ReadOptions
from tests.adapters.peft.models import trained
from tests.shown import shown

FULL = 1000


def stored(model, folder):
    """The model's folder as a base."""
    model.save_pretrained(folder)
    return BaseWeights("tiny/base", lambda: folder)


def read(folder, base=None, rank=FULL):
    return read_adapter(folder, folder.name, str(folder), ReadOptions(base, rank=rank))


def weights(model):
    return {shown(name.removesuffix(".weight")): p.detach().clone() for name, p in model.named_parameters()}


def merged_minus(before, model):
    """Module -> merged − base as stored, of the matrices that changed."""
    after = weights(model.merge_and_unload())
    deltas = {id_: after[id_] - W for id_, W in before.items() if W.dim() > 1}
    return {id_: delta for id_, delta in deltas.items() if float(delta.norm()) > 0}


def compare(ours, other, transposed=(), rtol=1e-9, atol=1e-11):
    assert ours.keys() == other.keys()
    assert ours
    for id_, delta in ours.items():
        want = other[id_].T if id_.projection in transposed else other[id_]
        torch.testing.assert_close(delta, want.double().flatten(1), rtol=rtol, atol=atol)


def texts(adapter, severity):
    return [f.text for f in adapter.info.findings if f.severity == severity]


def trained_dora(model, config):
    """As if trained: the magnitudes moved too."""
    wrapped = trained(model, config)
    generator = torch.Generator().manual_seed(5)
    for name, parameter in wrapped.named_parameters():
        if "magnitude" in name:
            parameter.data = 0.5 + torch.rand(parameter.shape, generator=generator, dtype=torch.float64)
    return wrapped
