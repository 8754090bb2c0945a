"""What an adapter's config says was trained and its file does not have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import starmap

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.model import Adapter
from inspector.common.text import count, some
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import ModuleId, in_order, module_ids, split

_MOST_DIGITS, _MOST_PLACES = 6, 200_000
"""Of a layer's number, and modules of a stack as its layers and names allow: beyond them no end is looked for."""


def absent(adapter: Adapter, base: BaseWeights) -> tuple[ModuleId, ...]:
    """Modules of the base's layers that the config names and the file has in other layers only.

    A path that is in no layer of the file may be one that the model's class fuses or leaves out.
    """
    paths = {id_.path for id_ in adapter.modules}
    found = set()
    headers = base.weights.headers.items()
    sizes = {key.removesuffix(".weight"): header.numel for key, header in headers if key.endswith(".weight")}
    for path, id_ in module_ids(sizes).items():
        in_model = id_.layer is not None and (base.depth is None or id_.layer < base.depth)
        if in_model and id_.path in paths and id_ not in adapter.modules and adapter.lacks(path):
            found.add(id_)
    return in_order(found)


def gaps(adapter: Adapter) -> Iterator[HealthIssue]:
    """Modules that are in some layers: without the base, nobody knows which others it has.

    A warning for a file that ends early, otherwise information about the projections.
    """
    if unwritten := _unwritten(adapter):
        text = f"{count(len(unwritten), 'module')} that other layers have would come after the last key of the file"
        cut = "it was cut short or saved in part, or this model has none there: --base tells"
        yield HealthIssue("warning", f"{text} ({some(unwritten)}), and the config leaves none out: {cut}")
        return
    places: dict[str, dict[int, str]] = defaultdict(dict)
    for id_, module in adapter.modules.items():
        if id_.layer is not None:
            places[id_.projection][id_.layer] = module.path
    depth = 1 + max((layer for layers in places.values() for layer in layers), default=-1)
    alike: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for projection, layers in places.items():
        layer, path = next(iter(layers.items()))
        missing = (n for n in range(depth) if n not in layers)
        if gone := tuple(n for n in missing if adapter.lacks(path.replace(f".{layer}.", f".{n}.", 1))):
            alike[gone].append(projection)
    for gone, projections in alike.items():
        which = f"{', '.join(map(str, gone[:3]))}{', …' if len(gone) > 3 else ''}"
        text = f"not in {len(gone)} of {depth} layers ({which}), though the config leaves none out"
        yield HealthIssue("info", f"{', '.join(projections)} {text}: --base tells whether the base has them there")


def _unwritten(adapter: Adapter) -> list[str]:
    """The paths that a cut file would have had: those a stack lacks, where all sort behind those it has.

    Files have their keys in order of text (`layers.10` before `layers.2`) or of layers. Modules that a model has in
    some layers only are missing in the midst of others.
    """
    stacks: dict[tuple[tuple[str, ...], str], set[tuple[int, str]]] = defaultdict(set)
    for module in adapter.modules.values():
        head, tail = split(module.path)
        name, number, below = (*tail.split(".", 2), "", "")[:3]
        if number.isdecimal() and len(number) <= _MOST_DIGITS and below:
            stacks[head, name].add((int(number), below))
    found = []
    for (head, name), there in stacks.items():
        path = ".".join((*head, name, "{}.{}")).format
        layers, ends = {layer for layer, _ in there}, {below for _, below in there}
        deep = max(layers) + 1
        if len(layers) < 2 or deep * len(ends) > _MOST_PLACES:
            continue
        every = {(layer, below) for layer in range(deep) for below in ends}
        missing = [at for at in sorted(every - there) if adapter.lacks(path(*at))]
        orders = "{}.{}.".format, "{:09}.{}.".format
        if missing and any(max(starmap(order, there)) < min(starmap(order, missing)) for order in orders):
            found += [path(*at) for at in missing]
    return found
