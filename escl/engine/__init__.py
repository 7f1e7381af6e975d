"""One GGUF model in one child process.

`client` is the parent's side, `worker` the child's; they speak the structs of `wire` over a pipe.
Only the child imports llama_cpp.
"""
