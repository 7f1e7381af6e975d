"""Byte-level BPE vocabularies from tokenizer.json, as Qwen2 and Qwen1.5 publish them.

llama.cpp splits text by a rule that the GGUF file only names ("qwen2"), so a tokenizer.json is taken only when its own
normalizer and pre-tokenizer are that rule.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from escl.convert.folder import MAX_TOKENIZER_BYTES, Fields, file_in, read_json, required_file_in
from escl.convert.vocabulary import (
    AddedToken,
    TokenizerConfig,
    TokenType,
    Vocabulary,
    added_token,
    check_vocabulary,
    merged,
    pads,
)
from escl.errors import ConvertError

# tokenizer.json of Qwen/Qwen1.5-14B-Chat; llama.cpp's LLAMA_VOCAB_PRE_TYPE_QWEN2 states it as the rule it implements.
_QWEN2_SPLIT: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPECIAL: Final = {"bos": "bos_token", "eos": "eos_token", "padding": "pad_token"}


def read_bpe(folder: Path, *, config: Fields, n_vocab: int) -> tuple[Vocabulary, list[Path]]:
    """Return the vocabulary of the checkpoint in `folder`, padded to `n_vocab` tokens, and the files it came from.

    Args:
        folder: Holds tokenizer.json, and tokenizer_config.json when there is one.
        config: config.json, which names special tokens where tokenizer_config.json does not.
        n_vocab: Rows of the embedding.

    Raises:
        ConvertError: No such vocabulary, not Qwen2's kind, contradictory, or larger than the embedding.
    """
    path = required_file_in(folder, "tokenizer.json", why="llama.cpp needs the tokenizer; download it too")
    tokenizer = Fields(read_json(path, max_bytes=MAX_TOKENIZER_BYTES), where=str(path))
    _check_rule(tokenizer, path)
    settings = TokenizerConfig(folder)
    added = merged([*_listed(tokenizer), *settings.added_tokens()], where=folder)
    texts, types, notes = _tokens(tokenizer.table("model"), added, n_vocab=n_vocab)
    vocabulary = Vocabulary(
        model="gpt2",
        pre="qwen2",
        tokens=texts,
        types=types,
        merges=_merges(tokenizer.table("model")),
        special=_special(
            settings, {text: token_id for token_id, text in enumerate(texts)}, folder=folder, config=config
        ),
        add_bos=False,
        chat_template=settings.chat_template(),
        notes=notes,
    )
    check_vocabulary(vocabulary, where=path)
    generation = file_in(folder, "generation_config.json")
    return vocabulary, [path, *settings.files(), *([generation] if generation else [])]


def _check_rule(tokenizer: Fields, path: Path) -> None:
    model = tokenizer.table("model")
    if model.text("type") != "BPE" or model.flag("byte_fallback", default=False) or model.text("unk_token"):
        raise ConvertError(f"{path}: model is not a byte-level BPE")
    for key in ("ignore_merges", "fuse_unk"):
        if model.flag(key, default=False):
            raise ConvertError(f"{path}: model.{key} is true, which llama.cpp's qwen2 tokenizer does not do")
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.entries.get(key):
            raise ConvertError(f"{path}: model.{key} is set, which llama.cpp's qwen2 tokenizer does not do")
    normalizer = tokenizer.entries.get("normalizer")
    if normalizer != {"type": "NFC"}:
        raise ConvertError(f"{path}: normalizer is {normalizer!r}; Qwen2's is NFC alone")
    if not _is_qwen2_split(tokenizer.table("pre_tokenizer")):
        raise ConvertError(
            f"{path}: pre_tokenizer is not Qwen2's, so llama.cpp would cut the text in other places",
            hint="only tokenizers of the Qwen1.5, Qwen2 and Qwen2.5 families can be carried over",
        )


def _is_qwen2_split(pre_tokenizer: Fields) -> bool:
    steps = pre_tokenizer.items("pretokenizers")
    if pre_tokenizer.text("type") != "Sequence" or len(steps) != 2:
        return False
    split, bytes_step = (Fields(step if isinstance(step, dict) else {}, where=pre_tokenizer.where) for step in steps)
    return (
        split.text("type") == "Split"
        and split.entries.get("pattern") == {"Regex": _QWEN2_SPLIT}
        and split.text("behavior") == "Isolated"
        and not split.flag("invert", default=False)
        and bytes_step.text("type") == "ByteLevel"
        and not bytes_step.flag("add_prefix_space", default=True)
        and not bytes_step.flag("use_regex", default=True)
    )


def _listed(tokenizer: Fields) -> list[AddedToken]:
    entries = [entry for entry in tokenizer.items("added_tokens") if isinstance(entry, dict)]
    return [added_token(Fields(entry, where=f"{tokenizer.where}: added_tokens"), entry.get("id")) for entry in entries]


def _tokens(
    model: Fields, added: dict[int, AddedToken], *, n_vocab: int
) -> tuple[list[str], list[int], tuple[str, ...]]:
    by_id: dict[int, str] = {}
    for text, token_id in model.table("vocab").entries.items():
        if not isinstance(token_id, int) or isinstance(token_id, bool) or token_id in by_id:
            raise ConvertError(f"{model.where}: vocab gives {text!r} the id {token_id!r}, which is no number or taken")
        if not 0 <= token_id < n_vocab:
            raise ConvertError(f"{model.where}: {text!r} has the id {token_id}, but config.json says {n_vocab} tokens")
        by_id[token_id] = text
    if missing := _byte_alphabet() - set(by_id.values()):
        raise ConvertError(f"{model.where}: vocab lacks {min(missing)!r}, so some bytes could not be written")
    types = dict.fromkeys(by_id, TokenType.NORMAL)
    beyond = [token for token in added.values() if token.token_id >= n_vocab]
    for token in added.values():
        if token.token_id < n_vocab:
            if by_id.setdefault(token.token_id, token.text) != token.text:
                raise ConvertError(
                    f"{model.where}: token {token.token_id} is {by_id[token.token_id]!r} and {token.text!r}"
                )
            types[token.token_id] = token.kind
    unused = pads([token_id for token_id in range(n_vocab) if token_id not in by_id], taken=by_id.values())
    by_id |= unused
    types |= dict.fromkeys(unused, TokenType.UNUSED)
    notes = tuple(
        f"token {token.text!r} ({token.token_id}) has no row in the embedding and is left out" for token in beyond
    )
    order = range(n_vocab)
    return [by_id[token_id] for token_id in order], [int(types[token_id]) for token_id in order], notes


def _byte_alphabet() -> set[str]:
    """Return the 256 characters that stand for bytes in byte-level BPE (GPT-2's bytes_to_unicode)."""
    shown = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    return {chr(byte) for byte in shown} | {chr(256 + n) for n in range(256 - len(shown))}


def _merges(model: Fields) -> list[str]:
    vocab = model.table("vocab").entries
    merges = []
    for merge in model.items("merges"):
        # transformers 4.45 and later write pairs; earlier ones write the pair joined by a space.
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(half, str) and half for half in pair):
            raise ConvertError(f"{model.where}: {merge!r} is not a merge of two pieces")
        if any(" " in half for half in pair):
            raise ConvertError(f"{model.where}: {merge!r} holds a space, which byte-level BPE never does")
        if "".join(pair) not in vocab:
            raise ConvertError(f"{model.where}: {merge!r} makes a piece that is not in vocab")
        merges.append(" ".join(pair))
    if not merges:
        raise ConvertError(f"{model.where}: there are no merges")
    return merges


def _special(settings: TokenizerConfig, ids: dict[str, int], *, folder: Path, config: Fields) -> dict[str, int]:
    generation_path = file_in(folder, "generation_config.json")
    generation = Fields(read_json(generation_path) if generation_path else {}, where=str(generation_path))
    special: dict[str, int] = {}
    for name, key in _SPECIAL.items():
        text = settings.special_text(key)
        if text is not None:
            if text not in ids:
                raise ConvertError(f"{settings.fields.where}: {key} {text!r} is not in the vocabulary")
            special[name] = ids[text]
            continue
        for fields in (generation, config):
            value = fields.entries.get(f"{key}_id")
            candidate = value[0] if isinstance(value, list) and value else value
            if isinstance(candidate, int) and not isinstance(candidate, bool):
                special.setdefault(name, candidate)
    return special
