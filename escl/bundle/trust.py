"""Which signers a home trusts, and the newest bundle of each that was installed there.

Owns `bundles.json` in ESCL_HOME. A file that cannot be read is an error and never counts as empty: that would forget
what keeps old bundles out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from escl.bundle.manifest import Manifest, signed_by
from escl.errors import BundleError
from escl.shelf.written import write_whole

_NAME: Final = "bundles.json"
_MAX_BYTES: Final = 1 << 20


class Signer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a home knows of one signer.

    Attributes:
        newest: When the newest of its bundles installed here was made, UTC.
        is_trusted: Whether the user named this key with --trust.
    """

    newest: str
    is_trusted: bool


class Signers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a home knows of all signers, by public key."""

    signers: dict[str, Signer] = {}


def read_signers(home: Path) -> Signers:
    """Return what `home` knows; nothing when no signed bundle was installed there yet.

    Raises:
        BundleError: The file is there but cannot be read.
    """
    path = home / _NAME
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES)
        return msgspec.json.decode(content, type=Signers)
    except FileNotFoundError:
        return Signers()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(
            f"{path} cannot be read: {error}", hint="it says which bundles are too old; restore it, or move it away"
        ) from error


def check_acceptable(manifest: Manifest, known: Signers, *, trust: str | None) -> bool:
    """Refuse a bundle of a signer that is not trusted here, or one older than what the same signer brought.

    Returns whether its signer is trusted; where no signer is trusted yet, any bundle is acceptable.

    Args:
        manifest: The bundle's; its signature is valid.
        known: What the home knows.
        trust: A public key that the user vouches for; then the bundle must be signed by it.

    Raises:
        BundleError: With both keys, or both times.
    """
    trusted = [key for key, signer in known.signers.items() if signer.is_trusted]
    if trust is not None and manifest.signer != trust:
        raise BundleError(f"the bundle is {signed_by(manifest)}, not by {trust}")
    if trust is None and trusted and manifest.signer not in trusted:
        raise BundleError(
            f"the bundle is {signed_by(manifest)}; this home takes bundles signed by {', '.join(trusted)} only",
            hint="if you know the signer, name its key with --trust",
        )
    before = known.signers.get(manifest.signer or "")
    if before is not None and manifest.created < before.newest:
        raise BundleError(
            f"the bundle was made {manifest.created}, but one made {before.newest} by the same signer is installed",
            hint="an old bundle may bring back what was mended since; ask its maker for a new one",
        )
    return manifest.signer is not None and manifest.signer in [trust, *trusted]


def remember(home: Path, manifest: Manifest, *, trust: str | None) -> None:
    """Note that a signed bundle was installed in `home`.

    Raises:
        StorageError: It cannot be written.
    """
    if manifest.signer is None:
        return
    known = read_signers(home)
    before = known.signers.get(manifest.signer)
    entry = Signer(
        newest=max(manifest.created, before.newest if before else ""),
        is_trusted=manifest.signer == trust or (before is not None and before.is_trusted),
    )
    content = msgspec.json.encode(Signers(signers={**known.signers, manifest.signer: entry}))
    write_whole(home / _NAME, msgspec.json.format(content, indent=1) + b"\n")
