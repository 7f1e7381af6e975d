"""`python -m escl` is `escl`."""

from __future__ import annotations

import sys

from escl.cli.main import main

if __name__ == "__main__":
    # Runs keep the command that made them, and resuming starts it.
    sys.argv[0] = "escl"
    main()
