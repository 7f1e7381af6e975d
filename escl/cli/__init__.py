"""The command line: one file per command group. It parses, calls, prints; it holds no evaluation logic.

Heavy imports (llama_cpp, numpy, scipy) stay inside the commands, so that `escl --help` is instant.
"""
