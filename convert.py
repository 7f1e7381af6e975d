"""`python convert.py SRC DST ...` is `escl convert SRC DST ...`, from a checkout."""

from __future__ import annotations

import sys

from escl.cli.main import main

if __name__ == "__main__":
    sys.argv[:1] = ["escl", "convert"]
    main()
