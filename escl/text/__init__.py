"""What rules alone can say of a text: words, copying, role, mood, danger. Knows no model and no store."""
