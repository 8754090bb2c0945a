"""What PEFT saves as absolute values, as an update against the base: modules_to_save, embeddings, trainable tokens."""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING

from inspector.adapters.files.headers import FLOATS, TensorHeader
from inspector.adapters.model import LoraModule, Scale
from inspector.adapters.peft.base import Base
from inspector.adapters.peft.modules import PeftFile
from inspector.adapters.peft.tensors import TOKEN_VALUES, TOKENS
from inspector.adapters.tensors.account import NOT_FLOAT, Verdict
from inspector.adapters.tensors.assemble import Part
from inspector.adapters.updates.factors import Pair, whole, wide
from inspector.adapters.updates.low_rank import Dense
from inspector.study.module_id import canonical, strip_wrappers

if TYPE_CHECKING:
    from torch import Tensor

_SCALE = Scale(1.0, "W − W₀")
# `score.modules_to_save.default.weight`, `embed_tokens.token_adapter.trainable_tokens_delta`
_PLACES = re.compile(rf"(\.modules_to_save\.[^.]+)?\.weight$|(\.token_adapter)?\.{TOKENS}(\.[^.]+)?$")
_NO_MATRIX = Verdict("ignored", "absolute values of no matrix: not compared")
COPY = Verdict("ignored", "the base's own weights, saved beside the update of their module")


def make(header: TensorHeader, verdict: Verdict, file: PeftFile) -> Part | Verdict:
    """The update W − W₀ of a tensor with absolute values, or why there is none."""
    if file.base is None:
        return verdict
    path = place(header.key)
    faults = (
        ("base_layer" in header.key.split("."), COPY),
        (len(header.shape) < 2 or header.numel == 0 or path == strip_wrappers(header.key), _NO_MATRIX),
        (header.dtype not in FLOATS, NOT_FLOAT),
    )
    if wrong := next((why for fault, why in faults if fault), None):
        return wrong
    if verdict is TOKEN_VALUES:
        return _tokens(path, header, file, file.base)
    return _matrix(path, header, file, file.base)


def place(key: str) -> str:
    """The module whose values they are."""
    return strip_wrappers(_PLACES.sub("", key))


def _matrix(path: str, header: TensorHeader, file: PeftFile, base: Base) -> Part | Verdict:
    """A whole matrix: the best part of its difference of the rank that is kept."""
    rows, columns = header.shape[0], prod(header.shape[1:])
    shape = (columns, rows) if base.stored_in_out(path) else (rows, columns)
    if why := base.fault(path, *shape):
        return Verdict("ignored", f"absolute values: {why}", "warning")

    def delta() -> Tensor:
        W0 = base.matrix(path, *shape)
        W = wide(file.weights.tensor(header.key)).flatten(1)
        return (W.T if base.stored_in_out(path) else W).to(W0.dtype) - W0

    rank = min(file.rank, *shape)
    module = LoraModule(canonical(path), *shape, rank, _SCALE, header.dtype, path, header.shape[2:])
    update = Dense(delta, file.rank)
    return Part(module, update, header.numel, update.left_out)


def _tokens(path: str, header: TensorHeader, file: PeftFile, base: Base) -> Part | Verdict:
    """The rows of some tokens, exact: of rank one a token, of full rank for very many."""
    vocabulary = base.weights.shape(base.parameter(path)) or ()
    named = [indices for name, indices in file.config.tokens.items() if f".{path}".endswith(f".{name}") or not name]
    indices = named[0] if named else ()
    n = header.shape[0]
    if len(indices) != n or len(set(indices)) != n:
        return Verdict("ignored", "trainable tokens: the config does not name the tokens", "warning")
    if len(vocabulary) != 2 or vocabulary[1] != header.shape[1] or not all(0 <= i < vocabulary[0] for i in indices):
        return Verdict("ignored", "trainable tokens: the base has no rows of this width for all of them", "warning")
    into = base.stored_in_out(path)
    rank = min(n, *vocabulary)

    def load() -> Pair:
        values = file.weights.tensor(header.key).double()
        rows = values - base.weights.tensor(base.parameter(path))[list(indices)].double()
        places, changes = _placed(rows, indices, vocabulary[0])
        return (changes.T.contiguous(), places.T.contiguous()) if into else (places, changes)

    d_out, d_in = (vocabulary[1], vocabulary[0]) if into else (vocabulary[0], vocabulary[1])
    module = LoraModule(canonical(path), d_out, d_in, rank, _SCALE, header.dtype, path)
    return Part(module, load, header.numel)


def _placed(rows: Tensor, indices: tuple[int, ...], vocabulary: int) -> Pair:
    """P (vocabulary, k), R (k, dim) with PR the rows at their places and zeros elsewhere."""
    import torch

    n, width = rows.shape
    if n >= min(width, vocabulary):
        return whole(rows.new_zeros(vocabulary, width).index_copy(0, torch.tensor(indices), rows))
    places = rows.new_zeros(vocabulary, n)
    places[list(indices), range(n)] = 1
    return places, rows
