"""Running probes on a base model: requests, what they cost, and their results in a study."""

from __future__ import annotations

from inspector.probing.prober import Prober
from inspector.probing.request import PROBES, Estimate, Request, default_prompts

__all__ = ["PROBES", "Estimate", "Prober", "Request", "default_prompts"]
