"""`python -m escl` is `escl`."""

from __future__ import annotations

import sys

from escl.cli.main import main

if __name__ == "__main__":
    sys.argv[0] = "escl"
    main()
