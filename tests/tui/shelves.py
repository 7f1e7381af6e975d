"""Lines of the shelf that are made up."""

from __future__ import annotations

from escl.shelf.inventory import ShelfModel, State


def shelf_model(name: str, *, role: str = "", state: State = "here", size_bytes: int | None = 4_000_000) -> ShelfModel:
    """Return a model in which every text is its name, and its role too where none is given."""
    return ShelfModel(
        name=name,
        role=role or name,
        state=state,
        quantization=name if not role else "Q4_K_M" if state == "here" else None,
        size_bytes=size_bytes,
        pinned=True,
        source=name,
        licence=name if not role else "apache-2.0",
        manifest=f"{name}.toml",
    )
