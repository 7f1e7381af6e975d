"""Trains the demo models, converts them with our own converter and writes their manifests.

    python tools/train_demo.py --out gguf/demo

Needs torch (2.13.0, CPU build, was used), safetensors, sentencepiece with protobuf, tokenizers, and what escl needs.
Everything is made from the phrase banks in tools/demo and fixed seeds; nothing is downloaded. The number of processes
and the CPU change the last digits of a gradient, so a second training gives the same kind of model, not the same bytes.

What is trained, in the layout of the models that escl is made for, so that they pass through the same converter:

seeker      qwen2, 3.5 M parameters; system message: the open protocol's seeker prompt with a card inside. It learns
            from invented cards (19 kinds of worry) and from half of our own role cards, as tools/demo/told.py tells
            them. On other cards it often misses the topic, and some of its sentences are garbled.
warm, curt  qwen2, 2.4 M parameters each; system message: the open protocol's supporter prompt.
judge       internlm2, 2.7 M parameters, begun as the scorer's base and trained on. It compares two dialogues in one
            respect only, Overall; what it says about others means nothing.
scorer      internlm2, 2.7 M parameters, and 14 LoRA adapters (r 8, alpha 16) on wqkv, trained together with it. Which
            dimension is rated is decided by the adapter: in a part of the samples the prompt names another one.

What the scorer learns to see, and how labels follow from it, is stated in tools/demo/generator.py. Models are stored as
q8_0, adapters as f16, 16.3 MB in all.

The committed models were trained one part at a time on 4 busy cores of an AMD EPYC (Zen 5): scorer 26 minutes with
3 processes, judge 19 with 2, seeker 29 with 2, warm 13 with 1, curt 8 with 1. The warm supporter was trained before
the generator wrote "an" in front of a job that begins with a vowel.

Agreement of the committed scorer with the generator on held-out dialogues of five rounds, through GGUF and llama.cpp
(tools/demo/measure.py). All three samples taken, with different seeds, are pooled: 250 dialogues for each number.

             Fluency  Expression  Empathy  Information  Humanoid  Skillful  Overall
    English    92.4 %      83.2 %   82.4 %       94.8 %    93.2 %    92.0 %   86.8 %
    Chinese    93.6 %      88.8 %   89.6 %       96.0 %    90.8 %    93.2 %   86.8 %

Over all 90.3 % of 3500; one label was off by more than one; every reply had a label. At 250 dialogues the 95 % interval
reaches about 5 points to either side, so English Empathy and Expression are not surely above 80 %: single samples of
100 gave 87 and 79 for the one, 86 and 80 for the other.

Agreement of the committed judge on 250 held-out pairs in each language, every pair in both orders
(tools/demo/measure_judge.py): English 453 of 500 labels, Chinese 459; of 381 pairs that are not equal 370 are decided
rightly, none wrongly and 11 are called ties; 3 of the 500 pairs flip, and the first place is preferred in 400 of 795
readings with a preference.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import sentencepiece
import torch
from tokenizers import Tokenizer

from escl.convert import convert
from escl.core.bundled import bundled
from escl.core.card_file import load_cards
from escl.core.dialogue import Speaker
from escl.core.dimension import Dimension, Language
from escl.core.judging import load_rubric
from escl.core.protocol import Protocol, load_protocol
from tools.demo import parallel, train_judge, train_scorer, train_speaker, vocabulary
from tools.demo.checkpoint import load_model, save_adapter, save_model
from tools.demo.generator import answer, dialogue
from tools.demo.manifests import model_card, write_manifest
from tools.demo.models import Decoder

SCORER_VOCAB = 3584
SPEAKER_VOCAB = 4096
SCORER_STEPS = (700, 300)
JUDGE_STEPS = (350, 150)
SPEAKER_STEPS = {"seeker": 1400, "warm": 1200, "curt": 600}
SPEAKERS = {"seeker": (Speaker.SEEKER, ""), "warm": (Speaker.SUPPORTER, "warm"), "curt": (Speaker.SUPPORTER, "curt")}

PARTS = ("scorer", "judge", *SPEAKERS, "convert")


def scorer_texts(protocol: Protocol, seed: int) -> list[str]:
    """Return what the scorer's tokenizer is trained on."""
    rng = random.Random(seed)
    texts = []
    for language in Language:
        for _ in range(3000):
            made = dialogue(rng, language=language, protocol=protocol, style=rng.choice(("mixed", "warm", "curt")))
            texts.append(protocol.transcript(language, made.turns))
        for dimension in Dimension:
            prompt = protocol.scorer_prompt(language, dimension, [])
            texts += [prompt.prefix + prompt.rest + answer(protocol, language, dimension, 3)] * 50
    return texts


