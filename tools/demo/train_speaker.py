"""Trains a seeker or a supporter: a Qwen2-layout model, on whole dialogues, with loss on its own turns only."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch.nn import functional

from escl.core.dialogue import Message, Speaker
from escl.core.dimension import Language
from escl.core.protocol import Protocol
from tools.demo import parallel
from tools.demo.generator import Dialogue, dialogue
from tools.demo.models import Decoder, Shape

Make = Callable[[random.Random, Language, bool], list[Message]]


@dataclass(frozen=True, slots=True)
class Sample:
    """Token ids, and for each whether it is learned."""

    tokens: list[int]
    learned: list[bool]


def seeker_messages(protocol: Protocol, made: Dialogue) -> list[Message]:
    """Return the conversation as the seeker sees it; it ends with the seeker's last turn."""
    return protocol.seeker_messages(made.card, made.turns[:-1])


def supporter_messages(protocol: Protocol, made: Dialogue) -> list[Message]:
    """Return the conversation as the supporter sees it."""
    return protocol.supporter_messages(made.card.language, made.turns)


def seeker_dialogue(rng: random.Random, language: Language, protocol: Protocol) -> Dialogue:
    """Return a dialogue for the seeker to learn from: any kind of supporter."""
    return dialogue(rng, language=language, protocol=protocol, style=rng.choice(("warm", "curt", "mixed")))


def encode(tokenizer: Tokenizer, messages: list[Message]) -> Sample:
    """Return the conversation in ChatML, as the engine puts it together; assistant turns are learned."""
    start, end = tokenizer.token_to_id("<|im_start|>"), tokenizer.token_to_id("<|im_end|>")
    newline = tokenizer.encode("\n").ids
    tokens: list[int] = []
    learned: list[bool] = []

    def add(ids: list[int], learn: bool) -> None:
        tokens.extend(ids)
        learned.extend([learn] * len(ids))

    for message in messages:
        opening = tokenizer.encode(f"{message.role}\n").ids
        content = tokenizer.encode(message.content).ids
        mine = message.role == "assistant"
        # A line end and what follows it are never one token (Qwen2's cut), so both parts can be encoded alone.
        add([start, *opening], False)
        add([*content, end], mine)
        add(newline, False)
    return Sample(tokens, learned)


def train(
    model: Decoder,
    tokenizer: Tokenizer,
    make: Make,
    *,
    seed: int,
    steps: int,
    batch: int = 16,
    peak: float = 2.5e-3,
    on_checkpoint: Callable[[int], None] | None = None,
) -> None:
    """Train the model in place, printing one line every 50 steps.

    The first two thirds leave out the instructions around the card, which are the same in every prompt.
    """
    rng = random.Random(seed)
    decay = [p for n, p in model.named_parameters() if p.dim() == 2 and "embeddings" not in n]
    rest = [p for n, p in model.named_parameters() if not (p.dim() == 2 and "embeddings" not in n)]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}],
        lr=peak,
        betas=(0.9, 0.98),
        fused=True,
    )
    rank, world = parallel.share()
    seen, since = 0, time.monotonic()
    losses: list[float] = []
    for step in range(steps):
        rate = min(1.0, (step + 1) / 100) * (0.03 + 0.97 * max(0.0, 1 - max(0, step - steps // 4) / (steps * 3 / 4)))
        for group in optimizer.param_groups:
            group["lr"] = peak * rate
        for language in Language:
            short = step < steps * 2 // 3
            samples = [encode(tokenizer, make(rng, language, short)) for _ in range(batch // 2)][rank::world]
            loss = _loss(model, samples)
            (loss / 2).backward()
            losses.append(loss.item())
            seen += sum(len(s.tokens) for s in samples)
        parallel.average_gradients(model.parameters())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 50 == 49 and rank == 0:
            english, chinese = sum(losses[-100::2]) / 50, sum(losses[-99::2]) / 50
            rate = seen / (time.monotonic() - since)
            print(f"step {step + 1}/{steps} loss en {english:.3f} zh {chinese:.3f} {rate:.0f} tok/s", flush=True)
            seen, since = 0, time.monotonic()
            if on_checkpoint is not None:
                on_checkpoint(step + 1)


def _loss(model: Decoder, samples: list[Sample]) -> torch.Tensor:
    width = max(len(s.tokens) for s in samples)
    tokens = torch.zeros(len(samples), width, dtype=torch.long)
    learned = torch.zeros(len(samples), width, dtype=torch.bool)
    for row, s in enumerate(samples):
        tokens[row, : len(s.tokens)] = torch.tensor(s.tokens)
        learned[row, : len(s.tokens)] = torch.tensor(s.learned)
    with torch.autocast("cpu", torch.bfloat16):
        hidden, _ = model(tokens)
        logits = model.logits(hidden[:, :-1][learned[:, 1:]]).float()
    return functional.cross_entropy(logits, tokens[:, 1:][learned[:, 1:]])


def seeker_shape(vocab: int) -> Shape:
    """Return the seeker's sizes."""
    return Shape(vocab=vocab, width=192, layers=5, heads=6, kv_heads=2, ff=512)


def supporter_shape(vocab: int) -> Shape:
    """Return a supporter's sizes."""
    return Shape(vocab=vocab, width=160, layers=4, heads=5, kv_heads=1, ff=416)


def made_for(speaker: Speaker, style: str, protocol: Protocol) -> Make:
    """Return what makes the conversations that a seeker, or a supporter of that style, learns from."""

    def make(rng: random.Random, language: Language, short: bool) -> list[Message]:
        if speaker is Speaker.SUPPORTER:
            made = dialogue(rng, language=language, protocol=protocol, style=style, free=0.0)
            return supporter_messages(protocol, made)
        made = seeker_dialogue(rng, language, protocol)
        messages = seeker_messages(protocol, made)
        return [Message("system", made.card.text), *messages[1:]] if short else messages

    return make
