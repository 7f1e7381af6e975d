"""ESC-Eval's own scripts, read into a protocol. They are text to escl: parsed with `ast`, never imported, never run."""
