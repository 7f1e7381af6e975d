"""Trains the scorer: an InternLM2-layout base and its 14 adapters together, from the start.

The loss is on the answer, and, through a head that is thrown away, on the marks of each supporter turn at the line end
that closes it. The first part of the training leaves the rubric out (short prompts), the second has the whole prompt.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import sentencepiece
import torch
from torch import Tensor, nn
from torch.nn import functional

from escl.core.dialogue import Speaker
from escl.core.dimension import Dimension, Language
from escl.core.protocol import Protocol
from tools.demo import parallel
from tools.demo.generator import MARKS, Dialogue, answer, dialogue
from tools.demo.models import Decoder, Shape
from tools.demo.vocabulary import INTERNLM2_CONTROL

ADAPTERS = tuple((language, dimension) for language in Language for dimension in Dimension)
TAP = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """Token ids; where the answer begins; where supporter turns end, and their marks; where the supporter speaks."""

    tokens: list[int]
    answer_at: int
    digit_at: int
    ends: list[int]
    marks: list[list[float]]
    adapter: int
    spoken: list[int]


@dataclass(slots=True)
class Tokens:
    """The scorer's prompt in tokens, put together as the engine does: control ids by number, text as text."""

    model: sentencepiece.SentencePieceProcessor
    vocab: int
    pieces: dict[str, list[int]] = field(default_factory=dict)

    def control(self, token: str) -> int:
        return self.vocab - len(INTERNLM2_CONTROL) + INTERNLM2_CONTROL.index(token)

    def text(self, text: str) -> list[int]:
        if text not in self.pieces:
            ids = self.model.encode(text)
            if len(self.pieces) < 50_000:
                self.pieces[text] = ids
            return ids
        return self.pieces[text]


def sample(tokens: Tokens, protocol: Protocol, rng: random.Random, *, short: bool, index: int) -> Sample:
    """Return one training sample for adapter `index`."""
    language, dimension = ADAPTERS[index]
    draw = rng.random()
    style = "mixed" if draw < 0.86 else "warm" if draw < 0.93 else "curt"
    made = dialogue(rng, language=language, protocol=protocol, style=style, focus=dimension)
    asked = rng.choice(list(Dimension)) if rng.random() < (0.4 if short else 0.15) else dimension
    return encode(tokens, protocol, made, dimension, short=short, asked=asked)


def encode(
    tokens: Tokens,
    protocol: Protocol,
    made: Dialogue,
    dimension: Dimension,
    *,
    short: bool,
    asked: Dimension | None = None,
) -> Sample:
    """Return the prompt about one dimension of a dialogue with its answer.

    `asked` is the dimension that the words of the prompt name. Where it differs, the label still is that of
    `dimension`: so the adapters decide what is rated, and not the prompt alone.
    """
    language = made.card.language
    asked = asked or dimension
    prompt = protocol.scorer_prompt(language, asked, made.turns)
    ids = [1, tokens.control("<|im_start|>"), *tokens.text("user\n")]
    if not short:
        ids += tokens.text(prompt.prefix)
    newline = tokens.text("\n")
    ends: list[int] = []
    spoken: list[int] = []
    transcript = protocol.transcript(language, made.turns)
    for turn, line in zip(made.turns, transcript.split("\n"), strict=True):
        before = len(ids)
        ids += tokens.text(line) + newline
        if turn.speaker is Speaker.SUPPORTER:
            ends.append(len(ids) - 1)
            spoken += range(before + 1, len(ids))
    ids += tokens.text(prompt.rest[len(transcript) + 1 :])
    ids += [tokens.control("<|im_end|>"), *newline, tokens.control("<|im_start|>"), *tokens.text("assistant\n")]
    answer_at = len(ids)
    label = made.label(dimension)
    said = tokens.text(answer(protocol, language, asked, label))
    digit = tokens.text(str(label))[-1]
    ids += [*said, tokens.control("<|im_end|>")]
    marks = [[float(getattr(m, name)) for name in (*MARKS, "good")] for m in made.marks]
    return Sample(
        ids, answer_at, answer_at + said.index(digit), ends[1:], marks, ADAPTERS.index((language, dimension)), spoken
    )


