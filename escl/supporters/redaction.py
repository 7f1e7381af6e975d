"""Takes the key that a server was sent out of what it answers, before any of that is cut, shown or kept.

Knows nothing of endpoints. A server that wants to spread a key can spell it in ways that nobody finds; one that repeats
what it was sent, in words or in a message of its own, is covered.
"""

from __future__ import annotations

import re
from typing import Final

KEY: Final = "[key]"


def without(key: str | None, text: str) -> str:
    """Return `text` with `key` replaced, also where its slashes are written as JSON may write them."""
    if not key:
        return text
    return re.sub(re.escape(key).replace("/", r"\\?/"), KEY, text)


def document_without(key: str | None, document: object) -> object:
    """Return a document that was read from JSON with `key` replaced in every string and every name.

    Raises:
        RecursionError: It is nested too deep.
    """
    match document:
        case str():
            return without(key, document)
        case list():
            return [document_without(key, item) for item in document]
        case dict():
            return {without(key, name): document_without(key, item) for name, item in document.items()}
        case _:
            return document
