"""The evaluation itself: dialogues are spoken, then scored. Everything that happens is committed as it happens."""
