"""Every number the product shows, defined once: what help, tables and reports quote."""

from __future__ import annotations

from inspector.definitions.definition import Definition
from inspector.definitions.geometry import GEOMETRY, INTERFERENCE
from inspector.definitions.merging import MERGING
from inspector.definitions.probes import PROBES

DEFINITIONS: dict[str, Definition] = {definition.metric: definition for definition in (*GEOMETRY, *MERGING, *PROBES)}

__all__ = ["DEFINITIONS", "INTERFERENCE", "Definition"]
