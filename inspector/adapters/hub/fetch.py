"""Adapters on the Hugging Face Hub: found, chosen, downloaded into its cache, as local folders and files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from inspector.adapters.files.beside import NAMELESS
from inspector.adapters.files.config_file import CONFIG
from inspector.adapters.files.listing import Folder
from inspector.adapters.files.placeholders import OF_WEIGHTS
from inspector.adapters.formats import places
from inspector.adapters.hub.asking import asked
from inspector.adapters.hub.choice import FULL, Choice, choices
from inspector.adapters.hub.download import Downloads
from inspector.adapters.hub.errors import explain, hopeless, unreachable
from inspector.adapters.hub.listing import COMMIT, Listing, cached_listing, listing, snapshot
from inspector.adapters.hub.peek import LARGE, is_adapter
from inspector.adapters.hub.progress import Progress
from inspector.adapters.locate import fixed
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.sources import Place, Remote
from inspector.common.errors import CancelledError, InspectorError
from inspector.common.text import plain


@dataclass(frozen=True, slots=True)
class Offer:
    """The adapters of a repo at one commit, as far as its listing tells."""

    remote: Remote
    listing: Listing
    choices: tuple[Choice, ...]

    def size(self, choice: Choice) -> int:
        """Bytes of all its files."""
        return sum(self.listing.files[file].size or 0 for file in choice.files)

    def cached(self, choice: Choice) -> bool:
        """Whether nothing of it must be downloaded."""
        return all(map(Downloads(self.remote, self.listing).has, choice.files))

    @property
    def label(self) -> str:
        """`org/repo@1a2b3c4`, for a title."""
        return f"{self.remote.repo}@{self.listing.commit[:7]}"

    def source(self, choice: Choice | None = None) -> str:
        """`org/repo@commit:path`: what is opened, pinned."""
        path = choice.path if choice else self.remote.subfolder
        return f"{self.remote.repo}@{self.listing.commit}{':' + path if path else ''}"

    def refusal(self, choice: Choice) -> str:
        """Why it is not downloaded, as a sentence; empty where it is."""
        return f"{_inside(self.remote, choice.path)} {choice.refused}." if choice.refused else ""

    @property
    def left_out(self) -> list[Place]:
        """A place that stands for the files whose names leave the repo's folder, if there are any."""
        account = self.listing.account
        lost = any(name.endswith((CONFIG, *OF_WEIGHTS)) for name in self.listing.left_out)
        fault = f"{self.remote.repo} {account}."
        place = Place(Path(), self.remote.repo, ("left out",), fault=fault, skipped=not lost)
        return [place] if account else []

    def place(self, choice: Choice, *, alone: bool) -> Place:
        """Where it is once it is downloaded; under the user's own name, with its path below that unless `alone`."""
        remote, path = self.remote, PurePosixPath(choice.path)
        below = path.relative_to(fixed(remote.subfolder)).parts if not alone else ()
        name = "/".join((remote.name, *below)) if remote.name else ""
        parts = path.with_suffix("").parts if choice.file else path.parts
        if choice.file and path.stem in NAMELESS:
            parts = path.parent.parts
        root = snapshot(remote, self.listing.commit)
        components = (*remote.repo.split("/"), *parts)
        return Place(
            root / path, self.source(choice), components, name, beside=choice.beside, listed=self._rest(choice)
        )

    def _rest(self, choice: Choice) -> tuple[str, ...]:
        """The files in the folder of a choice that belong to none."""
        taken = {file for other in self.choices for file in other.files}
        paths = (PurePosixPath(file) for file in self.listing.files if file not in taken)
        return tuple(path.name for path in paths if path.parent == PurePosixPath(choice.folder))


Choose = Callable[[Offer], Sequence[Choice]]


def everything(offer: Offer) -> Sequence[Choice]:
    """All adapters of an offer."""
    return offer.choices


def survey(
    remote: Remote, *, read_options: ReadOptions = DEFAULTS, cancelled: Callable[[], bool] = lambda: False
) -> Offer:
    """What a repo (or its subfolder) offers, without downloading weights; from the cache where the Hub is away.

    Raises InspectorError with what to do, and CancelledError.
    """
    if (kept := _pinned(remote, read_options)) is not None:
        return kept
    try:
        return _offer(remote, listing(remote, cancelled), read_options, cancelled)
    except InspectorError:
        raise
    except Exception as error:
        if unreachable(error) and (kept := _kept(remote, read_options)) is not None:
            return kept
        raise explain(error, remote) from error