def speaker_texts(protocol: Protocol, seed: int) -> list[str]:
    """Return what the speakers' tokenizer is trained on."""
    rng = random.Random(seed)
    texts = []
    for language in Language:
        for _ in range(2500):
            made = dialogue(rng, language=language, protocol=protocol, style=rng.choice(("mixed", "warm", "curt")))
            texts += [made.card.text, *[turn.text for turn in made.turns]]
        texts += [protocol.wording(language).seeker_prompt, protocol.wording(language).supporter_prompt] * 20
        for card in load_cards(bundled("role_cards") / f"{language.value}.toml"):
            texts += [card.text] * 12
    return texts


def train_the_scorer(protocol: Protocol, folder: Path, model_bytes: bytes, *, seed: int, scale: float) -> None:
    """Write the scorer's checkpoint into `folder`/base and its adapters into `folder`/<dimension>_<language>."""
    torch.manual_seed(seed)
    tokens = train_scorer.Tokens(sentencepiece.SentencePieceProcessor(model_proto=model_bytes), SCORER_VOCAB)
    model = Decoder(train_scorer.shape(SCORER_VOCAB), fused=True)
    short_steps, long_steps = (round(steps * scale) for steps in SCORER_STEPS)
    train_scorer.train(model, tokens, protocol, seed=seed, short_steps=short_steps, long_steps=long_steps)
    if parallel.share()[0] == 0:
        save_scorer(model, model_bytes, folder)


def save_scorer(model: Decoder, model_bytes: bytes, folder: Path) -> None:
    """Write base and adapters as checkpoints."""
    base = folder / "base"
    base.mkdir(parents=True)
    vocabulary.save_sentencepiece(model_bytes, base, SCORER_VOCAB)
    save_model(model, base, eos=2, pad=2, bos=1)
    for number, (language, dimension) in enumerate(train_scorer.ADAPTERS):
        adapter = folder / f"{dimension.value}_{language.value}"
        adapter.mkdir()
        save_adapter(model, number, adapter, base="demo/scorer")


def train_the_judge(protocol: Protocol, scorer: Path, folder: Path, *, seed: int, scale: float) -> None:
    """Write the judge's checkpoint into `folder`, trained from the scorer's base in `scorer`."""
    torch.manual_seed(seed)
    model_bytes = (scorer / "tokenizer.model").read_bytes()
    tokens = train_scorer.Tokens(sentencepiece.SentencePieceProcessor(model_proto=model_bytes), SCORER_VOCAB)
    model = Decoder(replace(train_scorer.shape(SCORER_VOCAB), n_adapters=0), fused=True)
    load_model(model, scorer)
    short_steps, long_steps = (round(steps * scale) for steps in JUDGE_STEPS)

    def save(step: int = 0) -> None:
        if parallel.share()[0] == 0:
            folder.mkdir(parents=True, exist_ok=True)
            vocabulary.save_sentencepiece(model_bytes, folder, SCORER_VOCAB)
            save_model(model, folder, eos=2, pad=2, bos=1)

    train_judge.train(
        model,
        tokens,
        protocol,
        load_rubric("open"),
        seed=seed,
        short_steps=short_steps,
        long_steps=long_steps,
        on_checkpoint=save,
    )
    save()


