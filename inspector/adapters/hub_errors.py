"""What huggingface_hub raises, in a sentence: what, where, what to do."""

from __future__ import annotations

from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)

from inspector.adapters.sources import Remote
from inspector.errors import InspectorError
from inspector.text import plain

_LOGIN = "log in with `hf auth login` or set HF_TOKEN"
_STATUS = {
    401: f"answers that a valid token is needed: {_LOGIN}",
    403: f"forbids it to this token: ask for access on its page, then {_LOGIN}",
    404: "has no such file any more: try again",
    429: "is asked too often from here: wait some minutes, or " + _LOGIN,
}


def unreachable(error: BaseException) -> bool:
    """Whether the Hub could not answer, so that the cache may."""
    error = _root(error)
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code >= 500 or error.response.status_code == 429
    # The library hides which httpx it uses; its TransportError is no OSError.
    transport = any(base.__name__ == "TransportError" for base in type(error).__mro__)
    return transport or isinstance(error, ConnectionError | TimeoutError)


def explain(error: BaseException, remote: Remote) -> InspectorError:
    """The error a user can act on."""
    error = _root(error)
    repo = f"{remote.repo} on the Hub"
    revision = plain(remote.revision or "main", 60)
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
    # The first case that holds: GatedRepoError is a RepositoryNotFoundError, and both are HfHubHTTPErrors.
    cases = (
        (isinstance(error, GatedRepoError), f"{repo} is gated: accept its terms on its page, then {_LOGIN}."),
        (
            isinstance(error, RevisionNotFoundError),
            f"{repo} has no revision {revision!r}: check branch, tag or commit.",
        ),
        (
            isinstance(error, RepositoryNotFoundError),
            f"There is no {repo}, nor such a path here; if it is private, {_LOGIN}.",
        ),
        (
            isinstance(error, HFValidationError),
            f"{plain(remote.repo)!r} is no path here and no valid Hub id (org/repo).",
        ),
        (status > 0, f"{repo}: the Hub {_STATUS.get(status, f'answers {status}: try again later')}."),
        (
            isinstance(error, OfflineModeIsEnabled),
            f"{remote.repo} is not in the cache, and HF_HUB_OFFLINE forbids asking the Hub for it.",
        ),
        ("Consistency check failed" in str(error), f"A file of {repo} came with the wrong length: try again."),
        (
            unreachable(error),
            f"Cannot reach {constants.ENDPOINT} for {remote.repo}, and it is not in the cache: check the connection.",
        ),
    )
    otherwise = f"Cannot download {repo}: {type(error).__name__}: {plain(error)}."
    return InspectorError(next((text for holds, text in cases if holds), otherwise))


def _root(error: BaseException) -> BaseException:
    """What lies behind `not in the cache either`."""
    while isinstance(error, RevisionResolutionError | LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    return error
