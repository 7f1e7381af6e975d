"""Trains the judge from the scorer's base: which of two dialogues on the same story has the better supporter, overall.

The base reads and counts already; what it learns here is to begin to count again in the second dialogue, and to say
which count is higher. The loss is on the answer and, through heads that are thrown away, on what the answer rests on:
the marks of each sentence and turn, how many turns of this dialogue had each mark so far, and how many good turns each
of the two had. Every pair is shown in both orders, so that the place alone says nothing. The first part of the training
leaves the rubric out (short prompts), the second has all of it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from escl.core.dimension import Dimension, Language
from escl.core.judging import JudgingRubric
from escl.core.protocol import Protocol
from tools.demo import parallel
from tools.demo.generator import MARKS, Dialogue
from tools.demo.models import Decoder
from tools.demo.pairs import pair, verdict
from tools.demo.train_scorer import Tokens, transcript_tokens

# Which block sees the result first, how many values there are, and how many classes each has.
HEADS = (
    (2, len(MARKS), 2),  # sentences
    (3, len(MARKS) + 1, 2),  # turns
    (4, len(MARKS) + 1, 7),  # running counts of the dialogue
    (5, 2, 7),  # good turns of the first and of the second dialogue, where the digit is predicted
)
SHARES = (1.0, 0.5, 0.7, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A prompt with its answer, and what can be learned at which place of it: (place, values) for each of HEADS."""

    tokens: list[int]
    answer_at: int
    digit_at: int
    heads: tuple[list[tuple[int, list[int]]], ...]


def answer(language: Language, label: int) -> str:
    """Return the judge's reply in the form that the rubric asks for."""
    return f"The verdict is {label}." if language is Language.ENGLISH else f"结论是{label}。"


def encode(
    tokens: Tokens, protocol: Protocol, rubric: JudgingRubric, made: tuple[Dialogue, Dialogue], *, short: bool
) -> Sample:
    """Return the question which of two dialogues is better, with its answer."""
    first, second = made
    language = first.card.language
    texts = [rubric.transcript(language, one.turns) for one in made]
    question = rubric.question(language, Dimension.OVERALL, *texts)
    newline = tokens.text("\n")
    ids = [1, tokens.control("<|im_start|>"), *tokens.text("user\n")]
    if not short:
        ids += tokens.text(question.prefix)
    one = transcript_tokens(tokens, protocol, first, begins_at=len(ids))
    ids += one.tokens
    between, after = question.rest[len(texts[0]) + 1 :].split(texts[1] + "\n")
    ids += tokens.text(between)
    other = transcript_tokens(tokens, protocol, second, begins_at=len(ids))
    ids += other.tokens + tokens.text(after)
    ids += [tokens.control("<|im_end|>"), *newline, tokens.control("<|im_start|>"), *tokens.text("assistant\n")]
    label = verdict(first, second)
    said = tokens.text(answer(language, label))
    digit_at = len(ids) + said.index(tokens.text(str(label))[-1])
    good = [sum(marks.good for marks in dialogue.marks) for dialogue in made]
    return Sample(
        tokens=[*ids, *said, tokens.control("<|im_end|>")],
        answer_at=len(ids),
        digit_at=digit_at,
        heads=(
            [*zip(one.stops, one.kinds, strict=True), *zip(other.stops, other.kinds, strict=True)],
            [*zip(one.ends, one.marks, strict=True), *zip(other.ends, other.marks, strict=True)],
            [*zip(one.ends, one.counts, strict=True), *zip(other.ends, other.counts, strict=True)],
            [(digit_at - 1, good)],
        ),
    )


