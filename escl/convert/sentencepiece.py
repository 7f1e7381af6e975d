"""SentencePiece vocabularies from tokenizer.model, as InternLM2, Llama 2, Vicuna, Yi and Mistral publish them.

InternLM2's control tokens of chat (<|im_start|> and its kin) stand in tokenizer_config.json and tokenizer.json only, in
places that tokenizer.model calls unused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from escl.convert.fast_twin import piece_model_of
from escl.convert.folder import MAX_TOKENIZER_BYTES, Fields, file_in, read_json, required_file_in
from escl.convert.sentencepiece_model import BPE_MODEL, Piece, PieceModel, parse_piece_model
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

_ADDED_SCORE: Final = -1000.0
# LlamaTokenizer of transformers from 4.31 on, with legacy=False; llama.cpp does as before, in every GGUF file.
_BLANKS_AFTER_CONTROL: Final = (
    "the source puts a blank before the first text of a prompt only; llama.cpp does so after every control token too"
)


def read_sentencepiece(folder: Path, *, config: Fields, n_vocab: int) -> tuple[Vocabulary, list[Path]]:
    """Return the vocabulary of the checkpoint in `folder`, with `n_vocab` tokens, and the files it came from.

    Args:
        folder: Holds tokenizer.model, or its twin tokenizer.json; also tokenizer_config.json when there is one.
        config: config.json, which names special tokens where tokenizer_config.json does not.
        n_vocab: Rows of the embedding.

    Raises:
        ConvertError: No such model, one that llama.cpp cannot follow, or contradictory special tokens.
    """
    path, model, notes = _model(folder)
    notes += _check_model(model, path)
    settings = TokenizerConfig(folder)
    added, added_files = _added(folder, settings)
    tokens, dropped = _tokens(model, added, n_vocab=n_vocab, where=path)
    types = [int(token.kind) for token in tokens]
    safe_texts = _out_of_reach(tokens)
    renamed = {
        token_id: (token.text, safe)
        for token_id, (token, safe) in enumerate(zip(tokens, safe_texts, strict=True))
        if token.text != safe
    }
    special, no_ends = special_tokens(settings, [token.text for token in tokens], types, config=config)
    adds_space = settings.fields.flag("add_prefix_space", default=model.add_dummy_prefix)
    adds_bos = settings.fields.flag("add_bos_token", default=True)
    if adds_space and not settings.fields.flag("legacy", default=True):
        notes += (_BLANKS_AFTER_CONTROL,)
    vocabulary = Vocabulary(
        model="llama",
        pre="default",
        tokens=safe_texts,
        scores=[token.score for token in tokens],
        types=types,
        special=special,
        add_bos=None if adds_bos else False,
        add_space_prefix=adds_space,
        chat_template=settings.chat_template(),
        renamed=dict(renamed.values()),
        notes=(*notes, *dropped, *map(_renaming, renamed, renamed.values()), *no_ends),
    )
    check_vocabulary(vocabulary, where=path)
    return vocabulary, list(dict.fromkeys([path, *settings.files(), *added_files]))


def _model(folder: Path) -> tuple[Path, PieceModel, tuple[str, ...]]:
    """Return the file that states the pieces, what it states, and notes."""
    twin = file_in(folder, "tokenizer.json")
    if file_in(folder, "tokenizer.model") is None and twin is not None:
        tokenizer = Fields(read_json(twin, max_bytes=MAX_TOKENIZER_BYTES), where=str(twin))
        if tokenizer.table("model").entries:
            return twin, *piece_model_of(tokenizer)
    path = required_file_in(folder, "tokenizer.model", why="llama.cpp needs the tokenizer; download it too")
    if path.stat().st_size > MAX_TOKENIZER_BYTES:
        raise ConvertError(f"{path} has more than {MAX_TOKENIZER_BYTES:,} bytes")
    try:
        return path, parse_piece_model(path.read_bytes()), ()
    except ValueError as error:
        raise ConvertError(f"{path} is not a SentencePiece model: {error}") from error


def _check_model(model: PieceModel, path: Path) -> tuple[str, ...]:
    if model.model_type != BPE_MODEL:
        raise ConvertError(
            f"{path}: model type {model.model_type}; llama.cpp merges pieces as BPE does, which is type 2"
        )
    if not model.escape_whitespaces:
        raise ConvertError(f"{path}: escape_whitespaces is off, which llama.cpp does not do")
    # llama.cpp writes text that no piece covers as bytes, which it finds by name, and aborts when one is missing.
    names = {piece.text for piece in model.pieces}
    if missing := [byte for byte in range(256) if f"<0x{byte:02X}>" not in names]:
        raise ConvertError(f"{path}: no piece for the byte 0x{missing[0]:02X}; llama.cpp needs byte fallback")
    if model.charsmap_bytes or model.remove_extra_whitespaces:
        return ("tokenizer.model normalizes text first; llama.cpp, like the fast tokenizers of transformers, does not",)
    return ()


def _added(folder: Path, settings: TokenizerConfig) -> tuple[dict[int, AddedToken], list[Path]]:
    added = settings.added_tokens()
    path = file_in(folder, "tokenizer.json")
    if path is None:
        return merged(added, where=folder), []
    listed = Fields(read_json(path, max_bytes=MAX_TOKENIZER_BYTES), where=str(path)).items("added_tokens")
    entries = [entry for entry in listed if isinstance(entry, dict)]
    more = [added_token(Fields(entry, where=f"{path}: added_tokens"), entry.get("id")) for entry in entries]
    return merged([*added, *more], where=folder), [path]


def _tokens(
    model: PieceModel, added: dict[int, AddedToken], *, n_vocab: int, where: Path
) -> tuple[list[Piece], tuple[str, ...]]:
    if len(model.pieces) > n_vocab:
        raise ConvertError(f"{where} has {len(model.pieces):,} pieces, but config.json says {n_vocab:,} tokens")
    tokens = {token_id: _loadable(piece, token_id) for token_id, piece in enumerate(model.pieces)}
    notes: list[str] = []
    for token in added.values():
        if token.token_id >= n_vocab:
            notes.append(f"token {token.text!r} ({token.token_id}) has no row in the embedding and is left out")
            continue
        was = tokens.get(token.token_id)
        if was is not None and was.text == token.text and was.kind is TokenType.UNKNOWN:
            continue
        tokens[token.token_id] = Piece(text=token.text, score=_ADDED_SCORE, kind=token.kind)
    unused = pads(
        (token_id for token_id in range(n_vocab) if token_id not in tokens), taken=[t.text for t in tokens.values()]
    )
    tokens |= {
        token_id: Piece(text=text, score=_ADDED_SCORE, kind=TokenType.UNUSED) for token_id, text in unused.items()
    }
    return [tokens[token_id] for token_id in range(n_vocab)], tuple(notes)


def _renaming(token_id: int, texts: tuple[str, str]) -> str:
    return f"token {token_id} {texts[0]!r} is called {texts[1]!r}: ordinary text could spell the former"


def _out_of_reach(tokens: list[Piece]) -> list[str]:
    """Return the texts to write: no control or unused token has one that merging pieces of ordinary text can give.

    SentencePiece never merges into a control piece. llama.cpp merges into any token of that text, so that with "<s" in
    the vocabulary "<s>" in a message would become the beginning-of-sequence token.
    """
    texts = [token.text for token in tokens]
    known = set(texts)
    for token_id, token in enumerate(tokens):
        if token.kind not in (TokenType.CONTROL, TokenType.UNKNOWN) and not _is_made_up(token):
            continue
        text = token.text
        while _mergeable(text, known) or (text != token.text and text in known):
            text = f"<|{text}|>"
        texts[token_id] = text
    return texts


def _mergeable(text: str, known: set[str]) -> bool:
    # A symbol is one character or a known text; a merge joins two symbols.
    return any(
        (at == 1 or text[:at] in known) and (at == len(text) - 1 or text[at:] in known) for at in range(1, len(text))
    )


def _is_made_up(token: Piece) -> bool:
    return token.kind is TokenType.UNUSED and token.text.startswith(("[PAD", "[EMPTY_"))


def _loadable(piece: Piece, token_id: int) -> Piece:
    # C++ would read these texts as empty; llama.cpp's own name for such a token cannot come out of ordinary text.
    if piece.text in ("", "\0"):
        return Piece(text=f"[EMPTY_{token_id}]", score=piece.score, kind=TokenType.UNUSED)
    if piece.text.startswith("[UNUSED"):
        return Piece(text=piece.text, score=piece.score, kind=TokenType.UNUSED)
    return piece
