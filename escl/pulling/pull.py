"""`escl models pull`: from a name to a manifest on the user's shelf that pins every file.

Owns the order of things: what is meant, is it there already, a ready GGUF file or a checkpoint, and what is written and
cleaned up at the end. The manifest is written last: a model that has one is whole.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from escl.convert.add_template import TEMPLATE_KEY, add_template, has_added
from escl.convert.chat_templates import chosen_template
from escl.convert.disk import check_room
from escl.convert.quantize import quantization
from escl.core.bundled import bundled
from escl.errors import DownloadError, EsclError, GGUFError, ManifestError, StorageError, UsageError
from escl.memory.devices import Budget
from escl.pulling.checkpoint import Brought, Job, OnNote, OnProgress, Tally, make
from escl.pulling.record import of_converted, of_ready
from escl.pulling.selection import NO_QUANT, gguf_file, has_gguf, licence_files, quant_of
from escl.shelf import hub
from escl.shelf.gguf_header import read_gguf_header
from escl.shelf.manifest import Manifest, ModelRole, is_whole, load_manifest, manifests, place_of, user_shelf
from escl.shelf.model_check import check_model
from escl.shelf.places import discard_downloads, discard_unused, downloads, has_weights, holding, kept_listing, snapshot
from escl.shelf.reference import HubReference, hub_reference, is_commit, quantization_in, reference_of
from escl.shelf.repository import Listing, RemoteFile, check_pinned, verified
from escl.shelf.source import ModelFile, Source
from escl.shelf.written import write_manifest


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """A model on the shelf.

    Attributes:
        name: What `escl run` takes.
        already: It was there before; nothing was done.
        size_bytes: Of all its files.
        checkpoint: Folders of what it was made from that are still there.
        notes: What the user should know, a sentence each.
    """

    name: str
    manifest: str
    path: str
    size_bytes: int
    quantization: str | None
    already: bool
    checkpoint: list[str]
    notes: list[str]


def pull(
    reference: str,
    *,
    quantize: str | None = None,
    chat_template: str | None = None,
    keep_checkpoint: bool = False,
    budget: Callable[[], Budget],
    on_progress: OnProgress = lambda _done, _total, _what: None,
    on_note: OnNote = lambda _text: None,
) -> Pulled:
    """Bring the model that `reference` names to the user's shelf and return it.

    Args:
        reference: A name on the shelf whose manifest has a source, or `hf.co/owner/repo[:QUANT][@revision]`.
        quantize: Quantization of a checkpoint by name; None takes the largest that suits the machine.
        chat_template: Name of a chat format, or a file, in place of the manifest's; a ready GGUF file that has its own
            template keeps it.
        keep_checkpoint: Keep what was downloaded; else it is removed when the model is made and checked.
        budget: What models may take here; asked only when a quantization must be chosen.
        on_progress: Called now and then.
        on_note: Called with what is worth knowing as soon as it is known; the result has it too.

    Raises:
        DownloadError: Something cannot be had, or is not what was promised.
        ConvertError: The checkpoint cannot be carried over.
        StorageError: There is no room.
        UsageError: It names nothing that can be pulled, or what is there is something else.
    """
    chosen = None if quantize is None else quantize.upper()
    if chosen is not None:
        quantization(chosen)
    hub_name = hub_reference(reference)
    for name in [reference] if hub_name is None else _names_of(hub_name, chosen):
        there = _on_shelf(name, chosen, None if hub_name is None else hub_name.revision)
        if there is not None:
            return there
    notes: list[str] = []

    def note(text: str) -> None:
        if text not in notes:
            notes.append(text)
            on_note(text)

    if chat_template is not None:
        chosen_template(chat_template)
    errand = _Errand(chosen, keep_checkpoint=keep_checkpoint, budget=budget, on_progress=on_progress, on_note=note)
    if hub_name is not None:
        pulled = errand.from_repository(hub_name, chat_template)
    else:
        manifest = _shipped(reference)
        template = chat_template or manifest.chat_template
        pulled = errand.from_manifest(reference, msgspec.structs.replace(manifest, chat_template=template))
    return msgspec.structs.replace(pulled, notes=notes)


def _shipped(name: str) -> Manifest:
    path = bundled("gguf") / f"{name}.toml"
    known = manifests()
    if name not in known:
        can = ", ".join(sorted(reference_of(one) for one, at in known.items() if _has_source(at)))
        raise ManifestError(f"no model is named {name}", hint=f"hf.co/owner/repo names any; by name there are {can}")
    manifest = load_manifest(path if path.is_file() else known[name])
    if manifest.source is None:
        raise UsageError(f"{name} has no source to pull it from", hint=manifest.making)
    return manifest


def _has_source(path: Path) -> bool:
    try:
        return load_manifest(path).source is not None
    except ManifestError:
        return False


def _names_of(wanted: HubReference, quantize: str | None) -> list[str]:
    """Return the names under which a repository's model may be on the shelf already."""
    quant = wanted.quant or quantize
    if quant is not None:
        return [f"{wanted.folder}/{quant}"]
    return [f"{wanted.folder}/{path.stem}" for path in sorted((user_shelf() / wanted.folder).glob("*.toml"))]


