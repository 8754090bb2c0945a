"""What huggingface_hub raises, in a sentence: what, where, what to do."""

from __future__ import annotations

import errno
import re

from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from inspector.adapters.hub import network
from inspector.adapters.sources import Remote
from inspector.common.errors import InspectorError
from inspector.common.nearby import in_a_folder, nearby
from inspector.common.text import plain

_LOGIN = "log in with `hf auth login` or set HF_TOKEN"
_STATUS = {
    401: f"answers that a valid token is needed: {_LOGIN}",
    403: f"forbids it to this token: ask for access on its page, then {_LOGIN}",
    404: "has no such file any more: try again",
}


def unreachable(error: BaseException) -> bool:
    """Whether the Hub could not answer, so that the cache may."""
    error = _root(error)
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code >= 500 or error.response.status_code in {407, 429}
    return _transport(error) or isinstance(error, ConnectionError | TimeoutError) or bool(network.broken())


def hopeless(error: BaseException) -> bool:
    """Whether the next file would meet the same: the line is dead, or the disk full or closed to us."""
    error = _root(error)
    if isinstance(error, HfHubHTTPError):
        return False
    full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES}
    return full or unreachable(error)


def explain(error: BaseException, remote: Remote) -> InspectorError:
    """The error a user can act on."""
    error = _root(error)
    if isinstance(error, InspectorError):
        return error
    repo = f"{remote.repo} on the Hub"
    endpoint = plain(constants.ENDPOINT)
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
    fault, way = network.fault(error), endpoint + network.through()
    # The first case that holds: GatedRepoError is a RepositoryNotFoundError, and both are HfHubHTTPErrors.
    cases = (
        (isinstance(error, GatedRepoError), f"{repo} is gated: accept its terms on its page, then {_LOGIN}."),
        (isinstance(error, RevisionNotFoundError), f"{repo} has no revision {_revision(remote)}."),
        (
            isinstance(error, RepositoryNotFoundError),
            f"There is no {repo}, nor such a path here; if it is private, {_LOGIN}.",
        ),
        (
            isinstance(error, HFValidationError),
            f"{plain(remote.repo)!r} is neither a path here nor a valid Hub id (org/repo).",
        ),
        (bool(fault), f"Cannot reach {endpoint} for {remote.repo}, and it is not in the cache: {fault}"),
        (status == 429, f"{repo}: the Hub is asked too often from here: wait some minutes{_or_login()}."),
        (status > 0, f"{repo}: the Hub {_STATUS.get(status, f'answers {status}: try again later')}."),
        (
            isinstance(error, OfflineModeIsEnabled),
            f"{remote.repo} is not in the cache, and HF_HUB_OFFLINE forbids asking the Hub for it.",
        ),
        (
            isinstance(error, FileMetadataError),
            f"{endpoint} does not answer for {remote.repo} as a Hub does (no commit or ETag): check HF_ENDPOINT.",
        ),
        ("Consistency check failed" in str(error), f"A file of {repo} came with the wrong length: try again."),
        (_named(error, "TooManyRedirects"), f"{endpoint} redirects in circles for {remote.repo}: try again later."),
        (was_cut(error), f"The connection to {way} was cut again and again before {remote.repo} was here: try again."),
        (
            type(error) is TimeoutError,
            f"{way} stopped answering for {remote.repo} ({error}), and it is not in the cache: {network.advice()}.",
        ),
        (unreachable(error), f"Cannot reach {way} for {remote.repo}, and it is not in the cache: {network.advice()}."),
        (
            "CAS Client" in str(error),
            f"hf_xet cannot fetch {repo}: {plain(error)}. Set HF_HUB_DISABLE_XET=1 to have it over plain HTTP.",
        ),
        (
            isinstance(error, OSError) and error.errno is not None,
            f"Cannot keep {remote.repo} in the cache {plain(constants.HF_HUB_CACHE)}: {_words(error)}.",
        ),
    )
    otherwise = f"Cannot download {repo}: {type(error).__name__}: {plain(error)}."
    return InspectorError(_not_here(error, remote) + next((text for holds, text in cases if holds), otherwise))


def _not_here(error: BaseException, remote: Remote) -> str:
    """What to know first of an id that may be a mistyped path: what is here instead; nothing if the Hub knows it."""
    may_be_path = not (remote.revision or remote.subfolder) and not isinstance(error, GatedRepoError)
    unknown = isinstance(error, (RepositoryNotFoundError, HFValidationError, OfflineModeIsEnabled))
    if not may_be_path or not (unknown or unreachable(error)):
        return ""
    near = nearby(remote.repo)
    return f"No file or folder {remote.repo!r} here{near}. As a Hub id: " if near or in_a_folder(remote.repo) else ""


def was_cut(error: BaseException) -> bool:
    """Whether the connection was closed before the answer was complete, by the other side or with its client here."""
    closed_here = isinstance(error, RuntimeError) and "client has been closed" in str(error)
    return _named(error, "RemoteProtocolError", "ReadError") or closed_here


def _or_login() -> str:
    """The Hub lets those who are logged in ask more often."""
    return "" if get_token() else f", or {_LOGIN}"


def _revision(remote: Remote) -> str:
    shown = repr(plain(remote.revision or "main", 60))
    if re.fullmatch(r"[0-9a-f]{4,39}", remote.revision):
        return f"{shown}: the Hub takes a commit only with all of its 40 digits"
    return f"{shown}: check branch, tag or commit"


def _words(error: BaseException) -> str:
    return plain(getattr(error, "strerror", "") or error)


def _transport(error: BaseException) -> bool:
    """The library hides which httpx it uses; its TransportError is not an OSError."""
    return _named(error, "TransportError")


def _named(error: BaseException, *names: str) -> bool:
    return any(base.__name__ in names for base in type(error).__mro__)


def _root(error: BaseException) -> BaseException:
    """What lies behind `not in the cache either`."""
    while isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    return error
