"""The errors a user can meet. Their text is one or two sentences: what, where, what to do."""

from __future__ import annotations


class InspectorError(Exception):
    """Something about the input: shown as its text alone, exit code 2."""


class NotAnAdapterError(InspectorError):
    """A plain file that is not an adapter, such as the README a shell pattern swept up: skipped, and said so."""


class CancelledError(InspectorError):
    """The user stopped the work: exit code 130."""
