"""The LoRAs of an adapter as PEFT keeps them: on modules, or on parameters, where the experts of a mixture are one.

PEFT 0.21 with transformers 5 has the experts of a layer in parameters (E, rows, columns), and reads files that have
them apart: `gate_proj` and `up_proj` of all experts at one rank and one α, or `w1` and `w3`. Whatever else ends in
those names it takes for experts too, so that a shared expert of its own can only be named as a parameter.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from inspector.adapters.factors import wide
from inspector.errors import InspectorError
from inspector.text import plain

if TYPE_CHECKING:
    from torch import Tensor

    from inspector.adapters.peft.writer import Factors

_EXPERT = re.compile(r"(.+)\.(\d{1,6})\.([^.]+)", re.DOTALL)
_OF_A_MIXTURE = re.compile(r"(?:^|[._])experts?(?=\.)")
_TAKEN = frozenset({"gate", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"})
"""What PEFT moves from `target_modules` to the parameters of experts [transformers_weight_conversion]."""


class Entry(NamedTuple):
    """One LoRA: where its tensors are, what the config calls it, and α with α/r the scale to the last bit."""

    place: str
    name: str
    factors: Factors
    alpha: float
    rank: int
    """Of one expert, where there are several."""
    on_parameter: bool = False


def entries(modules: Mapping[str, Factors]) -> list[Entry]:
    """The entries of modules by path. Raises InspectorError where a scale or a shape makes no LoRA."""
    holders: dict[str, dict[str, dict[int, Factors]]] = defaultdict(lambda: defaultdict(dict))
    stacked = {name.rpartition(".")[0] for f in modules.values() if f.parameter for name in [f.parameter.name]}
    mixture = any(_OF_A_MIXTURE.search(path) for path in modules)
    apart: dict[str, Factors] = {}
    rest: list[Entry] = []
    for path, factors in modules.items():
        expert = _EXPERT.fullmatch(path)
        if expert and expert[1] in stacked:
            holders[expert[1]][expert[3]][int(expert[2])] = factors
        elif expert and _OF_A_MIXTURE.search(path):
            apart[path] = factors
        elif factors.parameter:
            holders[factors.parameter.name.rpartition(".")[0]][factors.parameter.name.rpartition(".")[2]][-1] = factors
        else:
            exact, alpha = _exact(path, factors)
            weight = mixture and path.rpartition(".")[2] in _TAKEN
            rest.append(Entry(path, f"{path}.weight" if weight else path, exact, alpha, exact.A.shape[0], weight))
    return [*rest, *_apart(apart), *(entry for holder, names in holders.items() for entry in _nested(holder, names))]


def _apart(experts: Mapping[str, Factors]) -> Iterator[Entry]:
    """Experts as modules: at one rank and α, which is all that PEFT takes to fuse them."""
    for path, factors in zip(experts, _even(list(experts.values())), strict=True):
        exact, alpha = _exact(path, factors)
        yield Entry(path, path, exact, alpha, exact.A.shape[0])


def _nested(holder: str, names: Mapping[str, Mapping[int, Factors]]) -> Iterator[Entry]:
    """The parameters of one module: PEFT wraps them one in the other, in the order that classes declare them."""
    order = sorted(names, key=lambda name: ("down" in name, name))
    count = 1 + max(e for found in names.values() for e in found)
    for depth, name in enumerate(reversed(order)):
        found = names[name]
        experts = range(count) if -1 not in found else (-1,)
        exact = [_exact(f"{holder}.{name}", factors) for factors in _even(list(found.values()))]
        alpha, rank = exact[0][1], exact[0][0].A.shape[0]
        by_expert = dict(zip(found, (factors for factors, _ in exact), strict=True))
        whole = _stack([by_expert.get(e) for e in experts], exact[0][0])
        yield Entry(f"{holder}{'.base_layer' * depth}", f"{holder}.{name}", whole, alpha, rank, on_parameter=True)


def _stack(experts: Sequence[Factors | None], like: Factors) -> Factors:
    """A (E·r, d_in) with the experts one after the other and B (d_out, r·E) with them fastest; zeros for none."""
    import torch

    B = [torch.zeros_like(like.B) if f is None else f.B for f in experts]
    A = [torch.zeros_like(like.A) if f is None else f.A for f in experts]
    if like.parameter and like.parameter.turned:
        B, A = [a.T for a in A], [b.T for b in B]
    return like._replace(B=torch.stack(B, 2).flatten(1), A=torch.cat(A))


def _even(modules: Sequence[Factors]) -> list[Factors]:
    """The same updates at one rank, with zeros, and one scale, which B takes where there are several."""
    r = max((f.A.shape[0] for f in modules), default=0)
    one = Counter(f.scale for f in modules).most_common(1)[0][0] if modules else 1.0
    one = one or 1.0
    made = (f if f.scale == one else f._replace(B=wide(f.B) * (f.scale / one), scale=one) for f in modules)
    return [_padded(f, r) for f in made]


def _exact(path: str, factors: Factors) -> tuple[Factors, float]:
    """The factors with an α for which α/r is the scale to the last bit.

    Where α = s·r rounds away from it, zeros pad the rank to a power of two: then s·r is exact.
    """
    B, A, scale = factors[:3]
    r = A.shape[0]
    if B.shape[1] != r:
        raise InspectorError(f"{plain(path)}: B has {B.shape[1]} columns and A {r} rows, which is no product B·A.")
    if not math.isfinite(scale):
        raise InspectorError(f"{plain(path)}: the scale is {scale}, which is no number to write.")
    near = scale * r
    for alpha in (near, math.nextafter(near, math.inf), math.nextafter(near, -math.inf)):
        if r and alpha / r == scale:
            return factors, alpha
    rank = 1 << max(r - 1, 0).bit_length()
    return _padded(factors, rank), scale * rank


def _padded(factors: Factors, rank: int) -> Factors:
    return factors._replace(B=_widened(factors.B, 1, rank), A=_widened(factors.A, 0, rank))


def _widened(tensor: Tensor, axis: int, size: int) -> Tensor:
    """With zeros to this size along an axis."""
    if tensor.shape[axis] == size:
        return tensor
    shape = list(tensor.shape)
    shape[axis] = size
    out = tensor.new_zeros(shape)
    out.narrow(axis, 0, tensor.shape[axis]).copy_(tensor)
    return out
