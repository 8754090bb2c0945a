"""The LoRAs of an adapter as PEFT keeps them: on modules, or on parameters, where the experts of a mixture are one.

PEFT 0.21 with transformers 5 has the experts of a layer in parameters (E, rows, columns), and fuses files that have
them apart, if there is each projection of each expert and all at one rank and one α. Whatever else in a mixture ends
in the same names it takes for experts: a shared expert can only be named as a parameter.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from inspector.adapters.updates.factors import wide
from inspector.common.errors import InspectorError
from inspector.common.text import plain

if TYPE_CHECKING:
    from torch import Tensor

    from inspector.adapters.peft.factors import Factors

_Key = TypeVar("_Key")

_EXPERT = re.compile(r"((?:.+\.)?experts)\.(\d{1,6})\.([^.]+)", re.DOTALL)
_OF_A_MIXTURE = re.compile(r"(?:^|[._])experts?(?=\.)")
_TRIPLES = (("gate_proj", "up_proj", "down_proj"), ("w1", "w3", "w2"))
_ROUTERS = frozenset({"gate", "router"})
_TAKEN = frozenset({*_TRIPLES[0], *_TRIPLES[1]})
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


class Layout(NamedTuple):
    """All entries, and what PEFT fuses of those that are of single experts."""

    entries: list[Entry]
    fused: Mapping[str, int]
    """The parameters they become, `gate_up_proj` of 2 projections; none where PEFT cannot fuse them."""
    zeros: tuple[str, ...]
    """Experts' projections that were added for it."""