def fetch(
    remote: Remote,
    *,
    read_options: ReadOptions = DEFAULTS,
    choose: Choose = everything,
    progress: Callable[[Progress], None],
    cancelled: Callable[[], bool],
) -> list[Place]:
    """Download the chosen adapters of a repo, only their own files; one that cannot be had is a Place with its fault.

    Raises InspectorError with what to do where none can be had, and CancelledError.
    """
    offer = survey(remote, read_options=read_options, cancelled=cancelled)
    chosen = choose(offer)
    wanted = [choice for choice in chosen if not choice.refused]
    downloads = Downloads(remote, offer.listing, progress, cancelled)
    downloads.announce([file for choice in wanted for file in choice.files])
    found: list[Place] = []
    last = lost = ""
    for choice in chosen:
        place = offer.place(choice, alone=len(chosen) == 1)
        if choice.refused:
            place = replace(place, fault=offer.refusal(choice))
        elif lost and not offer.cached(choice):
            place = replace(place, fault=lost)
        else:
            try:
                for file in choice.files:
                    downloads.get(file)
            except CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever the library raises is this adapter's fault, in words
                place = replace(place, fault=str(explain(error, remote)))
                again = unreachable(error) and place.fault == last
                for file in choice.files:
                    downloads.count(file)
                last, lost = place.fault, place.fault if again or hopeless(error) else ""
        found.append(place)
    return [*_recognised(found), *offer.left_out]


def _pinned(remote: Remote, read_options: ReadOptions) -> Offer | None:
    """One adapter at a full commit, by its folder or its weights, all of it in the cache: nothing to ask."""
    kept = _kept(remote, read_options) if COMMIT.fullmatch(remote.revision) else None
    if kept is None or not remote.subfolder or len(kept.choices) != 1:
        return None
    one = kept.choices[0]
    if remote.subfolder not in {one.path, *one.files}:
        return None
    return kept if one.format != FULL and not any("-of-" in file for file in one.files) else None


def _kept(remote: Remote, read_options: ReadOptions) -> Offer | None:
    """What the cache offers of a repo, or None."""
    found = cached_listing(remote)
    try:
        return (
            None if found is None else Offer(remote, found, tuple(choices(found.files, remote.subfolder, read_options)))
        )
    except InspectorError:
        return None


def _offer(remote: Remote, found: Listing, read_options: ReadOptions, cancelled: Callable[[], bool]) -> Offer:
    """The choices of a listing, without large files that only look like adapters by their names."""
    try:
        chosen = choices(found.files, remote.subfolder, read_options)
    except InspectorError as error:
        where = _inside(remote, remote.subfolder)
        also = f" It {found.account}." if found.left_out else ""
        raise InspectorError(f"{where} {error} (at {found.commit[:7]}).{also}") from error
    offer = Offer(remote, found, tuple(chosen))
    kept = tuple(choice for choice in chosen if not _doubtful(offer, choice) or _is_one(offer, choice, cancelled))
    if not kept:
        raise InspectorError(f"{remote.repo} holds weights but no adapter: no tensor of theirs is a LoRA's.")
    return replace(offer, choices=kept)


def _doubtful(offer: Offer, choice: Choice) -> bool:
    """Whether it is a large single file of a kind whose head tells what it is."""
    if not choice.file.endswith((".safetensors", ".gguf")) or offer.cached(choice):
        return False
    size = offer.listing.files[choice.files[-1]].size
    return size is None or size > LARGE


def _is_one(offer: Offer, choice: Choice, cancelled: Callable[[], bool]) -> bool:
    look = partial(is_adapter, offer.remote, offer.listing.commit, choice.files[-1])
    return asked(look, cancelled)


def _recognised(found: list[Place]) -> list[Place]:
    """The places that a reader knows by their content, all where it knows none: reading them tells the error.

    Raises InspectorError where no place could be had at all.
    """
    faults = {place.fault for place in found}
    if len(faults) == 1 and "" not in faults:
        raise InspectorError(faults.pop())
    known: dict[Path, Place] = {}
    for place in found:
        path = place.path if place.fault or place.path.is_dir() else _as_read(place.path)
        if path is not None:
            known.setdefault(path, replace(place, path=path))
    return list(known.values()) or found


def _as_read(file: Path) -> Path | None:
    """The file where a reader takes it for an adapter, its folder where a reader takes that, or None."""
    here = [path for path, _ in places(Folder(file.parent))]
    return file if file in here else file.parent if file.parent in here else None


def _inside(remote: Remote, path: str) -> str:
    return f"{remote.repo}:{plain(path)}" if path else remote.repo
