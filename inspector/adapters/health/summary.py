"""The account of an adapter in words: the same in `inspector check` and on the app's Adapters screen."""

from __future__ import annotations

from inspector.adapters.health.rules import base_note
from inspector.common.text import count
from inspector.study.adapter_info import AdapterInfo


def account(info: AdapterInfo) -> tuple[tuple[str, str], ...]:
    """(label, text): base, format, what became of the tensors, where the scale comes from, targets."""
    note = base_note(info.base)
    size = count(info.modules, "module") if info.modules else "no usable module"
    if info.parameters:
        size += f" · {info.parameters:,} parameters{'' if info.modules else ' in the file'}"
    return (
        ("base", " · ".join(filter(None, (info.base, note)))),
        ("format", f"{info.format} · {info.dtype or 'dtype unknown'} · {size}"),
        ("tensors", tensor_classes(info)),
        ("rank", f"{info.rank}{f' · α {info.alpha}' if info.alpha else ''}"),
        *(("scale" if not n else "", origin) for n, origin in enumerate(info.scales or (info.scale or "-",))),
        ("targets", ", ".join(info.targets) or "-"),
    )


def tensor_classes(info: AdapterInfo) -> str:
    """`242: 240 used, 1 ignored, 1 not understood`, or `240, all used`."""
    used = info.tensors - info.ignored - info.unknown
    if used == info.tensors:
        return f"{used}, all used"
    left = ((info.ignored, "ignored"), (info.unknown, "not understood"))
    return f"{info.tensors}: {', '.join([f'{used} used', *(f'{n} {word}' for n, word in left if n)])}"
