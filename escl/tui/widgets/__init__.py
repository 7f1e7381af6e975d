"""What screens are made of. Widgets ask no store; they show what they are given."""
