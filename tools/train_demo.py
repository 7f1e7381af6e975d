"""Trains the demo models, converts them with our own converter and writes their manifests.

    python tools/train_demo.py --out gguf/demo

Needs torch (measured with 2.13.0, CPU), safetensors, sentencepiece with protobuf, tokenizers, and the packages of escl.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
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
from escl.core.protocol import Protocol, load_protocol
from tools.demo import train_scorer, train_speaker, vocabulary
from tools.demo.checkpoint import save_adapter, save_model
from tools.demo.generator import answer, dialogue
from tools.demo.manifests import model_card, write_manifest
from tools.demo.models import Decoder

SCORER_VOCAB = 3584
SPEAKER_VOCAB = 4096
SPEAKERS = {"seeker": (Speaker.SEEKER, ""), "warm": (Speaker.SUPPORTER, "warm"), "curt": (Speaker.SUPPORTER, "curt")}


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


def train_the_scorer(protocol: Protocol, folder: Path, *, seed: int, scale: float) -> None:
    """Write the scorer's checkpoint into `folder`/base and its adapters into `folder`/<dimension>_<language>."""
    torch.manual_seed(seed)
    model_bytes = vocabulary.train_sentencepiece(scorer_texts(protocol, seed), SCORER_VOCAB)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model_bytes)
    tokens = train_scorer.Tokens(pieces, SCORER_VOCAB)
    model = Decoder(train_scorer.shape(SCORER_VOCAB), fused=True)
    train_scorer.train(
        model, tokens, protocol, seed=seed, short_steps=round(1000 * scale), long_steps=round(350 * scale)
    )
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


def train_a_speaker(
    name: str, protocol: Protocol, tokenizer: Tokenizer, folder: Path, *, seed: int, scale: float
) -> None:
    """Write a seeker's or supporter's checkpoint into `folder`."""
    torch.manual_seed(seed)
    speaker, style = SPEAKERS[name]
    shape = (train_speaker.seeker_shape if speaker is Speaker.SEEKER else train_speaker.supporter_shape)(SPEAKER_VOCAB)
    model = Decoder(shape, fused=False)
    steps = round((700 if speaker is Speaker.SEEKER else 400) * scale)
    train_speaker.train(model, tokenizer, train_speaker.made_for(speaker, style, protocol), seed=seed, steps=steps)
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


def main() -> None:
    """Parse the command line and do the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where GGUF files and manifests go")
    parser.add_argument("--checkpoints", type=Path, help="keep the Hugging Face checkpoints here")
    parser.add_argument("--only", nargs="*", choices=[*SPEAKERS, "scorer", "convert"], help="these parts, not all")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies all training steps; below 1 for a try")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        checkpoints = options.checkpoints or Path(scratch)
        run(options, checkpoints, set(options.only or [*SPEAKERS, "scorer", "convert"]))


def run(options: argparse.Namespace, checkpoints: Path, parts: set[str]) -> None:
    """Train the parts, then convert what is in `checkpoints`."""
    protocol = load_protocol("open")
    for name in ("scorer", *SPEAKERS):
        if name not in parts:
            continue
        folder = checkpoints / name
        shutil.rmtree(folder, ignore_errors=True)
        print(f"{name}: training", flush=True)
        if name == "scorer":
            train_the_scorer(protocol, folder, seed=options.seed, scale=options.scale)
        else:
            tokenizer = vocabulary.train_byte_level(speaker_texts(protocol, options.seed), SPEAKER_VOCAB)
            train_a_speaker(name, protocol, tokenizer, folder, seed=options.seed, scale=options.scale)
        card = folder / "base" if name == "scorer" else folder
        (card / "README.md").write_text(model_card(name), encoding="utf-8")
    if "convert" in parts:
        options.out.mkdir(parents=True, exist_ok=True)
        to_gguf(checkpoints, options.out)


if __name__ == "__main__":
    main()
