"""Values that every other part speaks in. Standard library and msgspec only; no I/O but reading a given file."""
