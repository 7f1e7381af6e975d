"""Checks of what escl has to work with: the models on the shelf, protocols, certificates. Loads no weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from escl.core.protocol import known_protocols, load_protocol
from escl.doctor.finding import Finding, fail, ok, warn
from escl.errors import EsclError, ExitCode, ManifestError, ProtocolError
from escl.evaluation.certificate import Certificate, certificates_folder, kept_certificates
from escl.shelf.inventory import ShelfModel, inventory
from escl.shelf.manifest import known_sha256, load_manifest, place_of

REAL_MODELS: Final = ("esc-role", "esc-rank")
OFFICIAL_PROTOCOL: Final = "esc-eval"

Verification = Literal["verified", "never verified", "without a hash"]


def shelf_findings() -> Iterator[Finding]:
    """Yield which models are here and whether their files are those that their manifests name.

    A small file is hashed. A large one counts as verified while it is as it was when it was last hashed.
    """
    try:
        models = inventory()
    except OSError as error:
        yield fail("shelf", str(error), to_do="install escl again", exit_code=ExitCode.BAD_INPUT)
        return
    found: dict[Verification, list[str]] = {"verified": [], "never verified": [], "without a hash": []}
    for model in models:
        if model.state == "not here":
            continue
        try:
            found[_verification(model)].append(model.name)
        except (EsclError, OSError) as error:
            said = error.message if isinstance(error, EsclError) else f"{error.filename}: {error.strerror}"
            hint = error.hint if isinstance(error, EsclError) else None
            to_do = hint or f"put the file right, or remove the model: `escl models rm {model.name}`"
            yield fail("shelf", f"{model.name}: {said}", to_do=to_do, exit_code=ExitCode.BAD_INPUT)
    yield from _by_state(found)
    missing = [model.name for model in models if model.state == "not here"]
    if absent := [name for name in REAL_MODELS if name in missing]:
        said = f"{' and '.join(absent)} not here: only the toys of the demo, or other models, can play and rate"
        yield warn("shelf", said, to_do="`escl models pull esc-role esc-rank`, or `escl bundle install` from a stick")


def has_real_models() -> bool:
    """Return whether seeker and scorer of ESC-Eval are here."""
    try:
        return {model.name for model in inventory() if model.state == "here"} >= set(REAL_MODELS)
    except OSError:
        # What is wrong with the shelf is its own finding.
        return False


def _by_state(found: dict[Verification, list[str]]) -> Iterator[Finding]:
    if found["verified"]:
        yield ok("shelf", f"verified: {', '.join(found['verified'])}")
    if found["without a hash"]:
        yield ok("shelf", f"here, their manifests state no hash: {', '.join(found['without a hash'])}")
    if found["never verified"]:
        said = f"not hashed here since they came or changed: {', '.join(found['never verified'])}"
        yield warn("shelf", said, to_do="the next run hashes them; so does `escl models verify`")


def _verification(model: ShelfModel) -> Verification:
    """Return how sure it is that the files of a model are those that its manifest names.

    Raises:
        ManifestError: The manifest is malformed, or a file is missing or has another size or hash than promised.
    """
    if model.state == "unreadable":
        raise ManifestError(model.problem or f"{model.manifest} cannot be read", hint="correct or remove the manifest")
    if model.state == "incomplete":
        hint = f"`escl models verify {model.name}` names them; {_get_again(model)}"
        raise ManifestError("files are missing or have another size than its manifest says", hint=hint)
    path = Path(model.manifest)
    files = [(place_of(file, path.parent), file.sha256) for file in load_manifest(path).files()]
    known = [(place, promised, known_sha256(place)) for place, promised in files]
    for place, promised, actual in known:
        if promised is not None and actual is not None and promised != actual:
            message = f"{place} is not the file that its manifest names: sha256 {actual[:16]}, expected {promised[:16]}"
            made = load_manifest(path).made
            raise ManifestError(
                message, hint=_get_again(model) if made else "get the file again, or correct the manifest"
            )
    if any(actual is None for _, _, actual in known):
        return "never verified"
    return "verified" if all(promised is not None for _, promised, _ in known) else "without a hash"


def _get_again(model: ShelfModel) -> str:
    """Return how to get the files of a model whose manifest can be read."""
    manifest = load_manifest(Path(model.manifest))
    if manifest.source is None:
        return "get the file again, or correct the manifest"
    if manifest.made is None:
        return f"`escl models pull {model.name}` goes on with a pull"
    return f"`escl models rm {model.name}`, then `escl models pull {model.name}`"


def protocol_findings() -> Iterator[Finding]:
    """Yield which protocols can be used, and whether ESC-Eval's own is among them."""
    usable = []
    for name, path in known_protocols().items():
        try:
            load_protocol(str(path))
            usable.append(name)
        except ProtocolError as error:
            to_do = "import it again, correct it, or remove the file"
            yield fail("protocol", error.message, to_do=to_do, exit_code=ExitCode.BAD_INPUT)
    said = ", ".join(usable)
    if OFFICIAL_PROTOCOL in known_protocols():
        yield ok("protocol", said)
    else:
        to_do = "only under it do scores compare with published ones: `escl protocol import`"
        yield warn("protocol", f"{said}; ESC-Eval's own is not imported", to_do=to_do)


def certificate_findings() -> Iterator[Finding]:
    """Yield how many certificates of scorers are kept, and which cannot be read."""
    kept = list(kept_certificates())
    broken = [f"{path.name} {reason}" for path, reason in kept if not isinstance(reason, Certificate)]
    if broken:
        to_do = f"move it out of {certificates_folder()}; `escl judge fidelity` makes it again"
        yield warn("certificates", "; ".join(broken[:3]), to_do=to_do)
    if whole := len(kept) - len(broken):
        yield ok("certificates", f"{whole} of `escl judge fidelity`")
