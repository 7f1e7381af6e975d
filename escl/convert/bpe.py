"""Byte-level BPE vocabularies from tokenizer.json, as the families of Qwen and Llama 3 publish them."""

from __future__ import annotations

from pathlib import Path

from escl.convert.folder import MAX_TOKENIZER_BYTES, Fields, read_json, required_file_in
from escl.convert.pre_tokenizers import pre_tokenizer_of
from escl.convert.special_tokens import special_tokens
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


def read_bpe(folder: Path, *, config: Fields, n_vocab: int) -> tuple[Vocabulary, list[Path]]:
    """Return the vocabulary of the checkpoint in `folder`, padded to `n_vocab` tokens, and the files it came from.

    Args:
        folder: Holds tokenizer.json, and tokenizer_config.json when there is one.
        config: config.json, which names special tokens where tokenizer_config.json does not.
        n_vocab: Rows of the embedding.

    Raises:
        ConvertError: No such vocabulary, of no kind that llama.cpp knows, contradictory, or larger than the embedding.
    """
    path = required_file_in(folder, "tokenizer.json", why="llama.cpp needs the tokenizer; download it too")
    tokenizer = Fields(read_json(path, max_bytes=MAX_TOKENIZER_BYTES), where=str(path))
    rule = pre_tokenizer_of(tokenizer, path)
    settings = TokenizerConfig(folder)
    added = merged([*_listed(tokenizer), *settings.added_tokens()], where=folder)
    texts, types, notes = _tokens(tokenizer.table("model"), added, n_vocab=n_vocab)
    special, more_notes = special_tokens(settings, texts, types, config=config)
    if "eos" not in special:
        raise ConvertError(f"{folder}: neither tokenizer_config.json nor config.json names the eos token")
    vocabulary = Vocabulary(
        model="gpt2",
        pre=rule.name,
        tokens=texts,
        types=types,
        merges=_merges(tokenizer.table("model")),
        special=special,
        add_bos=_adds_bos(tokenizer, texts[special["bos"]] if special.get("bos", n_vocab) < n_vocab else None),
        chat_template=settings.chat_template(),
        notes=(*notes, *more_notes),
    )
    check_vocabulary(vocabulary, where=path)
    return vocabulary, [path, *settings.files()]


def _adds_bos(tokenizer: Fields, bos: str | None) -> bool:
    """Return whether the source puts the token `bos` before every text."""
    processor = tokenizer.table("post_processor")
    steps = processor.items("processors") if processor.text("type") == "Sequence" else [processor.entries]
    for step in steps:
        fields = Fields(step if isinstance(step, dict) else {}, where=f"{tokenizer.where}: post_processor")
        first = next(iter(fields.items("single")), None) if fields.text("type") == "TemplateProcessing" else None
        if isinstance(first, dict) and isinstance(token := first.get("SpecialToken"), dict):
            if bos is None or token.get("id") != bos:
                raise ConvertError(f"{fields.where} begins texts with {token.get('id')!r}, which is not the bos token")
            return True
    return False


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
