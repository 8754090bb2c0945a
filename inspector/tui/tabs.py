"""The tabs of the app; each holds the views that name it, in the order of the list of views."""

from __future__ import annotations

TABS = {
    "1": "Overview",
    "2": "Map",
    "3": "Layers",
    "4": "Pair",
    "5": "Merge",
    "6": "Behaviour",
    "7": "Runs",
    "8": "Claims",
}
"""Their names by the digit that leads there."""
