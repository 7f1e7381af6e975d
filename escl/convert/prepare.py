"""Everything about a conversion that is decided before the first byte is written: the plan and the GGUF metadata.

Reads configuration, tokenizer and the shards' headers; writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from escl.convert.architectures import Architecture, architecture_of
from escl.convert.bpe import read_bpe
from escl.convert.chat_templates import NAMED, TEMPLATE_GIVEN, check_marks, chosen_template
from escl.convert.dimensions import Dimensions
from escl.convert.folder import MAX_TOKENIZER_BYTES, Fields, file_in, read_json, required_file_in
from escl.convert.lora import plan_adapter, read_lora_config
from escl.convert.outcome import OutType
from escl.convert.plan import Plan, plan_model, tensors_by_name
from escl.convert.provenance import origin_of
from escl.convert.sentencepiece import read_sentencepiece
from escl.convert.shards import SourceTensor, find_shards
from escl.convert.system_prompt import default_system_prompt
from escl.convert.vocabulary import Vocabulary
from escl.convert.writer import MetadataValue
from escl.errors import ConvertError, UsageError

# `enum llama_ftype` of llama.h.
_FILE_TYPES: dict[OutType, int] = {"f32": 0, "f16": 1, "q8_0": 7, "bf16": 32}
_QUANTIZATION_VERSION = 2
"""GGML_QNT_VERSION of ggml.h."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The arguments of `escl.convert.convert`."""

    src: Path
    dst: Path
    outtype: OutType
    quantize: str | None
    base: Path | None
    force: bool
    chat_template: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that is known before the first byte is written.

    Attributes:
        files: Source files besides the shards.
    """

    kind: Literal["model", "adapter"]
    architecture: str
    plan: Plan
    metadata: Mapping[str, MetadataValue]
    files: Sequence[Path]
    notes: Sequence[str]


def prepare_model(request: Request) -> Prepared:
    src = request.src
    if file_in(src, "config.json") is None and file_in(src, "adapter_config.json") is not None:
        raise UsageError(f"{src} is an adapter", hint="name its base model's folder with --base")
    config, config_path = _config(src)
    architecture = architecture_of(config)
    dimensions = architecture.read_dimensions(config)
    shards = find_shards(src, stem="model")
    plan = plan_model(architecture, dimensions, shards=shards, outtype=request.outtype)
    _check_tied(architecture, dimensions, plan, src)
    reader = read_bpe if _vocabulary_kind(architecture, src) == "bpe" else read_sentencepiece
    vocabulary, vocabulary_files = reader(src, config=config, n_vocab=dimensions.vocab)
    vocabulary, template_files, template_notes = _with_template(vocabulary, architecture, request.chat_template)
    prompt, prompt_files, prompt_notes = _system_prompt(architecture, src)
    metadata: dict[str, MetadataValue] = {
        "general.architecture": architecture.gguf_name,
        "general.type": "model",
        "general.name": origin_of(src).repository or _folder_name(src),
        "general.file_type": _FILE_TYPES[request.outtype],
        "general.quantization_version": _QUANTIZATION_VERSION,
        **_model_metadata(architecture, dimensions),
        **vocabulary.metadata(),
        **prompt,
        **({} if request.chat_template is None else {TEMPLATE_GIVEN: True}),
    }
    return Prepared(
        kind="model",
        architecture=architecture.gguf_name,
        plan=plan,
        metadata=metadata,
        files=[config_path, *vocabulary_files, *template_files, *prompt_files, *_index(src, "model")],
        notes=[*plan.notes, *vocabulary.notes, *template_notes, *prompt_notes],
    )


def _vocabulary_kind(architecture: Architecture, src: Path) -> Literal["bpe", "sentencepiece"]:
    if architecture.vocabulary != "either":
        return architecture.vocabulary
    path = file_in(src, "tokenizer.json")
    if path is None:
        return "sentencepiece"
    # The fast twin of a SentencePiece model falls back to bytes; byte-level BPE consists of them. That there is a
    # tokenizer.model says nothing: Llama 3 calls a file of another kind so.
    model = Fields(read_json(path, max_bytes=MAX_TOKENIZER_BYTES), where=str(path)).table("model")
    is_bpe = model.text("type") == "BPE" and not model.flag("byte_fallback", default=False)
    return "bpe" if is_bpe else "sentencepiece"


def _with_template(
    vocabulary: Vocabulary, architecture: Architecture, choice: str | None
) -> tuple[Vocabulary, list[Path], list[str]]:
    """Return the vocabulary with the chat template that the user, the checkpoint or the model's code gives."""
    texts = {*vocabulary.tokens, *vocabulary.renamed}
    if choice is not None:
        source, path = chosen_template(choice)
        check_marks(choice, texts)
        return vocabulary.with_template(source), [path] if path else [], [f"the chat template is {choice}"]
    if vocabulary.chat_template is not None:
        return vocabulary.with_template(vocabulary.chat_template), [], []
    own = NAMED[architecture.chat_template] if architecture.chat_template else None
    if own is not None and set(own.marks) <= texts:
        return vocabulary.with_template(own.source), [], []
    note = (
        "the checkpoint has no chat template, without which a model cannot be run here; convert it again with "
        f"--chat-template FILE or a name ({', '.join(NAMED)})"
    )
    return vocabulary, [], [note]


