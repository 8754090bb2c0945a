"""Frobenius inner products of weight updates, from the Gram blocks alone."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from inspector.geometry.directions import Crossings
from inspector.geometry.factorise import Factorised
from inspector.geometry.gram import Grams, own_grams, products_in_panels
from inspector.geometry.stack import Stack

_AT_ONCE = 2**22
"""Numbers of the factors of pairs that are gathered at once."""


def inner_products(f: Factorised, g: Grams, c: Crossings) -> Tensor:
    """⟨ΔW_i,ΔW_j⟩_F, (M, N, N), float64.

    From the factors: s_i s_j Σ (G_B[i,j] ∘ G_A[i,j]). At modules where a basis is a QR factor, the σ and coordinates
    take part instead: Σ_ab σ_a σ'_b (UᵀU')_ab (VᵀV')_ab.
    """
    out = (g.B * g.A).sum((-2, -1)) * f.stack.scale[:, :, None] * f.stack.scale[:, None, :]
    if not f.by_qr:
        return out
    products = f.sigma[:, :, None, :, None] * f.sigma[:, None, :, None, :] * c.left * c.right
    return torch.where(f.orthonormal.any(-1)[:, None, None], products.sum((-2, -1)), out)


def inner_products_alone(f: Factorised) -> Tensor:
    """The same without Gram matrices in memory; of each with itself alone, so that equal updates have equal digits."""
    stack = well_conditioned(f)
    out, own = products_in_panels(stack), own_grams(stack)
    out.diagonal(dim1=1, dim2=2).copy_((own.B * own.A).sum((-2, -1)) * stack.scale.square())
    return out


def well_conditioned(f: Factorised) -> Stack:
    """The stack of factors whose products are exact: where a basis is a QR factor, UΣ and Vᵀ, with s = 1."""
    if not f.by_qr:
        return f.stack
    at, i = f.orthonormal.nonzero().mT
    stack = replace(f.stack, scale=f.stack.scale.clone())
    outputs, inputs = stack.outputs(), stack.inputs()
    outputs[at, i] = outputs[at, i] @ (f.X[at, i] * f.sigma[at, i][:, None, :])
    inputs[at, i] = inputs[at, i] @ f.Y[at, i]
    stack.scale[at, i] = 1.0
    return stack


def inner_products_of(stack: Stack, i: Tensor, j: Tensor) -> Tensor:
    """⟨ΔW_i,ΔW_j⟩_F of these pairs at the one module of a stack, (P,)."""
    outputs, inputs, scale = stack.outputs()[0], stack.inputs()[0], stack.scale[0]
    found = []
    few = max(1, _AT_ONCE // (outputs[0].numel() + inputs[0].numel()))
    for one, other in zip(torch.split(i, few), torch.split(j, few), strict=True):
        G = (outputs[one].mT @ outputs[other]) * (inputs[one].mT @ inputs[other])
        found.append(G.sum((-2, -1)) * scale[one] * scale[other])
    return torch.cat(found) if found else stack.scale.new_zeros(0)
