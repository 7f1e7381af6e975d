"""Ed25519 keys and signatures. The only module that touches cryptography.

Keys are PEM files and a signature is its 64 raw bytes, so that OpenSSL can check a bundle without escl:
`openssl pkeyutl -verify -pubin -inkey KEY.pub -rawin -in manifest.json -sigfile manifest.sig`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from escl.errors import BundleError, StorageError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_MAX_KEY_BYTES: Final = 16 << 10


def make_key(path: Path) -> str:
    """Write a new private key to `path` (mode 0600) and its public key to `path`.pub; return the public key in hex.

    Raises:
        UsageError: One of the files exists.
        StorageError: They cannot be written.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    public_path = path.with_name(path.name + ".pub")
    for existing in (path, public_path):
        if os.path.lexists(existing):
            raise UsageError(f"{existing} exists; a key is never replaced", hint="choose another name")
    _write_new(path, private, mode=0o600)
    _write_new(public_path, public, mode=0o644)
    return _hex(key)


class Signer:
    """A private key, read and ready."""

    def __init__(self, path: Path) -> None:
        """Read the key.

        Raises:
            BundleError: The file is missing or no Ed25519 private key.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(_read(path), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BundleError(f"{path} is no private key that escl can use: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise BundleError(f"{path} is no Ed25519 key", hint="`escl bundle keygen` makes one")
        self._key = key
        self.public_key = _hex(key)

    def sign(self, content: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        return self._key.sign(content)


def is_signed_by(public_key: str, content: bytes, signature: bytes) -> bool:
    """Return whether `signature` is that of `content` by the key in hex."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_public_key(reference: str) -> str:
    """Return the public key, in hex, that `reference` names: a .pub file, or the 64 hex digits themselves.

    Raises:
        BundleError: It is neither.
    """
    if re.fullmatch(r"[0-9a-fA-F]{64}", reference):
        return reference.lower()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = form.load_pem_public_key(_read(Path(reference)))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BundleError(
            f"{reference} is no public key: {error}", hint="give the .pub file or 64 hex digits"
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise BundleError(f"{reference} is no Ed25519 key", hint="give the .pub file of `escl bundle keygen`")
    return key.public_bytes(form.Encoding.Raw, form.PublicFormat.Raw).hex()


def _hex(key: Ed25519PrivateKey) -> str:
    from cryptography.hazmat.primitives import serialization as form

    return key.public_key().public_bytes(form.Encoding.Raw, form.PublicFormat.Raw).hex()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}") from error


def _write_new(path: Path, content: bytes, *, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error
