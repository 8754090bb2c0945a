"""Studies with numbers as given, and claim sets written as text."""

from pathlib import Path

import numpy as np

from inspector.claims.model import ClaimSet
from inspector.claims.reading import read
from inspector.claims.verdicts import Outcome, evaluate
from inspector.study.adapter_info import AdapterInfo
from inspector.study.metrics import DEFINITIONS
from inspector.study.module_id import ModuleId
from inspector.study.study import ProbeInfo, Settings, Study

HEAD = """
title: Toy
address: toy
adapters: {a: org/repo:adapters/one, b: org/repo:adapters/two, c: org/repo:adapters/three, lost:}
claims:
"""


class Numbers:
    """A study being filled: what is not set is n/a."""

    def __init__(self, names=("a", "b", "c"), layers=4, k=10, alphas=(), prompts=""):
        self.names, self.k, self.alphas = tuple(names), k, tuple(alphas)
        self.modules = tuple(ModuleId(layer, f"self_attn.{p}") for layer in range(layers) for p in ("q_proj", "v_proj"))
        self.layers, self.blocks, self.prompts = layers, {}, prompts

    def put(self, metric, value, *of, scope="global"):
        """One number everywhere at a scope, or an array over its places (and k, or α)."""
        definition = DEFINITIONS[metric]
        places = {"global": 1, "layer": self.layers, "module": len(self.modules)}[scope]
        lead = {"adapter": 1, "none": 0}.get(definition.subject, 2) * (len(self.names),)
        tail = {"k": (self.k,), "alpha": (len(self.alphas),), "": ()}[definition.index]
        block = self.blocks.setdefault((metric, scope), np.full((*lead, places, *tail), np.nan))
        at = tuple(self.names.index(name) for name in of)
        block[at] = np.broadcast_to(np.asarray(value, dtype=float), block[at].shape)
        if definition.subject == "pair":
            block[at[::-1]] = block[at]
        return self

    def study(self, base="org/base"):
        infos = tuple(AdapterInfo(name, f"/data/{name}", "peft", base=base) for name in self.names)
        shapes = np.full((len(self.names), len(self.modules), 2), 8, dtype=np.int64)
        probes = sorted({DEFINITIONS[metric].probe for metric, _ in self.blocks} - {""})
        found = tuple(ProbeInfo(probe, base, prompts=self.prompts) for probe in probes)
        return Study(infos, self.modules, shapes, Settings(k=self.k), self.blocks, found, self.alphas)


def claims(tmp_path: Path, text: str, head: str = HEAD) -> ClaimSet:
    file = tmp_path / "toy.yaml"
    file.write_text(head + text, encoding="utf-8")
    return read(file)


def claim(fields: str, claim_id: str = "one") -> str:
    """One claim from `metric: cosine; pairs: [[a, b]]; …`."""
    lines = [f"id: {claim_id}", "statement: so it is", *fields.split("; ")]
    return "\n".join(("  - " if not n else "    ") + line for n, line in enumerate(lines)) + "\n"


def check(tmp_path: Path, study: Study, fields: str) -> Outcome:
    """The verdict on one claim."""
    return evaluate(claims(tmp_path, claim(fields)), [study])[0]
