"""Reads what an OpenAI-compatible chat endpoint answers, and trusts none of it.

Owns which answers count as a reply; everything else is a SupporterError that says what was wrong. Opens no connection.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Final, Literal

import msgspec

from escl.core.reasoning import split_reasoning
from escl.errors import ContextOverflowError, EngineError, SupporterError
from escl.supporters.outside import Said
from escl.supporters.redaction import document_without, without

MAX_SHOWN: Final = 300
"""Characters of a server's own words that are kept in a message."""
MAX_MODEL_CHARS: Final = 200

_TOO_LONG: Final = ("context_length_exceeded", "exceed_context_size_error")
"""What OpenAI (`code`) and llama-server (`type`) call a prompt that does not fit."""


class _Message(msgspec.Struct, frozen=True):
    content: str | None = None
    role: str = "assistant"
    # llama-server, DeepSeek and others; Ollama, OpenRouter and newer vLLM.
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[object] | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Message
    finish_reason: str | None = None


class _Cached(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Cached | None = None


class _Completion(msgspec.Struct, frozen=True):
    choices: list[_Choice]
    model: str | None = None
    usage: _Usage | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with status 200 that could be read.

    Attributes:
        model: As the server names it; None when it does not.
        reply: What it said, or why that is no reply.
    """

    model: str | None
    reply: Said | SupporterError


def read_answer(body: bytes, *, content_type: str, key: str | None = None) -> Answer:
    """Return what the body of an answer with status 200 says; `key` is in none of it.

    Raises:
        SupporterError: It is no chat completion, or holds the key.
    """
    if not content_type.partition(";")[0].strip().lower().endswith(("/json", "+json")):
        kind = shown(without(key, content_type)) or "content of no stated type"
        said = shown(without(key, body.decode("utf-8", "replace")))
        raise SupporterError(f"the endpoint answered with {kind}, not JSON: {said}")
    completion = _completion(body, key)
    model = None if completion.model is None else completion.model[:MAX_MODEL_CHARS]
    try:
        return Answer(model=model, reply=_reply(completion))
    except SupporterError as error:
        return Answer(model=model, reply=error)


def _completion(body: bytes, key: str | None) -> _Completion:
    try:
        text = body.decode("utf-8")
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
        # A lone surrogate written as an escape is no text, and could not be stored.
        json.dumps(document, ensure_ascii=False).encode()
        if document_without(key, document) != document:
            raise SupporterError("the endpoint's answer holds the key that it was sent, so it is not kept")
        return msgspec.convert(document, _Completion)
    except UnicodeDecodeError as error:
        raise SupporterError(f"the endpoint's answer is not UTF-8: byte {error.start}") from None
    except UnicodeEncodeError:
        raise SupporterError("the endpoint's answer holds half a character (a lone surrogate)") from None
    except RecursionError:
        raise SupporterError("the endpoint's answer is nested too deep") from None
    except msgspec.ValidationError as error:
        raise SupporterError(f"the endpoint's answer is no chat completion: {shown(str(error))}") from None
    except ValueError as error:
        raise SupporterError(f"the endpoint's answer is not JSON: {shown(without(key, str(error)))}") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f'the name "{twice}" stands there twice')
    return table


def _refuse_constant(word: str) -> object:
    raise ValueError(f"{word} is no JSON number")


def _reply(completion: _Completion) -> Said:
    if len(completion.choices) != 1:
        raise SupporterError(f"the endpoint gave {len(completion.choices)} choices where 1 was asked for")
    (choice,) = completion.choices
    message = choice.message
    if message.role != "assistant":
        raise SupporterError(f"the endpoint answered in the role {shown(message.role)!r}, not as the assistant")
    finish = _finish(choice.finish_reason)
    apart = message.reasoning_content or message.reasoning
    if message.content is None and not apart:
        raise SupporterError(_why_silent(message))
    thought, text = split_reasoning(message.content or "")
    aloud = [part.strip() for part in (apart, thought) if part]
    reasoning = "\n\n".join(filter(None, aloud)) or None
    if not text.strip() and reasoning is None:
        raise SupporterError("the endpoint's reply is empty")
    usage = completion.usage or _Usage()
    return Said(
        text=text.strip(),
        reasoning=reasoning,
        finish=finish,
        n_prompt=_count(usage.prompt_tokens),
        n_reused=_count(usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else None),
        n_generated=_count(usage.completion_tokens),
    )


def _finish(reason: str | None) -> Literal["stop", "length"] | None:
    match reason:
        case "stop" | "length" | None:
            return reason
        case "content_filter":
            raise SupporterError("the endpoint's content filter withheld the reply (finish_reason content_filter)")
        case _:
            raise SupporterError(f"the reply ended for a reason that is no end of a turn: {shown(reason)!r}")


def _why_silent(message: _Message) -> str:
    if message.refusal:
        return f"the endpoint refused to reply: {shown(message.refusal)}"
    if message.tool_calls:
        return "the endpoint called a tool in place of a reply"
    return "the endpoint's reply holds no text (content null)"


def _count(number: int | None) -> int | None:
    return number if number is not None and 0 <= number < 2**53 else None


def error_of(status: int, body: bytes, *, key: str | None = None) -> EngineError:
    """Return the error that an answer with another status than 200 stands for, with the server's words but the key."""
    words, kinds = _words(body, key)
    if kinds & {*_TOO_LONG}:
        return ContextOverflowError(f"the endpoint says that the dialogue does not fit its context: {words}")
    return SupporterError(f"the endpoint answered {status}{': ' if words else ''}{words}")


def _words(body: bytes, key: str | None) -> tuple[str, set[str]]:
    """Return what an error's body says, and the kinds of error that it names."""
    text = body.decode("utf-8", "replace")
    try:
        document = document_without(key, json.loads(text))
    except (ValueError, RecursionError):
        return shown(without(key, text)), set()
    error = document.get("error", document) if isinstance(document, dict) else document
    if not isinstance(error, dict):
        return shown(_as_text(error)), set()
    said = error.get("message", error.get("detail", document))
    return shown(_as_text(said)), {str(error.get("code")), str(error.get("type"))}


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def shown(text: str) -> str:
    """Return the beginning of a server's words on one line."""
    line = " ".join(text[: 4 * MAX_SHOWN].encode("utf-8", "replace").decode().split())
    return line if len(line) <= MAX_SHOWN else line[:MAX_SHOWN] + "..."