def train_a_speaker(
    name: str, protocol: Protocol, tokenizer_json: str, folder: Path, *, seed: int, scale: float
) -> None:
    """Write a seeker's or supporter's checkpoint into `folder`."""
    torch.manual_seed(seed)
    tokenizer = Tokenizer.from_str(tokenizer_json)
    speaker, style = SPEAKERS[name]
    shape = train_speaker.seeker_shape if speaker is Speaker.SEEKER else train_speaker.supporter_shape
    model = Decoder(shape(SPEAKER_VOCAB), fused=False)
    steps = round(SPEAKER_STEPS[name] * scale)
    train_speaker.train(model, tokenizer, train_speaker.made_for(speaker, style, protocol), seed=seed, steps=steps)
    if parallel.share()[0] == 0:
        save_speaker(model, tokenizer, folder)


def save_speaker(model: Decoder, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a seeker or supporter as a checkpoint."""
    folder.mkdir(parents=True)
    vocabulary.save_byte_level(tokenizer, folder)
    ends = [tokenizer.token_to_id(token) for token in ("<|im_end|>", "<|endoftext|>")]
    save_model(model, folder, eos=ends[0], pad=ends[1], bos=None)


def to_gguf(checkpoints: Path, out: Path) -> None:
    """Convert every checkpoint there is and write its manifest."""
    for name in SPEAKERS:
        if (checkpoints / name).is_dir():
            convert(checkpoints / name, out / f"{name}.gguf", outtype="q8_0", force=True)
            write_manifest(out, name)
    scorer = checkpoints / "scorer"
    if scorer.is_dir():
        convert(scorer / "base", out / "scorer.gguf", outtype="q8_0", force=True)
        (out / "scorer").mkdir(exist_ok=True)
        for language, dimension in train_scorer.ADAPTERS:
            name = f"{dimension.value}_{language.value}"
            convert(scorer / name, out / "scorer" / f"{name}.gguf", outtype="f16", base=scorer / "base", force=True)
        write_manifest(out, "scorer")
    if (checkpoints / "judge").is_dir():
        convert(checkpoints / "judge", out / "judge.gguf", outtype="q8_0", force=True)
        write_manifest(out, "judge")


def main() -> None:
    """Parse the command line and do the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where GGUF files and manifests go")
    parser.add_argument("--checkpoints", type=Path, help="keep the Hugging Face checkpoints here")
    parser.add_argument("--only", nargs="*", choices=PARTS, help="these parts, not all")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--processes", type=int, default=3, help="of one thread each; the result depends on it a little"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies all training steps; below 1 for a try")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        checkpoints = options.checkpoints or Path(scratch)
        run(options, checkpoints, set(options.only or PARTS))


def run(options: argparse.Namespace, checkpoints: Path, parts: set[str]) -> None:
    """Train the parts, then convert what is in `checkpoints`."""
    protocol = load_protocol("open")
    for name in PARTS[:-1]:
        if name not in parts:
            continue
        folder = checkpoints / name
        shutil.rmtree(folder, ignore_errors=True)
        print(f"{name}: training", flush=True)
        if name == "scorer":
            pieces = vocabulary.train_sentencepiece(scorer_texts(protocol, options.seed), SCORER_VOCAB)
            work = partial(train_the_scorer, protocol, folder, pieces)
        elif name == "judge":
            work = partial(train_the_judge, protocol, checkpoints / "scorer" / "base", folder)
        else:
            tokenizer = vocabulary.train_byte_level(speaker_texts(protocol, options.seed), SPEAKER_VOCAB)
            work = partial(train_a_speaker, name, protocol, tokenizer.to_str(), folder)
        parallel.in_processes(options.processes, partial(work, seed=options.seed, scale=options.scale))
        card = folder / "base" if name == "scorer" else folder
        (card / "README.md").write_text(model_card(name), encoding="utf-8")
    if "convert" in parts:
        options.out.mkdir(parents=True, exist_ok=True)
        to_gguf(checkpoints, options.out)


if __name__ == "__main__":
    main()
