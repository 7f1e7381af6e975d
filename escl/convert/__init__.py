"""From a Hugging Face checkpoint folder, or a PEFT LoRA adapter folder, to a GGUF file.

`convert(SRC, DST, outtype=..., quantize=..., base=...)` is the whole interface; `escl convert` and `python convert.py`
call it. It reads, maps names by table, transforms, writes beside DST, rereads and renames; whatever goes wrong leaves
nothing under DST's name.

A checkpoint folder holds
    config.json             model_type of one of the tables in escl.convert.architectures
    model.safetensors       or model.safetensors.index.json and the shards its weight_map names
    tokenizer.json          byte-level BPE with a pre-tokenizer of escl.convert.pre_tokenizers: Qwen, Llama 3
    tokenizer.model         or a SentencePiece BPE model with byte fallback: InternLM2, Llama 2, Vicuna, Yi, Mistral
    tokenizer_config.json   special tokens (added_tokens_decoder), chat_template
    added_tokens.json, chat_template.jinja, generation_config.json, modeling_internlm2.py     when there
and its tensors have the names of transformers' classes (Llama, Mistral, Qwen2, Qwen3) or of InternLM2ForCausalLM, whose
wqkv holds, for each key-value head, its query heads, its key and its value.
An adapter folder holds adapter_config.json and adapter_model.safetensors as PEFT saves them, with tensors
    base_model.model.<module path>.lora_A.weight (r, in) and .lora_B.weight (out, r).

No Python file of a checkpoint is ever imported, no pickle is ever opened. It must not import llama_cpp but in
escl.convert.quantize, which runs in a child process.
"""

from __future__ import annotations

from pathlib import Path

from escl.convert.outcome import Converted, OnProgress, OutType

__all__ = ["Converted", "OnProgress", "OutType", "convert"]


def convert(
    src: Path,
    dst: Path,
    *,
    outtype: OutType = "f16",
    quantize: str | None = None,
    base: Path | None = None,
    force: bool = False,
    chat_template: str | None = None,
    on_progress: OnProgress | None = None,
) -> Converted:
    """Write the GGUF file `dst` from the checkpoint or adapter folder `src` and return what was written.

    Args:
        src: A checkpoint folder, or with `base` a PEFT adapter folder.
        dst: The file to write; its folder must exist.
        outtype: How matrices are stored, and with `quantize` what the quantizer reads.
        quantize: A llama.cpp quantization by name ("Q4_K_M"), made in a child process.
        base: The base model's checkpoint folder, of which an adapter needs config.json only.
        force: Replace `dst` when it exists.
        chat_template: A format by its name in escl.convert.chat_templates, or the path of a file with a Jinja template;
            None takes the checkpoint's own.
        on_progress: Called from this thread now and then.

    Raises:
        ConvertError: The source is malformed or cannot be carried over faithfully.
        StorageError: No room, or `dst` cannot be written.
        UsageError: The options contradict each other.
    """
    # numpy and gguf are loaded only when something is converted: `escl --help` stays light.
    from escl.convert.flow import run
    from escl.convert.prepare import Request

    request = Request(
        src=src, dst=dst, outtype=outtype, quantize=quantize, base=base, force=force, chat_template=chat_template
    )
    return run(request, on_progress=on_progress)
