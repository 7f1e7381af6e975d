"""How much memory an engine will take, from the model's header alone.

Owns the sum: weights, adapters, KV cells, work memory, logits and the process itself, in main memory and on the
device. `escl.engine.dry_run` asks llama.cpp the same question; `escl.memory.check_estimate` puts both beside each other
and beside the measured peak of real loads. Reads no weights, asks no device.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from escl.engine.context_shape import ContextShape, context_shape
from escl.engine.devices import CPU_ONLY
from escl.engine.wire import EngineSpec, KVType
from escl.errors import GGUFError
from escl.memory.model_shape import ModelShape, shape_of
from escl.memory.work_graph import WorkShape, work_bytes
from escl.shelf.gguf_header import GGUFHeader

_MIB: Final = 1 << 20
_KV_BYTES: Final[dict[KVType, tuple[int, int]]] = {"f16": (1, 2), "q8_0": (32, 34), "q4_0": (32, 18)}
"""Elements of a block and its bytes."""

# What the process takes beside its model, measured on Linux x86-64 with llama-cpp-python 0.3.36 and glibc: interpreter
# and libraries with nothing loaded; then vocabularies of 92k to 152k tokens, with merges and without.
_PROCESS_BYTES: Final = 45 * _MIB
_TOKEN_BYTES: Final = 160
_MERGE_BYTES: Final = 150
_PIECE_BYTES: Final = 150
"""Of each token whose text the child has looked up, which the label reader does for all of them."""
# llama.cpp keeps three graphs with room for 8 nodes per tensor of the model and 6 per adapted matrix
# (llama_context::graph_max_nodes); a node takes a ggml_tensor, its object, and its places in the graph's tables. When
# adapters are switched, new ones are made before the old ones go.
_GRAPHS: Final = 3
_NODE_BYTES: Final = 415
_NODES_PER_TENSOR: Final = 8
_NODES_PER_PAIR: Final = 6
_MIN_NODES: Final = 1024
# NOT MEASURED: what a CUDA context takes on the device and in main memory; reports name 300 to 500 MiB.
_DEVICE_CONTEXT_BYTES: Final = 500 * _MIB
_HOST_CONTEXT_BYTES: Final = 300 * _MIB

# NOT MEASURED: work memory of a model without attention, whose graph is not replayed: this and a tenth of its weights.
_RECURRENT_WORK_BYTES: Final = 256 * _MIB
_RECURRENT_SHARE: Final = 10

# Types whose matrices ggml rearranges for the CPU (ggml-cpu/repack.cpp), on ARM and elsewhere with AVX2.
_REPACKED: Final = {
    True: frozenset(("Q4_0", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "IQ4_NL", "MXFP4")),
    False: frozenset(("Q4_0", "Q4_K", "Q2_K", "IQ4_NL", "MXFP4")),
}
# Before a product the CPU converts the activations to what goes with the weights (vec_dot_type of ggml-cpu.c).
_CONVERTED_BYTES: Final = {"F32": 0.0, "F16": 2.0, "BF16": 2.0}
_QUANTIZED_BYTES: Final = 292 / 256

_ADAPTED: Final = re.compile(r"(?:blk\.(\d+)\.)?(\w+)\.weight\.lora_[ab]")


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of one memory by what they hold.

    Attributes:
        weights: The model's.
        adapters: LoRA matrices; all that are loaded, on or off.
        kv: Keys and values of every slot.
        compute: Work memory of a computation at the full context.
        output: Rows of logits.
        process: Interpreter, libraries, vocabulary; on a device its context.
    """

    weights: int = 0
    adapters: int = 0
    kv: int = 0
    compute: int = 0
    output: int = 0
    process: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.adapters + self.kv + self.compute + self.output + self.process


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine takes at its peak; `device` is None when nothing is offloaded."""

    host: Footprint
    device: Footprint | None


def estimate(model: GGUFHeader, spec: EngineSpec, *, adapters: Sequence[GGUFHeader] = ()) -> Need:
    """Return what the engine of `spec` takes.

    A spec that names no device is taken for CPU only. Weights in mapped files count: they must be resident to be used.

    A model without attention (Mamba, RWKV) has no keys and values, but a state of fixed size for each sequence. Its
    work memory is taken to be a tenth of its weights and 256 MiB: its graph is not replayed, the batches are small
    beside its weights, and too much is better than a run that dies for lack of memory.

    Args:
        model: The header of `spec.model`.
        spec: How it is loaded.
        adapters: The headers of `spec.adapters`.

    Raises:
        GGUFError: The header lacks a size, or an adapter's tensor has no rank.
    """
    shape = shape_of(model)
    context = context_shape(spec, n_ctx=min(spec.ctx_per_slot, shape.n_ctx_train))
    n_device = layers_on_device(shape, spec)
    on_host = _host_layers(shape, n_device)
    host_adapters, device_adapters = _adapter_bytes(adapters, on_host)
    work = _work(shape, spec, context, adapters)
    output = context.n_outputs * shape.n_vocab * 4
    blocks = sum(shape.layer_bytes[layer] for layer in on_host)
    if n_device == 0:
        host = Footprint(
            weights=shape.input_bytes + blocks + _output_on_host(shape, spec),
            adapters=host_adapters + device_adapters,
            kv=_kv_bytes(shape, spec, context, on_host),
            compute=work,
            output=output,
            process=_process_bytes(shape, spec, context, adapters),
        )
        return Need(host=host, device=None)
    host = Footprint(
        weights=shape.input_bytes + blocks,
        adapters=host_adapters,
        kv=_kv_bytes(shape, spec, context, on_host),
        compute=_host_work(shape, spec, context, work if on_host else None),
        output=output,
        process=_process_bytes(shape, spec, context, adapters) + _HOST_CONTEXT_BYTES,
    )
    device = Footprint(
        weights=sum(shape.layer_bytes) - blocks + shape.output_bytes,
        adapters=device_adapters,
        kv=_kv_bytes(shape, spec, context, range(len(on_host), shape.n_layers)),
        # Large batches multiply with the host's weights on the device too, which needs room for the largest of them.
        compute=work + (shape.largest_tensor if on_host else 0),
        process=_DEVICE_CONTEXT_BYTES,
    )
    return Need(host=host, device=device)


def layers_on_device(shape: ModelShape, spec: EngineSpec) -> int:
    """Return how many layers the accelerator holds, counted from the end; the output is one of them."""
    if spec.device is None or spec.device == CPU_ONLY:
        return 0
    return shape.n_layers + 1 if spec.gpu_layers < 0 else min(spec.gpu_layers, shape.n_layers + 1)


def _host_layers(shape: ModelShape, n_device: int) -> range:
    # The first layer that goes to the device, where the output counts as the last one (llama-model.cpp, i_gpu_start).
    return range(min(shape.n_layers, shape.n_layers + 1 - n_device))


def _output_on_host(shape: ModelShape, spec: EngineSpec) -> int:
    # An output that is the embedding's own matrix takes memory again only where it is rearranged.
    if not shape.tied:
        return shape.output_bytes
    again = spec.repack and shape.embedding_type in _REPACKED[platform.machine() in ("aarch64", "arm64")]
    return shape.output_bytes if again else shape.output_bytes - shape.embedding_bytes


def _kv_bytes(shape: ModelShape, spec: EngineSpec, context: ContextShape, layers: range) -> int:
    elements, block_bytes = _KV_BYTES[spec.kv_type]
    width = shape.key_length + shape.value_length
    cells = sum(shape.head_counts_kv[layer] for layer in layers) * width * context.n_ctx // elements * block_bytes
    return cells + len(layers) * shape.state_bytes * context.n_sequences


def _work(shape: ModelShape, spec: EngineSpec, context: ContextShape, adapters: Sequence[GGUFHeader]) -> int:
    if not shape.has_attention:
        weights = shape.input_bytes + sum(shape.layer_bytes) + shape.output_bytes
        return _RECURRENT_WORK_BYTES + weights // _RECURRENT_SHARE
    rotated = spec.kv_type != "f16" and shape.key_length % 64 == shape.value_length % 64 == 0
    return work_bytes(
        WorkShape(
            n_layers=shape.n_layers,
            n_embd=shape.n_embd,
            n_ff=shape.n_ff,
            n_head=shape.n_head,
            n_head_kv=max(shape.head_counts_kv),
            key_length=shape.key_length,
            value_length=shape.value_length,
            n_vocab=shape.n_vocab,
            n_tokens=_tokens_at_once(spec, context),
            n_cells=_cells(context),
            n_outputs=min(context.n_outputs, _tokens_at_once(spec, context)),
            flash=spec.flash_attention is not False,
            rotated=rotated,
            normed_heads=shape.normed_heads,
            biased=shape.biased,
            lora_rank=max((adapter_rank(header) for header in adapters), default=0),
            adapted=frozenset(name for header in adapters for name in _adapted(header)),
        )
    )


def _cells(context: ContextShape) -> int:
    return context.n_ctx if context.unified else context.n_ctx // context.n_sequences


def _tokens_at_once(spec: EngineSpec, context: ContextShape) -> int:
    # graph_reserve rounds up to a multiple of the sequences.
    most = min(spec.n_ubatch, spec.n_batch, context.n_ctx)
    return -(-most // context.n_sequences) * context.n_sequences


def adapter_rank(adapter: GGUFHeader) -> int:
    """Return the largest rank of a LoRA file's matrices; 0 when it has none.

    Raises:
        GGUFError: One of them is no matrix.
    """
    halves = [tensor for tensor in adapter.tensors if tensor.name.endswith("lora_a")]
    for tensor in halves:
        if len(tensor.shape) < 2:
            raise GGUFError(f"the adapter's tensor {tensor.name} has one dimension; a LoRA matrix has two")
    return max((tensor.shape[1] for tensor in halves), default=0)


def _adapted(adapter: GGUFHeader) -> set[str]:
    matches = (_ADAPTED.fullmatch(tensor.name) for tensor in adapter.tensors)
    return {match[2] for match in matches if match}


def _adapter_bytes(adapters: Sequence[GGUFHeader], host_layers: range) -> tuple[int, int]:
    """Return what adapters take in main memory and on the device: each matrix lies where the one it changes does."""
    host = total = 0
    for tensor in (tensor for adapter in adapters for tensor in adapter.tensors):
        match = _ADAPTED.fullmatch(tensor.name)
        total += tensor.size_bytes
        if match and (match[2] == "token_embd" or (match[1] and int(match[1]) in host_layers)):
            host += tensor.size_bytes
    return host, total - host


def _host_work(shape: ModelShape, spec: EngineSpec, context: ContextShape, work: int | None) -> int:
    if work is not None:
        return work
    # With every layer on the device the host only prepares inputs: mask, embeddings, and the way in that is not used.
    n_tokens = _tokens_at_once(spec, context)
    return n_tokens * (2 * shape.n_embd * 4 + _cells(context) * (4 if spec.flash_attention is False else 2))


def _process_bytes(shape: ModelShape, spec: EngineSpec, context: ContextShape, adapters: Sequence[GGUFHeader]) -> int:
    vocabulary = shape.n_vocab * _TOKEN_BYTES + shape.n_merges * _MERGE_BYTES
    if spec.purpose == "labels":
        vocabulary += shape.n_vocab * _PIECE_BYTES
    row, type_name = shape.widest_row
    converted = int(_tokens_at_once(spec, context) * row * _CONVERTED_BYTES.get(type_name, _QUANTIZED_BYTES))
    pairs = sum(len(adapter.tensors) // 2 for adapter in adapters)
    nodes = max(_MIN_NODES, _NODES_PER_TENSOR * shape.n_tensors) + _NODES_PER_PAIR * pairs
    graphs = _GRAPHS * nodes * _NODE_BYTES * (2 if pairs else 1)
    return _PROCESS_BYTES + vocabulary + converted + graphs