def _on_shelf(name: str, quantize: str | None, revision: str | None) -> Pulled | None:
    """Return the pulled model of that name if it is there as wanted; None if it is not there."""
    path = user_shelf() / f"{name}.toml"
    if not path.is_file():
        return None
    manifest = load_manifest(path)
    if manifest.made is None:
        return None
    named = reference_of(name)
    again = f"`escl models rm {named}`, then pull it again"
    missing = [file.path for file in manifest.files() if not is_whole(file, path.parent)]
    if missing:
        raise ManifestError(
            f"{path} is there, but {missing[0]} is missing or has another size",
            hint=again,
        )
    other = quantize is not None and manifest.made.quantization != quantize
    source = manifest.source
    if other or (is_commit(revision) and source is not None and source.revision != revision):
        has = f"{manifest.made.quantization} of revision {source.revision if source else 'unknown'}"
        raise UsageError(f"{named} is on the shelf as {has}", hint=again)
    sources = [one for one in (manifest.source, manifest.adapter_source) if one is not None]
    left = [str(downloads(one.repo)) for one in sources if has_weights(one.repo)]
    return _pulled(path, manifest, already=True, checkpoint=left)


def _pulled(path: Path, manifest: Manifest, *, already: bool = False, checkpoint: Sequence[str] = ()) -> Pulled:
    return Pulled(
        name=reference_of(path.relative_to(user_shelf()).with_suffix("").as_posix()),
        manifest=str(path),
        path=str(path.parent / manifest.file.path),
        size_bytes=sum(file.size_bytes or 0 for file in manifest.files()),
        quantization=manifest.made.quantization if manifest.made else None,
        already=already,
        checkpoint=list(checkpoint),
        notes=[],
    )


@contextlib.contextmanager
def _held(*repos: str) -> Iterator[None]:
    """Keep other processes from the downloads of repositories, and keep nothing of a refused one that is of no use."""
    with holding(dict.fromkeys(repos)):
        try:
            yield
        except EsclError as error:
            # What the network or the disk broke off goes on later; what is refused does not.
            is_refused = not isinstance(error, DownloadError | StorageError)
            for repo in repos:
                discard_unused(repo, small_files=is_refused)
            raise


