"""The terminal app: start a run, watch it, read its dialogues, see who is better.

Shows what the layers below know and holds no evaluation logic. What it imports at the top is what its first paint
needs; databases, statistics and the doctor are imported in workers.
"""