def _config(folder: Path) -> tuple[Fields, Path]:
    path = required_file_in(folder, "config.json", why="give the folder of a Hugging Face checkpoint")
    return Fields(read_json(path), where=str(path)), path


def _index(folder: Path, stem: str) -> list[Path]:
    path = file_in(folder, f"{stem}.safetensors.index.json")
    return [] if path is None else [path]


def _folder_name(folder: Path) -> str:
    # A file system may hold names that are no Unicode.
    return folder.resolve().name.encode(errors="replace").decode() or "model"


def _model_metadata(architecture: Architecture, dimensions: Dimensions) -> dict[str, MetadataValue]:
    keys: dict[str, MetadataValue] = {
        "block_count": dimensions.layers,
        "context_length": dimensions.context,
        "embedding_length": dimensions.hidden,
        "feed_forward_length": dimensions.ffn,
        "attention.head_count": dimensions.heads,
        "attention.head_count_kv": dimensions.kv_heads,
        "attention.layer_norm_rms_epsilon": dimensions.rms_epsilon,
        "rope.freq_base": dimensions.rope.theta,
        **{f"rope.scaling.{key}": value for key, value in dimensions.rope.keys.items()},
    }
    if dimensions.head * dimensions.heads != dimensions.hidden:
        # llama.cpp rotates key_length elements unless it is told otherwise.
        keys |= {"attention.key_length": dimensions.head, "attention.value_length": dimensions.head}
    return {f"{architecture.gguf_name}.{key}": value for key, value in keys.items()}


def _check_tied(architecture: Architecture, dimensions: Dimensions, plan: Plan, src: Path) -> None:
    """Refuse a checkpoint that says its output matrix is the embedding, but holds another one."""
    found = tensors_by_name(plan.shards)
    output = found.get(architecture.output)
    if not dimensions.tied or output is None:
        return
    embedding = found[architecture.embedding]
    if (output.dtype, output.shape) != (embedding.dtype, embedding.shape) or not _same_bytes(plan, output, embedding):
        raise ConvertError(f"{src}: config.json ties the embeddings, but {output.name} differs from {embedding.name}")


def _same_bytes(plan: Plan, one: SourceTensor, other: SourceTensor) -> bool:
    paths = {tensor.name: shard.path for shard in plan.shards for tensor in shard.tensors}
    with paths[one.name].open("rb") as first, paths[other.name].open("rb") as second:
        first.seek(one.offset)
        second.seek(other.offset)
        left = one.size_bytes
        while left > 0:
            n = min(left, 1 << 20)
            if first.read(n) != second.read(n):
                return False
            left -= n
    return True


def _system_prompt(architecture: Architecture, src: Path) -> tuple[dict[str, str], list[Path], list[str]]:
    if architecture.name != "internlm2":
        return {}, [], []
    path = file_in(src, "modeling_internlm2.py")
    if path is None:
        return {}, [], ["no modeling_internlm2.py, so the default system prompt of chat is unknown and not stored"]
    prompt, problem = default_system_prompt(path)
    if prompt is None:
        return {}, [], [problem or ""]
    return {"escl.chat.default_system_prompt": prompt}, [path], []


def prepare_adapter(request: Request) -> Prepared:
    src, base = request.src, request.base
    assert base is not None
    if not base.is_dir():
        raise ConvertError(f"{base} is not a folder", hint="--base names the base model's checkpoint folder")
    base_config, base_config_path = _config(base)
    architecture = architecture_of(base_config)
    dimensions = architecture.read_dimensions(base_config)
    config, config_path = read_lora_config(src)
    shards = find_shards(src, stem="adapter_model")
    plan = plan_adapter(architecture, dimensions, config=config, shards=shards, outtype=request.outtype)
    metadata: dict[str, MetadataValue] = {
        "general.architecture": architecture.gguf_name,
        "general.type": "adapter",
        "general.name": _folder_name(src),
        "general.file_type": _FILE_TYPES[request.outtype],
        "adapter.type": "lora",
        "adapter.lora.alpha": config.stored_alpha,
    }
    if config.base_model:
        metadata["escl.source.base_model"] = config.base_model
    return Prepared(
        kind="adapter",
        architecture=architecture.gguf_name,
        plan=plan,
        metadata=metadata,
        files=[config_path, base_config_path, *_index(src, "adapter_model")],
        notes=list(plan.notes),
    )