def layout(modules: Mapping[str, Factors], *, on_parameters: bool = True) -> Layout:
    """The entries of modules by path.

    Without `on_parameters`, what is on a module stays there: PEFT takes neither DoRA nor biases beside LoRAs on
    parameters. Raises InspectorError where a scale or a shape makes no LoRA, or where one needs to be on a parameter.
    """
    holders: dict[str, dict[str, dict[int, list[Factors]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    stacked = {f.parameter.name.rpartition(".")[0] for f in modules.values() if f.parameter}
    if stacked and not on_parameters:
        what = "PEFT has no DoRA, biases or invocation tokens beside a LoRA on a parameter, as experts are"
        raise InspectorError(f"{what}: {plain(min(stacked), 80)} cannot be written with them.")
    mixture = on_parameters and any(_OF_A_MIXTURE.search(path) for path in modules)
    apart: dict[str, Factors] = {}
    routers: dict[str, Factors] = {}
    entries: list[Entry] = []
    for path, factors in modules.items():
        holder, e, name = _expert(path, factors)
        if factors.parameter or holder in stacked:
            holders[holder][name][e].append(factors)
        elif e >= 0:
            apart[path] = factors
        elif mixture and name in _ROUTERS:
            routers[path] = factors
        else:
            parameter = mixture and name in _TAKEN
            entries.append(_entry(path, f"{path}.weight" if parameter else path, factors, on_parameter=parameter))
    whole, fused = _completed(apart) if on_parameters else (apart, {})
    for path, factors in _even(whole).items():
        entries.append(_entry(path, path, factors))
    for path, factors in _even(routers).items():  # where they are has other names in memory and in files
        entries.append(_entry(path, f"{path.rpartition('.')[2]}.weight", factors, on_parameter=True))
    entries += (entry for holder, names in holders.items() for entry in _nested(holder, names))
    return Layout(entries, fused, tuple(path for path in whole if path not in apart))


def _expert(path: str, factors: Factors) -> tuple[str, int, str]:
    """The module of a parameter, or of experts, the number of the expert, -1 if it is none, and the projection."""
    if factors.parameter:
        holder, _, name = factors.parameter.name.rpartition(".")
        number = path.removeprefix(f"{holder}.").partition(".")[0]
        return holder, int(number) if number.isdecimal() else -1, name
    found = _EXPERT.fullmatch(path)
    return (found[1], int(found[2]), found[3]) if found else ("", -1, path.rpartition(".")[2])


def is_expert(path: str) -> bool:
    """Whether a module is of a single expert."""
    return _EXPERT.fullmatch(path) is not None


def _entry(place: str, name: str, factors: Factors, *, on_parameter: bool = False) -> Entry:
    exact, alpha = _exact(place, factors)
    return Entry(place, name, exact, alpha, exact.A.shape[0], on_parameter)


def _completed(apart: Mapping[str, Factors]) -> tuple[dict[str, Factors], dict[str, int]]:
    """Single experts with zeros for the projections that PEFT wants beside them, and what it fuses; or as they are.

    It fuses gates with up projections only, and places them by the down projections around them.
    """
    found: dict[str, dict[int, dict[str, Factors]]] = defaultdict(lambda: defaultdict(dict))
    for path, factors in apart.items():
        holder, e, name = _expert(path, factors)
        found[holder][e][name] = factors
    names = {name for experts in found.values() for own in experts.values() for name in own}
    triple = next((triple for triple in _TRIPLES if names and names <= {*triple}), None)
    numbers = {tuple(sorted(experts)) for experts in found.values()}
    if triple is None or len(numbers) > 1 or {*numbers} != {tuple(range(max(map(len, numbers))))}:
        return dict(apart), {}
    gate, up, down = triple
    if names == {down}:
        return dict(apart), {"down_proj": 1}
    whole = dict(apart)
    for holder, experts in found.items():
        for e, own in experts.items():
            like = own.get(gate) or own.get(up) or _transpose(own[down])
            for name, zeros in ((gate, like), (up, like), (down, _transpose(like))):
                whole.setdefault(f"{holder}.{e}.{name}", zeros._replace(B=zeros.B * 0, A=zeros.A * 0))
    return whole, {"gate_up_proj": 2, "down_proj": 1}


def _transpose(factors: Factors) -> Factors:
    return factors._replace(B=factors.A.T, A=factors.B.T)


def _nested(holder: str, names: Mapping[str, Mapping[int, Sequence[Factors]]]) -> Iterator[Entry]:
    """The parameters of one module: PEFT wraps them one in the other, in the order that classes declare them."""
    order = sorted(names, key=lambda name: ("down" in name, name))
    count = 1 + max(e for found in names.values() for e in found)
    for depth, name in enumerate(reversed(order)):
        whole = _even({e: _joined(parts) for e, parts in names[name].items()})
        exact = {e: _exact(f"{holder}.{name}", factors) for e, factors in whole.items()}
        like, alpha = next(iter(exact.values()))
        experts = range(count) if -1 not in exact else (-1,)
        factors = _stack([exact[e][0] if e in exact else None for e in experts], like)
        place = f"{holder}{'.base_layer' * depth}"
        yield Entry(place, f"{holder}.{name}", factors, alpha, like.A.shape[0], on_parameter=True)


def _joined(parts: Sequence[Factors]) -> Factors:
    """The update of a matrix from those of its rows: A one above the other, each B in rows and columns of its own."""
    import torch

    first = parts[0]
    if first.parameter is None or first.parameter.rows is None:
        return first
    even = list(_even(dict(enumerate(parts))).values())
    r = even[0].A.shape[0]
    dtype = reduce(torch.promote_types, (f.B.dtype for f in even))
    B = torch.zeros(first.parameter.height, r * len(even), dtype=dtype)
    for n, f in enumerate(even):
        if f.parameter and f.parameter.rows:
            B[slice(*f.parameter.rows), n * r : (n + 1) * r] = f.B
    return even[0]._replace(B=B, A=torch.cat([f.A for f in even]))


def _stack(experts: Sequence[Factors | None], like: Factors) -> Factors:
    """A (E·r, d_in) with the experts one after the other and B (d_out, r·E) with them fastest; zeros for none."""
    import torch

    B = [torch.zeros_like(like.B) if f is None else f.B for f in experts]
    A = [torch.zeros_like(like.A) if f is None else f.A for f in experts]
    if like.parameter and like.parameter.turned:
        B, A = [a.T for a in A], [b.T for b in B]
    return like._replace(B=torch.stack(B, 2).flatten(1), A=torch.cat(A))


def _even(modules: Mapping[_Key, Factors]) -> dict[_Key, Factors]:
    """The same updates at one rank, with zeros, and one scale, which B takes where there are several."""
    r = max((f.A.shape[0] for f in modules.values()), default=0)
    scales = Counter(f.scale for f in modules.values() if f.scale)
    one = scales.most_common(1)[0][0] if scales else 1.0
    made = (
        (key, f if f.scale == one else f._replace(B=wide(f.B) * (f.scale / one), scale=one))
        for key, f in modules.items()
    )
    return {key: _padded(f, r) for key, f in made}


def _exact(path: str, factors: Factors) -> tuple[Factors, float]:
    """The factors with an α for which α/r is the scale to the last bit.

    Where α = s·r rounds away from it, zeros pad the rank to a power of two: then s·r is exact.
    """
    B, A, scale = factors[:3]
    r = A.shape[0]
    if B.shape[1] != r:
        raise InspectorError(f"{plain(path)}: B has {B.shape[1]} columns and A {r} rows, which is not a product B·A.")
    if not math.isfinite(scale):
        raise InspectorError(f"{plain(path)}: the scale is {scale}, which is not a number to write.")
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
