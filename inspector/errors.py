"""The errors a user can meet. Their text is one or two sentences: what, where, what to do."""

from __future__ import annotations


class InspectorError(Exception):
    """Something about the input: shown as its text alone, exit code 2."""


class CancelledError(InspectorError):
    """The user stopped the work: exit code 130."""
