"""Trains the scorer: an InternLM2-layout base and its 14 adapters together, from the start.

The loss is on the answer and, through heads that are thrown away, on what the answer rests on, from the bottom up: the
marks of each sentence where it ends, the marks of each supporter turn at the line end that closes it, how many turns so
far had each mark, at the same place, and all seven labels where the digit is predicted. So the base learns to read and
to count from every sample, and an adapter has to learn only which count to say. The first part of the training leaves
the rubric out (short prompts), the second has all of it.
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
# Which block sees the result first, how many values there are, and how many classes each has.
HEADS = (
    (2, len(MARKS), 2),  # sentences
    (3, len(MARKS) + 1, 2),  # turns
    (4, len(MARKS) + 1, 7),  # running counts
    (5, len(Dimension), 5),  # labels
)
SHARES = (1.0, 1.5, 1.0, 1.0, 1.0, 0.3)


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt with its answer.

    Attributes:
        answer_at: Where the answer begins; `digit_at`: where its digit stands.
        ends: Where supporter turns end; `marks`: their marks; `counts`: turns so far with each mark.
        stops: Where the supporter's sentences end; `kinds`: their marks. `spoken`: where the supporter speaks.
        labels: All seven labels, in the order of `Dimension`.
    """

    tokens: list[int]
    answer_at: int
    digit_at: int
    ends: list[int]
    marks: list[list[int]]
    counts: list[list[int]]
    stops: list[int]
    kinds: list[list[int]]
    adapter: int
    spoken: list[int]
    labels: list[int]


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
    asked = rng.choice(list(Dimension)) if rng.random() < (0.25 if short else 0.15) else dimension
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
    transcript = protocol.transcript(language, made.turns)
    read = transcript_tokens(tokens, protocol, made, begins_at=len(ids))
    ids += read.tokens
    ids += tokens.text(prompt.rest[len(transcript) + 1 :])
    ids += [tokens.control("<|im_end|>"), *newline, tokens.control("<|im_start|>"), *tokens.text("assistant\n")]
    answer_at = len(ids)
    label = made.label(dimension)
    said = tokens.text(answer(protocol, language, asked, label))
    digit = tokens.text(str(label))[-1]
    ids += [*said, tokens.control("<|im_end|>")]
    return Sample(
        tokens=ids,
        answer_at=answer_at,
        digit_at=answer_at + said.index(digit),
        ends=read.ends,
        marks=read.marks,
        counts=read.counts,
        stops=read.stops,
        kinds=read.kinds,
        adapter=ADAPTERS.index((language, dimension)),
        spoken=read.spoken,
        labels=[made.label(other) for other in Dimension],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """A dialogue in tokens, each line closed by a line end; places count from where the prompt begins.

    Attributes:
        ends: Where supporter turns end; `marks`: their marks; `counts`: turns so far with each mark.
        stops: Where the supporter's sentences end; `kinds`: their marks. `spoken`: where the supporter speaks.
    """

    tokens: list[int]
    ends: list[int]
    marks: list[list[int]]
    counts: list[list[int]]
    stops: list[int]
    kinds: list[list[int]]
    spoken: list[int]


def transcript_tokens(tokens: Tokens, protocol: Protocol, made: Dialogue, *, begins_at: int) -> Transcript:
    """Return the transcript of a dialogue that begins at the place `begins_at` of a prompt."""
    language = made.card.language
    newline = tokens.text("\n")
    ids: list[int] = []
    ends: list[int] = []
    spoken: list[int] = []
    stops: list[int] = []
    kinds: list[list[int]] = []
    transcript = protocol.transcript(language, made.turns)
    # In English the space after the label begins the first word's piece.
    label_of_supporter = protocol.wording(language).supporter_label.rstrip(" ")
    for turn, line in zip(made.turns, transcript.split("\n"), strict=True):
        before = len(ids)
        if turn.speaker is Speaker.SUPPORTER and ends:
            parts, repeat = made.parts[len(ends) - 1], made.marks[len(ends) - 1].repeat
            ids += tokens.text(label_of_supporter)
            for at, (family, text) in enumerate(parts):
                # Pieces never cross a sentence end, so sentences can be encoded one by one.
                spaced = text if language is Language.CHINESE else " " + text
                ids += tokens.text(spaced)
                stops.append(begins_at + len(ids) - 1)
                kinds.append([int(family == name or (name == "repeat" and repeat and at == 0)) for name in MARKS])
            ids += newline
            spoken += range(begins_at + before + 1, begins_at + len(ids))
        else:
            ids += tokens.text(line) + newline
        if turn.speaker is Speaker.SUPPORTER:
            ends.append(begins_at + len(ids) - 1)
    marks = [[int(getattr(m, name)) for name in (*MARKS, "good")] for m in made.marks]
    counts = [[sum(column) for column in zip(*marks[: at + 1], strict=True)] for at in range(len(marks))]
    return Transcript(tokens=ids, ends=ends[1:], marks=marks, counts=counts, stops=stops, kinds=kinds, spoken=spoken)


def step_losses(
    model: Decoder, heads: nn.ModuleList, batch: list[Sample], *, speech: bool
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return the losses (answer, one for each of HEADS, speech), 1 where the digit is right, the same for each head.

    The speech loss predicts the supporter's words; with it the marks are learned in fewer steps.
    """
    width = max(len(s.tokens) for s in batch)
    tokens = torch.zeros(len(batch), width, dtype=torch.long)
    for row, s in enumerate(batch):
        tokens[row, : len(s.tokens)] = torch.tensor(s.tokens)
    places = (
        [(r, p, k) for r, s in enumerate(batch) for p, k in zip(s.stops, s.kinds, strict=True)],
        [(r, p, k) for r, s in enumerate(batch) for p, k in zip(s.ends, s.marks, strict=True)],
        [(r, p, k) for r, s in enumerate(batch) for p, k in zip(s.ends, s.counts, strict=True)],
        [(r, s.digit_at - 1, s.labels) for r, s in enumerate(batch)],
    )
    losses, right = [], []
    with torch.autocast("cpu", torch.bfloat16):
        hidden, before = model(tokens, torch.tensor([s.adapter for s in batch]))
        rows, at = zip(*[(r, p) for r, s in enumerate(batch) for p in range(s.answer_at, len(s.tokens))], strict=True)
        logits = model.logits(hidden[list(rows), [p - 1 for p in at]]).float()
        for head, (block, _, classes), place in zip(heads, HEADS, places, strict=True):
            where, when, values = (list(column) for column in zip(*place, strict=True))
            guessed = head(before[block][where, when]).float().view(-1, classes)
            expected = torch.tensor(values).view(-1)
            losses.append(functional.cross_entropy(guessed, expected))
            right.append((guessed.argmax(-1) == expected).float())
        losses.append(torch.zeros(()))
        if speech:
            said_rows, said = zip(*[(r, p) for r, s in enumerate(batch) for p in s.spoken], strict=True)
            words = model.logits(hidden[list(said_rows), [p - 1 for p in said]]).float()
            losses[-1] = functional.cross_entropy(words, tokens[list(said_rows), list(said)])
    targets = tokens[list(rows), list(at)]
    weights = torch.tensor([1.0 if p == batch[r].digit_at else 0.02 for r, p in zip(rows, at, strict=True)])
    answer_loss = (functional.cross_entropy(logits, targets, reduction="none") * weights).sum() / weights.sum()
    digit_right = (logits.argmax(-1) == targets)[weights == 1.0].float()
    return torch.stack([answer_loss, *losses]), digit_right, right


def train(
    model: Decoder,
    tokens: Tokens,
    protocol: Protocol,
    *,
    seed: int,
    short_steps: int,
    long_steps: int,
    batch: int = 28,
    peak: float = 2e-3,
    on_checkpoint: Callable[[int], None] | None = None,
) -> None:
    """Train the model in place, printing one line every 50 steps."""
    rng = random.Random(seed)
    width = model.shape.width
    heads = nn.ModuleList(
        nn.Sequential(nn.LayerNorm(width), nn.Linear(width, values * classes)) for _, values, classes in HEADS
    )
    shares = torch.tensor(SHARES)
    decay = [p for n, p in model.named_parameters() if p.dim() >= 2 and "embeddings" not in n]
    rest = [p for n, p in model.named_parameters() if not (p.dim() >= 2 and "embeddings" not in n)]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.05}, {"params": [*rest, *heads.parameters()], "weight_decay": 0.0}],
        lr=peak,
        betas=(0.9, 0.98),
        fused=True,
    )
    total = short_steps + long_steps
    rank, world = parallel.share()
    right: list[Tensor] = []
    heads_right: list[Tensor] = []
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
        totals = torch.zeros(len(SHARES))
        for part in (mine[: len(mine) // 2], mine[len(mine) // 2 :]):
            losses, digit_right, head_right = step_losses(model, heads, part, speech=step < short_steps * 0.6)
            (losses * shares).sum().backward()
            totals += losses.detach() / 2
            right.append(digit_right)
            heads_right.append(torch.stack([values.mean() for values in head_right]))
        parallel.average_gradients([p for g in optimizer.param_groups for p in g["params"]])
        torch.nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seen += sum(len(s.tokens) for s in samples)
        if step % 50 == 49 and rank == 0:
            digit = torch.cat(right[-100:]).mean()
            by_head = " ".join(f"{x:.3f}" for x in torch.stack(heads_right[-100:]).mean(0).tolist())
            parts = " ".join(f"{x:.3f}" for x in totals.tolist())
            speed = seen / (time.monotonic() - since)
            print(
                f"step {step + 1}/{total} digit {digit:.3f} losses {parts} "
                f"right: sentences turns counts labels {by_head} {speed:.0f} tok/s",
                flush=True,
            )
            seen, since = 0, time.monotonic()
            if on_checkpoint is not None:
                on_checkpoint(step + 1)


def shape(vocab: int) -> Shape:
    """Return the scorer's sizes."""
    return Shape(vocab=vocab, width=160, layers=6, heads=5, kv_heads=1, ff=416, n_adapters=len(ADAPTERS))
