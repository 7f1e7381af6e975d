"""Text that can be encoded. Knows nothing of who says it or to whom it goes."""

from __future__ import annotations

import re
from typing import Final

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def whole_text(text: str) -> str:
    """Return `text` with each half of a character (a lone surrogate, which has no UTF-8) replaced by U+FFFD.

    Two halves that stand side by side in the right order are one character, and become that.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _SURROGATE.search(text) else text
