"""Results for people: tables and live progress in the terminal. Shows values; computes no statistics."""