def step_losses(model: Decoder, heads: nn.ModuleList, batch: list[Sample]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return the losses (answer, one for each of HEADS), 1 where the digit is right, the same for each head."""
    width = max(len(s.tokens) for s in batch)
    tokens = torch.zeros(len(batch), width, dtype=torch.long)
    for row, s in enumerate(batch):
        tokens[row, : len(s.tokens)] = torch.tensor(s.tokens)
    losses, right = [], []
    with torch.autocast("cpu", torch.bfloat16):
        hidden, before = model(tokens)
        at = [(r, p) for r, s in enumerate(batch) for p in range(s.answer_at, len(s.tokens))]
        rows, places = [r for r, _ in at], [p for _, p in at]
        logits = model.logits(hidden[rows, [p - 1 for p in places]]).float()
        for number, (head, (block, _, classes)) in enumerate(zip(heads, HEADS, strict=True)):
            taught = [(r, p, values) for r, s in enumerate(batch) for p, values in s.heads[number]]
            where, when, values = (list(column) for column in zip(*taught, strict=True))
            guessed = head(before[block][where, when]).float().view(-1, classes)
            expected = torch.tensor(values).view(-1)
            losses.append(functional.cross_entropy(guessed, expected))
            right.append((guessed.argmax(-1) == expected).float())
    targets = tokens[rows, places]
    weights = torch.tensor([1.0 if p == batch[r].digit_at else 0.02 for r, p in at])
    answer_loss = (functional.cross_entropy(logits, targets, reduction="none") * weights).sum() / weights.sum()
    digit_right = (logits.argmax(-1) == targets)[weights == 1.0].float()
    return torch.stack([answer_loss, *losses]), digit_right, right


def train(
    model: Decoder,
    tokens: Tokens,
    protocol: Protocol,
    rubric: JudgingRubric,
    *,
    seed: int,
    short_steps: int,
    long_steps: int,
    batch: int = 16,
    peak: float = 1e-3,
    on_checkpoint: Callable[[int], None] | None = None,
) -> None:
    """Train the model in place, printing one line every 25 steps."""
    rng = random.Random(seed)
    width = model.shape.width
    heads = nn.ModuleList(
        nn.Sequential(nn.LayerNorm(width), nn.Linear(width, values * classes)) for _, values, classes in HEADS
    )
    trained = [*(p for n, p in model.named_parameters() if ".lora_" not in n), *heads.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=peak, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    shares = torch.tensor(SHARES)
    total = short_steps + long_steps
    rank, world = parallel.share()
    right: list[Tensor] = []
    heads_right: list[Tensor] = []
    seen, since = 0, time.monotonic()
    for step in range(total):
        rate = min(1.0, (step + 1) / 40) * (0.04 + 0.96 * max(0.0, 1 - max(0, step - total // 3) / (total * 2 / 3)))
        for group in optimizer.param_groups:
            group["lr"] = peak * rate
        short = step < short_steps
        samples = []
        for at in range((batch if short else batch * 3 // 4) // 2):
            first, second = pair(rng, list(Language)[at % 2], protocol)
            samples += [
                encode(tokens, protocol, rubric, made, short=short) for made in ((first, second), (second, first))
            ]
        samples.sort(key=lambda s: len(s.tokens))
        mine = samples[rank::world]
        totals = torch.zeros(len(SHARES))
        # Two micro-batches by length: English prompts are longer than Chinese ones.
        for part in (mine[: len(mine) // 2], mine[len(mine) // 2 :]):
            losses, digit_right, head_right = step_losses(model, heads, part)
            (losses * shares).sum().backward()
            totals += losses.detach() / 2
            right.append(digit_right)
            heads_right.append(torch.stack([values.mean() for values in head_right]))
        parallel.average_gradients(trained)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seen += sum(len(s.tokens) for s in samples)
        if step % 25 == 24 and rank == 0:
            digit = torch.cat(right[-50:]).mean()
            by_head = " ".join(f"{x:.3f}" for x in torch.stack(heads_right[-50:]).mean(0).tolist())
            parts = " ".join(f"{x:.3f}" for x in totals.tolist())
            speed = seen / (time.monotonic() - since)
            print(
                f"step {step + 1}/{total} digit {digit:.3f} losses {parts} "
                f"right: sentences turns counts good {by_head} {speed:.0f} tok/s",
                flush=True,
            )
            seen, since = 0, time.monotonic()
            if on_checkpoint is not None:
                on_checkpoint(step + 1)