def step_losses(
    model: Decoder, head: nn.Module, batch: list[Sample], *, speech: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return (answer loss, marks loss, speech loss, 1 where the digit is right, 1 where a mark is right).

    The speech loss predicts the supporter's words. A repeated sentence is easy to predict for whoever looks back, so
    this is how the model learns to see repetition early.
    """
    width = max(len(s.tokens) for s in batch)
    tokens = torch.zeros(len(batch), width, dtype=torch.long)
    for row, s in enumerate(batch):
        tokens[row, : len(s.tokens)] = torch.tensor(s.tokens)
    adapter = torch.tensor([s.adapter for s in batch])
    with torch.autocast("cpu", torch.bfloat16):
        hidden, tapped = model(tokens, adapter, TAP)
        rows, at = zip(*[(r, p) for r, s in enumerate(batch) for p in range(s.answer_at, len(s.tokens))], strict=True)
        logits = model.logits(hidden[list(rows), [p - 1 for p in at]]).float()
        turn_rows, ends = zip(*[(r, e) for r, s in enumerate(batch) for e in s.ends], strict=True)
        guessed = head(tapped[list(turn_rows), list(ends)]).float()
        speech_loss = torch.zeros(())
        if speech:
            said_rows, said = zip(*[(r, p) for r, s in enumerate(batch) for p in s.spoken], strict=True)
            words = model.logits(hidden[list(said_rows), [p - 1 for p in said]]).float()
            speech_loss = functional.cross_entropy(words, tokens[list(said_rows), list(said)])
    targets = tokens[list(rows), list(at)]
    weights = torch.tensor([1.0 if p == batch[r].digit_at else 0.02 for r, p in zip(rows, at, strict=True)])
    losses = functional.cross_entropy(logits, targets, reduction="none")
    marks = torch.tensor([m for s in batch for m in s.marks])
    digits = weights == 1.0
    return (
        (losses * weights).sum() / weights.sum(),
        functional.binary_cross_entropy_with_logits(guessed, marks),
        speech_loss,
        (logits.argmax(-1) == targets)[digits].float(),
        ((guessed > 0) == (marks > 0.5)).float(),
    )


def train(
    model: Decoder,
    tokens: Tokens,
    protocol: Protocol,
    *,
    seed: int,
    short_steps: int,
    long_steps: int,
    batch: int = 28,
    peak: float = 2.5e-3,
    on_checkpoint: Callable[[int], None] | None = None,
) -> None:
    """Train the model in place, printing one line every 50 steps."""
    rng = random.Random(seed)
    head = nn.Sequential(nn.LayerNorm(model.shape.width), nn.Linear(model.shape.width, len(MARKS) + 1))
    decay = [p for n, p in model.named_parameters() if p.dim() >= 2 and "embeddings" not in n]
    rest = [p for n, p in model.named_parameters() if not (p.dim() >= 2 and "embeddings" not in n)]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.05}, {"params": [*rest, *head.parameters()], "weight_decay": 0.0}],
        lr=peak,
        betas=(0.9, 0.98),
        fused=True,
    )
    total = short_steps + long_steps
    rank, world = parallel.share()
    right: list[Tensor] = []
    marks_right: list[Tensor] = []
    seen, since = 0, time.monotonic()
    for step in range(total):
        rate = min(1.0, (step + 1) / 100) * (0.05 + 0.95 * max(0.0, 1 - max(0, step - total // 3) / (total * 2 / 3)))
        for group in optimizer.param_groups:
            group["lr"] = peak * rate
        short = step < short_steps
        size = batch if short else batch // 2
        order = rng.sample(range(14), 14) * 2
        samples = [sample(tokens, protocol, rng, short=short, index=order[i]) for i in range(size)]
        # Two micro-batches by length: English prompts are longer than Chinese ones.
        samples.sort(key=lambda s: len(s.tokens))
        mine = samples[rank::world]
        totals = torch.zeros(3)
        for part in (mine[: len(mine) // 2], mine[len(mine) // 2 :]):
            answer_loss, marks_loss, speech_loss, digit_right, mark_right = step_losses(
                model, head, part, speech=step < short_steps * 0.6
            )
            (answer_loss + 2.0 * marks_loss + 0.3 * speech_loss).backward()
            totals += torch.stack([answer_loss, marks_loss, speech_loss]).detach() / 2
            right.append(digit_right)
            marks_right.append(mark_right.mean(0))
        parallel.average_gradients([p for g in optimizer.param_groups for p in g["params"]])
        torch.nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seen += sum(len(s.tokens) for s in samples)
        if step % 50 == 49 and rank == 0:
            digit = torch.cat(right[-100:]).mean()
            by_mark = " ".join(f"{x:.3f}" for x in torch.stack(marks_right[-100:]).mean(0).tolist())
            answer_loss, marks_loss, speech_loss = totals.tolist()
            print(
                f"step {step + 1}/{total} digit {digit:.3f} loss: answer {answer_loss:.3f} marks "
                f"{marks_loss:.3f} speech {speech_loss:.3f} marks right [{by_mark}] "
                f"{seen / (time.monotonic() - since):.0f} tok/s",
                flush=True,
            )
            seen, since = 0, time.monotonic()
            if on_checkpoint is not None:
                on_checkpoint(step + 1)


def shape(vocab: int) -> Shape:
    """Return the scorer's sizes."""
    return Shape(vocab=vocab, width=160, layers=5, heads=5, kv_heads=1, ff=416, n_adapters=len(ADAPTERS))
