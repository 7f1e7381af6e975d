"""How fast escl is on a machine, beside what llama.cpp and a plain script do with the same files and the same work."""
