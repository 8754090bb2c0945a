"""Finished adapters to the Hugging Face Hub: asked before training whether it may, uploaded after each run.

An adapter goes into the sub-folder of its run's name, also when it is alone: `inspector org/repo` opens them all,
`org/repo:NAME` one of them, and a further run never overwrites another. What is there already makes no new commit.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from inspector.common.console import say
from inspector.common.errors import InspectorError
from inspector.common.hub_library import quiet_hub
from inspector.common.hub_token import AGENT, guard
from inspector.common.text import plain
from trainer.saving import outcome

FILES = ("adapter_model.safetensors", "adapter_config.json", "README.md", outcome.FILE, outcome.RECIPE, outcome.LOG)
"""Of a run's folder; patterns are matched against whole paths, so that none of a checkpoint's files is meant."""
_LOGIN = "log in with `hf auth login` or set HF_TOKEN"


@dataclass(frozen=True, slots=True)
class Target:
    """The repo that adapters go to."""

    repo: str
    private: bool = False

    def __post_init__(self) -> None:
        try:
            validate_repo_id(self.repo)
        except HFValidationError as error:
            raise self._nameless() from error
        if "/" not in self.repo:
            raise self._nameless()

    @quiet_hub()
    def check(self) -> None:
        """Find out before hours of training whether an upload can work; the repo is made where there is none.

        Raises InspectorError with what to do.
        """
        try:
            api = self._api()
            api.whoami()
            api.create_repo(self.repo, private=self.private or None, exist_ok=True)
            with suppress(TypeError):  # huggingface-hub 1.0 cannot ask that; create_repo refused what it could
                api.auth_check(self.repo, write=True)
        except Exception as error:
            raise InspectorError(f"Cannot push to {self.repo}: {_reason(error, self.repo)}") from error

    @quiet_hub()
    def push(self, folder: Path) -> str:
        """Upload a finished run; the name by which the inspector opens it. Raises InspectorError with what to do."""
        try:
            self._api().upload_folder(
                repo_id=self.repo, folder_path=folder, path_in_repo=folder.name, allow_patterns=list(FILES),
                commit_message=f"Adapter {folder.name}",
            )  # fmt: skip
        except Exception as error:
            raise InspectorError(
                f"{plain(folder)} was not pushed to {self.repo}: {_reason(error, self.repo)} "
                "The adapter is complete there; the same command tries the upload alone again."
            ) from error
        return f"{self.repo}:{folder.name}"

    def _api(self) -> HfApi:
        guard()
        return HfApi(library_name=AGENT)

    def _nameless(self) -> InspectorError:
        return InspectorError(f"--push {plain(self.repo, 80)!r} is no repo: write org/repo, or your user name/repo.")


class Uploads:
    """The uploads of a command; what fails is raised at the end, so that the runs to come are still trained."""

    def __init__(self, repo: str, *, private: bool = False) -> None:
        if private and not repo:
            raise InspectorError("--private is for the repo that --push names: add --push org/repo, or leave it out.")
        self._target = Target(repo, private) if repo else None
        self._failed: list[InspectorError] = []

    def check(self) -> None:
        """Before the first run. Raises InspectorError."""
        if self._target:
            self._target.check()

    def push(self, folder: Path) -> None:
        """After a run, or for one that was done before."""
        if not self._target:
            return
        try:
            say(f"{folder.name}: pushed. `inspector {self._target.push(folder)}` opens it.")
        except InspectorError as error:
            self._failed.append(error)
            say(f"{folder.name}: not pushed, the reason comes at the end.")

    def close(self) -> None:
        """Raises InspectorError where an upload failed."""
        if self._failed:
            more = f" (So it went with {len(self._failed)} of the adapters.)" if len(self._failed) > 1 else ""
            raise InspectorError(f"{self._failed[-1]}{more}")


def _reason(error: BaseException, repo: str) -> str:
    """What happened and what to do, as a sentence."""
    while isinstance(error, RuntimeError) and error.__cause__ is not None:  # "Error while uploading …"
        error = error.__cause__
    if isinstance(error, InspectorError):
        return str(error)
    if isinstance(error, LocalTokenNotFoundError):
        return f"there is no token: {_LOGIN}."
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE forbids asking the Hub: unset it, or leave out --push."
    if isinstance(error, HfHubHTTPError):
        return _answered(error.response.status_code, error, repo.partition("/")[0])
    # The library hides which httpx it uses; its TransportError is no OSError.
    transport = any(base.__name__ == "TransportError" for base in type(error).__mro__)
    if transport or isinstance(error, ConnectionError | TimeoutError):
        return f"{plain(constants.ENDPOINT, 80)} cannot be reached: check the connection, or HF_ENDPOINT."
    return f"{type(error).__name__}: {plain(error, 160)}."


def _answered(status: int, error: HfHubHTTPError, owner: str) -> str:
    said = f" ({plain(error.server_message, 120)})" if error.server_message else ""
    advice = {
        401: f"the Hub does not take the token: {_LOGIN}.",
        403: f"the token may not write there{said}: use one with write access to {owner}.",
        404: f"the Hub knows no such place{said}: check the name, and that the token has write access to {owner}.",
        413: f"the Hub finds a file too large{said}.",
        429: "the Hub is asked too often from here: wait some minutes.",
    }
    later = "try again later." if status >= 500 else "see whether its page says more."
    return advice.get(status, f"the Hub answers {status}{said}: {later}")
