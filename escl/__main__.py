"""`python -m escl` is `escl`."""

from __future__ import annotations

from escl.cli.main import main

if __name__ == "__main__":
    main()
