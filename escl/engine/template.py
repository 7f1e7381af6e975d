"""Renders a model's own chat template, which is a program from a stranger.

Jinja2's immutable sandbox keeps it from reaching Python; the limits here keep it from taking the machine's time and
memory. Knows nothing of tokens or of what is rendered.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from escl.core.dialogue import Message
from escl.errors import ChatTemplateError

_MAX_SOURCE_CHARS: Final = 256 * 1024
_MAX_RENDERED_CHARS: Final = 4 * 1024 * 1024
_MAX_PRODUCT: Final = 1_000_000
_MAX_INTEGER_BITS: Final = 4096
_MAX_MEMORY_BYTES: Final = 512 * 1024 * 1024
_SOFT_LIMIT_S: Final = 1.0
_HARD_LIMIT_S: Final = 2.0

# What an expression of a template can raise besides Jinja2's own errors.
_TEMPLATE_FAULTS: Final = (
    jinja2.TemplateError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


class _TooSlow(BaseException):
    """The soft limit; no `except Exception` inside Jinja2 may swallow it."""


class _Generation(Extension):
    """`{% generation %}` marks what the model says, for training; here it only renders its body."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, without operators that make something huge from something small."""

    intercepted_binops = frozenset(["*", "**"])

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401
        if operator == "**":
            _refuse_huge(_bits(left) * max(1, abs(right)) if isinstance(right, int) else 0, _MAX_INTEGER_BITS)
        elif isinstance(left, int) and isinstance(right, int):
            _refuse_huge(_bits(left) + _bits(right), _MAX_INTEGER_BITS)
        else:
            for items, times in ((left, right), (right, left)):
                if isinstance(times, int) and hasattr(items, "__len__"):
                    _refuse_huge(len(items) * times, _MAX_PRODUCT)
        return super().call_binop(context, operator, left, right)


def _bits(number: object) -> int:
    return number.bit_length() if isinstance(number, int) else 64


def _refuse_huge(size: int, limit: int) -> None:
    if size > limit:
        raise SecurityError(f"an operator would make something of size {size}, above {limit}")


class ChatTemplate:
    """A compiled chat template.

    Attributes:
        source: The template as the file holds it.
    """

    def __init__(self, source: str, *, bos: str, eos: str, frozen_time: int) -> None:
        """Compile it.

        Args:
            source: Jinja2 source.
            bos: Text of the begin-of-sequence token, "" when the model has none.
            eos: Text of the end-of-sequence token.
            frozen_time: Seconds since the epoch that the template sees as now, in UTC.

        Raises:
            ChatTemplateError: It is too long, malformed, or too slow to compile.
        """
        if len(source) > _MAX_SOURCE_CHARS:
            raise ChatTemplateError(f"the chat template has {len(source)} characters; {_MAX_SOURCE_CHARS} is the limit")
        self.source = source
        environment = _Environment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation])
        # Randomness would change the prompt from call to call.
        environment.globals.pop("lipsum")
        environment.filters.pop("random")
        environment.filters["tojson"] = _to_json
        environment.globals |= {
            "raise_exception": _raise_exception,
            "strftime_now": lambda form: time.strftime(form, time.gmtime(frozen_time)),
            "bos_token": bos,
            "eos_token": eos,
        }
        with _limits(), _as_template_error():
            self._template = environment.from_string(source)

    def render(self, messages: Sequence[Message]) -> str:
        """Return the text of a conversation up to where the assistant's next message begins.

        Raises:
            ChatTemplateError: The template refuses the messages, breaks, or exceeds its limits.
        """
        turns = [{"role": message.role, "content": message.content} for message in messages]
        with _limits(), _as_template_error():
            text = self._template.render(messages=turns, add_generation_prompt=True, tools=None, documents=None)
        if len(text) > _MAX_RENDERED_CHARS:
            raise ChatTemplateError(f"the chat template rendered {len(text)} characters; that cannot be meant")
        return text


def _to_json(value: object, indent: int | None = None, ensure_ascii: bool = False) -> str:
    # As Hugging Face's apply_chat_template has it; Jinja2's own filter escapes for HTML.
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def _raise_exception(message: str) -> str:
    raise jinja2.TemplateError(message)


@contextlib.contextmanager
def _as_template_error() -> Iterator[None]:
    try:
        yield
    except _TooSlow:
        raise ChatTemplateError(f"the chat template ran for more than {_SOFT_LIMIT_S:g} s") from None
    except _TEMPLATE_FAULTS as error:
        raise ChatTemplateError(f"the chat template failed: {type(error).__name__}: {str(error)[:300]}") from error


@contextlib.contextmanager
def _limits() -> Iterator[None]:
    """Bound the time and memory of the body.

    Python code is interrupted after the soft limit. A single C call (one huge comparison) cannot be interrupted: after
    the hard limit it ends the process, by SIGPROF where there are signals.
    """
    with _memory_limit(), _hard_limit(), _soft_limit():
        yield


@contextlib.contextmanager
def _soft_limit() -> Iterator[None]:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: object) -> None:
        raise _TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, _SOFT_LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _hard_limit() -> Iterator[None]:
    if hasattr(signal, "setitimer"):
        # Its default action, which no Python code needs to run for, is to end the process.
        signal.setitimer(signal.ITIMER_PROF, _HARD_LIMIT_S)
    else:
        faulthandler.dump_traceback_later(_HARD_LIMIT_S, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        yield
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, 0)
        else:
            faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def _memory_limit() -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
    import resource

    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123
        in_use = int(statm.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bounds = [in_use + _MAX_MEMORY_BYTES, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_AS, (min(bounds), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