class _Errand:
    """One pull, once it is known that the model is not there yet."""

    def __init__(
        self,
        quantize: str | None,
        *,
        keep_checkpoint: bool,
        budget: Callable[[], Budget],
        on_progress: OnProgress,
        on_note: OnNote,
    ) -> None:
        self.quantize, self.keep_checkpoint = quantize, keep_checkpoint
        self.budget, self.on_progress, self.on_note = budget, on_progress, on_note

    def from_manifest(self, name: str, manifest: Manifest) -> Pulled:
        """Pull what a manifest names."""
        assert manifest.source is not None
        place_of(manifest.file, user_shelf())
        sources = [source for source in (manifest.source, manifest.adapter_source) if source is not None]
        with _held(*(source.repo for source in sources)):
            base = self.listing(manifest.source)
            if has_gguf(base):
                return self.gguf(name, manifest, base, quantization_in(manifest.file.path))
            adapters = None if manifest.adapter_source is None else self.listing(manifest.adapter_source)
            return self.checkpoint(name, manifest, base, adapters)

    def from_repository(self, wanted: HubReference, chat_template: str | None) -> Pulled:
        """Pull a repository that no manifest describes."""
        with _held(wanted.repo):
            return self.held_repository(wanted, chat_template)

    def held_repository(self, wanted: HubReference, chat_template: str | None) -> Pulled:
        """Pull a repository while no other process does."""
        listing = self.listing(Source(repo=wanted.repo), wanted.revision)
        manifest = Manifest(
            name=wanted.repo,
            role=ModelRole.SUPPORTER,
            description=f"{wanted.repo} from the Hugging Face Hub",
            architecture="unknown",
            licence=listing.licence or "not stated by its source",
            file=ModelFile(path=wanted.repo.rpartition("/")[2] + ".gguf"),
            source=Source(repo=wanted.repo, revision=listing.revision),
            chat_template=chat_template,
        )
        if has_gguf(listing):
            if self.quantize is not None:
                raise UsageError(
                    f"hf.co/{wanted.repo} holds GGUF files, which are taken as they are", hint="use :QUANT"
                )
            return self.gguf(None, manifest, listing, wanted.quant)
        if wanted.quant is not None:
            quantization(wanted.quant)
            if self.quantize not in (None, wanted.quant):
                raise UsageError(f":{wanted.quant} and --quantize {self.quantize} contradict each other")
            self.quantize = wanted.quant
        return self.checkpoint(None, manifest, listing, None)

    def listing(self, source: Source, revision: str | None = None) -> Listing:
        """Ask for a repository at the source's commit or else a branch; keep the answer for a day without network."""
        revision = source.revision or revision
        kept = kept_listing(source.repo, revision)
        return hub.list_repository(source.repo, revision, kept=kept, on_note=self.on_note)

    def gguf(self, name: str | None, manifest: Manifest, listing: Listing, quant: str | None) -> Pulled:
        """Bring a ready GGUF file."""
        file = gguf_file(listing, quant)
        quant = quant_of(file)
        name = name or f"hf.co/{listing.repo}/{quant or NO_QUANT}"
        there = _on_shelf(name, None, listing.revision)
        if there is not None:
            return there
        assert manifest.source is not None
        check_pinned(listing, manifest.source.files, wanted=[file])
        path, folder = user_shelf() / f"{name}.toml", snapshot(listing.repo, listing.revision)
        beside = path.parent if name.startswith("hf.co/") else (user_shelf() / manifest.file.path).parent
        named = quant is None or quantization_in(file.path) is not None
        target = beside / (Path(file.path).name if named else f"{Path(file.path).stem}-{quant}.gguf")
        beside.mkdir(parents=True, exist_ok=True)
        is_made = _take_back(target, file, folder, manifest.chat_template)
        check_room(target, hub.missing_bytes(listing, [file], folder))
        tally = Tally(file.size_bytes, self.on_progress)
        wanted = [file, *licence_files(listing)]
        files = hub.fetch(listing, wanted, folder, pinned=manifest.source.files, on_bytes=tally.add)
        try:
            check_model(read_gguf_header(folder / file.path, max_items=1), path=folder / file.path)
        except GGUFError:
            discard_downloads(listing.repo)
            raise
        if not is_made:
            self.put(folder / file.path, target, manifest.chat_template)
        brought = Brought(listing=listing, folder=folder, files=files, is_ours=True)
        finished = of_ready(manifest, brought, target, quant, path)
        write_manifest(path, finished)
        discard_downloads(listing.repo)
        self.say_what_matters(finished, listing)
        return _pulled(path, finished)

    def put(self, file: Path, target: Path, chat_template: str | None) -> None:
        """Put a GGUF file onto the shelf, with a chat template if it has none and one was given."""
        has_own = TEMPLATE_KEY in read_gguf_header(file, max_items=1).metadata
        if chat_template is None or has_own:
            shutil.move(file, target)
            return
        add_template(file, target, chat_template)
        self.on_note(f"the chat template is {chat_template}; the file has none, so it was added")

    def checkpoint(self, name: str | None, manifest: Manifest, base: Listing, adapters: Listing | None) -> Pulled:
        """Bring a checkpoint, convert it, and remove what is not needed any more."""
        shelf = user_shelf()
        stem, _, old = Path(manifest.file.path).stem.rpartition("-")
        stem = stem if quantization_in(f"-{old}.gguf") else Path(manifest.file.path).stem
        folder = Path(manifest.file.path).parent

        def target(quant: str) -> Path:
            at = shelf / folder if name is not None else shelf / f"hf.co/{base.repo}"
            return at / f"{stem}-{quant}.gguf"

        made = make(
            Job(
                manifest=manifest,
                base=base,
                adapters=adapters,
                target=target,
                quantize=self.quantize,
                budget=self.budget,
                on_progress=self.on_progress,
                on_note=self.on_note,
            )
        )
        path = shelf / f"{name or f'hf.co/{base.repo}/{made.quantization}'}.toml"
        finished = of_converted(manifest, made, path)
        write_manifest(path, finished)
        left = []
        for brought in made.sources:
            if not (brought.is_ours and self.keep_checkpoint):
                discard_downloads(brought.listing.repo)
            if brought.folder.is_dir():
                left.append(str(brought.folder))
        self.say_what_matters(finished, base)
        return _pulled(path, finished, checkpoint=left)

    def say_what_matters(self, manifest: Manifest, listing: Listing) -> None:
        """Note what the user should know of a model's template and licence."""
        has_template = manifest.made is not None and manifest.made.template_sha256 is not None
        if manifest.role is ModelRole.SUPPORTER and not has_template:
            self.on_note("the file has no chat template, so it cannot be run as a supporter; look for one that has")
        if listing.licence is not None and listing.licence.lower() not in manifest.licence.lower():
            self.on_note(f"its source states the licence {listing.licence!r}; the manifest says {manifest.licence!r}")


def _take_back(target: Path, file: RemoteFile, folder: Path, chat_template: str | None) -> bool:
    """Put a file that an interrupted pull left on the shelf without a record back among the downloads.

    Returns:
        Whether it stays where it is: the download, still there, with the chat template added.

    Raises:
        UsageError: It is another file.
    """
    if not os.path.lexists(target):
        return False

    def is_whole_file(path: Path) -> bool:
        return path.is_file() and verified(path, file, on_bytes=lambda _what, _n: None) is not None

    received = folder / file.path
    if is_whole_file(target):
        received.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(target, received)
        return False
    if chat_template is None or not is_whole_file(received) or not has_added(received, target, chat_template):
        raise UsageError(f"{target} is in the way: it is another file", hint="remove it")
    return True
