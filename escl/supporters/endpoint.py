"""Asks an OpenAI-compatible chat endpoint for replies: bounded in time, size and number, and every try on record.

The only place besides the hub where escl opens a connection. What never became an answer (no connection, no answer in
time, 408, 429, 5xx, a body cut off) is asked for again; an answer that came whole never is, however odd: that would
choose among replies. Knows no dialogue and no database.
"""

from __future__ import annotations

import asyncio
import email.utils
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import httpx2
import msgspec

from escl import __version__
from escl.core import connections
from escl.core.dialogue import Message
from escl.core.proxies import environment_explained
from escl.core.sampling import Sampling
from escl.core.whole_text import whole_text
from escl.errors import EngineError, NotBegunError, SupporterError, SupporterUnavailableError, UsageError
from escl.supporters.addresses import belongs_elsewhere, is_loopback, keeps_a_key
from escl.supporters.answer import Answer, error_of, read_answer, shown
from escl.supporters.outside import DIALECTS, EndpointSupporter, Said, Try
from escl.supporters.redaction import without

MAX_TRIES: Final = 4
MAX_BODY_BYTES: Final = 4 << 20
MAX_ERROR_BYTES: Final = 64 << 10
MAX_WAIT_S: Final = 300.0
"""The longest that a server's Retry-After is waited for."""
FAILURES_IN_A_ROW: Final = 3
"""So many turns given up without one reply in between, and the endpoint counts as down."""

_FIRST_WAIT_S: Final = 1.0
_CONNECT_S: Final = 10.0
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
_REFUSED: Final = frozenset({401, 403, 404, 405, 407, 410})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What one try came to: a reply, or an error and whether to ask again."""

    said: Said | None = None
    error: EngineError | None = None
    again: bool = False
    status: int | None = None
    model: str | None = None
    retry_after_s: float | None = None


def key_for(supporter: EndpointSupporter, environment: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """Return the name of the environment variable with the endpoint's key, and the key; None when there is none.

    A supporter that names no variable gets ESCL_API_KEY, or OPENAI_API_KEY where the endpoint is OpenAI's own: a key is
    not for anybody else, nor for those who read along.

    Raises:
        UsageError: The variable that it names is not set, or holds what no header can; or the key would be read.
    """
    is_openai = not belongs_elsewhere("OPENAI_API_KEY", supporter.url)
    names = [supporter.key_env] if supporter.key_env else ["ESCL_API_KEY", *(["OPENAI_API_KEY"] if is_openai else [])]
    name = next((name for name in names if environment.get(name)), None)
    if name is None:
        if supporter.key_env is None:
            return None
        raise UsageError(f"{supporter.name} needs a key in ${supporter.key_env}, which is not set")
    if not keeps_a_key(supporter.url):
        raise UsageError(
            f"{supporter.name}: the key in ${name} is not sent to {supporter.url}, where others could read it",
            hint="write https://, or the machine's private address (192.168.1.5), or lead a tunnel there and write "
            f"http://127.0.0.1:PORT; without a key: unset {name}",
        )
    key = environment[name].strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(f"${name} holds no key: spaces, line breaks or letters that no header can carry")
    return name, key


class Endpoint:
    """One supporter's endpoint during a run."""

    def __init__(
        self,
        supporter: EndpointSupporter,
        *,
        key: str | None,
        on_try: Callable[[str, Try], None],
        stop: asyncio.Event,
        go: asyncio.Event | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            supporter: Whom to ask.
            key: Sent as a bearer token; it is in no message and no record.
            on_try: Called with a request's session and each try, when it has ended.
            stop: Once set, requests in flight are finished and no others begin.
            go: While it is cleared no request begins; None never pauses.

        Raises:
            UsageError: The environment names a proxy or certificates that cannot be used.
        """
        self._supporter, self._key, self._on_try, self._stop = supporter, key, on_try, stop
        self._go = go
        self._gate = asyncio.Semaphore(supporter.concurrency)
        self._given_up_in_a_row = 0
        self._client: httpx2.AsyncClient | None = None
        # Made here already, so that a proxy that cannot be is known before any model is loaded.
        self._connected()

    async def preload(self) -> None:
        """Do nothing: an endpoint is loaded by others."""

    async def release(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def generate(self, *, session: str, messages: Sequence[Message], sampling: Sampling, seed: int) -> Said:
        """Return the model's next message.

        Raises:
            SupporterError: It gave no reply that can be used.
            ContextOverflowError: It says that the dialogue is too long for it.
            SupporterUnavailableError: It is not there, or refuses everything.
            NotBegunError: The run was stopped before it was asked, or before it was asked again.
        """
        payload = _payload(self._supporter, messages, sampling, seed)
        async with self._gate:
            began = time.monotonic()
            said = await self._ask(session, payload)
            return msgspec.structs.replace(said, busy_s=time.monotonic() - began)

    async def _ask(self, session: str, payload: bytes) -> Said:
        waited_s = 0.0
        for number in range(1, MAX_TRIES + 1):
            if self._go is not None:
                await self._go.wait()
            if self._stop.is_set():
                raise NotBegunError
            began = time.monotonic()
            outcome = await self._try(payload)
            self._record(session, number, waited_s, time.monotonic() - began, outcome)
            if outcome.said is not None:
                self._given_up_in_a_row = 0
                return outcome.said
            assert outcome.error is not None
            if not outcome.again or number == MAX_TRIES:
                raise self._given_up(outcome, outcome.error)
            waited_s = float(max(_FIRST_WAIT_S * 2 ** (number - 1), outcome.retry_after_s or 0.0))
            await self._wait(waited_s)
        raise AssertionError("unreachable")

    def _record(self, session: str, number: int, waited_s: float, elapsed_s: float, outcome: _Outcome) -> None:
        self._on_try(
            session,
            Try(
                number=number,
                waited_s=waited_s,
                elapsed_s=elapsed_s,
                status=outcome.status,
                model=outcome.model,
                error=None if outcome.error is None else outcome.error.message,
                again=outcome.again and number < MAX_TRIES,
            ),
        )

    def _given_up(self, outcome: _Outcome, error: EngineError) -> EngineError:
        if not outcome.again:
            return error
        self._given_up_in_a_row += 1
        if self._given_up_in_a_row >= FAILURES_IN_A_ROW or isinstance(error, SupporterUnavailableError):
            return self._unavailable(error.message)
        return SupporterError(f"{error.message} ({MAX_TRIES} tries)")

    def _unavailable(
        self, why: str, to_do: str = "wait until the endpoint is there again"
    ) -> SupporterUnavailableError:
        hint = f"{to_do}. Nothing is lost: the same command goes on"
        return SupporterUnavailableError(f"{self._supporter.name} ({self._supporter.address}): {why}", hint=hint)

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return
        raise NotBegunError

    async def _try(self, payload: bytes) -> _Outcome:
        try:
            async with asyncio.timeout(self._supporter.timeout_s):
                return await self._exchange(payload)
        except (TimeoutError, httpx2.TimeoutException) as error:
            if isinstance(error, httpx2.ConnectTimeout):
                return _not_there(f"no connection within {_CONNECT_S:g} s")
            return _Outcome(
                error=SupporterError(f"the endpoint gave no whole answer within {self._supporter.timeout_s:g} s"),
                again=True,
            )
        except (httpx2.ConnectError, httpx2.ProxyError) as error:
            return _not_there(f"no connection: {self._redacted(str(error))}")
        except httpx2.TransportError as error:
            why = self._redacted(str(error)) or type(error).__name__
            return _Outcome(error=SupporterError(f"the connection broke off: {why}"), again=True)

    async def _exchange(self, payload: bytes) -> _Outcome:
        client = self._connected()
        url = f"{self._supporter.url}/chat/completions"
        async with client.stream("POST", url, content=payload, extensions=_counted()) as response:
            status = response.status_code
            body = await _read(response, MAX_BODY_BYTES if status == 200 else MAX_ERROR_BYTES)
            if status == 200:
                return self._answered(response, body)
            return self._refused(response, b"" if body is None else body)

    def _connected(self) -> httpx2.AsyncClient:
        if self._client is None:
            headers = {
                "Content-Type": "application/json",
                "Accept": "application/json",
                # Compressed, a few bytes could become gigabytes.
                "Accept-Encoding": "identity",
                "User-Agent": f"escl/{__version__}",
            }
            if self._key is not None:
                headers["Authorization"] = f"Bearer {self._key}"
            n = self._supporter.concurrency
            with environment_explained():
                self._client = httpx2.AsyncClient(
                    headers=headers,
                    # The whole exchange has its limit already; a model may think for long before its first byte.
                    timeout=httpx2.Timeout(None, connect=_CONNECT_S),
                    limits=httpx2.Limits(max_connections=n, max_keepalive_connections=n),
                    follow_redirects=False,
                    # What stays on this machine is not for a proxy.
                    trust_env=not is_loopback(self._supporter.url),
                )
        return self._client

    def _answered(self, response: httpx2.Response, body: bytes | None) -> _Outcome:
        try:
            if body is None:
                raise SupporterError(self._redacted(_unreadable(response, MAX_BODY_BYTES)))
            content_type = response.headers.get("content-type", "")
            answer: Answer = read_answer(body, content_type=content_type, key=self._key)
        except SupporterError as error:
            return _Outcome(error=error, status=response.status_code)
        if isinstance(answer.reply, SupporterError):
            return _Outcome(error=answer.reply, status=response.status_code, model=answer.model)
        return _Outcome(said=answer.reply, status=response.status_code, model=answer.model)

    def _refused(self, response: httpx2.Response, body: bytes) -> _Outcome:
        status = response.status_code
        if response.has_redirect_location:
            where = shown(self._redacted(response.headers["location"]))
            why = f"it redirects to {where} ({status}), which is not followed"
            to_do = "if that is the right place, name that address, without /chat/completions"
            return _Outcome(error=self._unavailable(why, to_do), status=status)
        error = error_of(status, body, key=self._key)
        if status in _REFUSED:
            return _Outcome(error=self._unavailable(error.message, self._way_out(status)), status=status)
        again = status in _AGAIN
        wait_s = retry_after_s(response.headers.get("retry-after"), now=datetime.now(UTC)) if again else None
        if wait_s is not None and wait_s > MAX_WAIT_S:
            why = f"{error.message}; it asks to be left alone for {wait_s:,.0f} s"
            return _Outcome(error=self._unavailable(why), status=status)
        return _Outcome(error=error, again=again, status=status, retry_after_s=wait_s)

    def _way_out(self, status: int) -> str:
        """Return what to do about a status that every request would get."""
        match status:
            case 401 | 403 if self._key is None:
                return f"it wants a key: put it into ${self._supporter.key_env or 'ESCL_API_KEY'}"
            case 401 | 403:
                return (
                    f"check the key in ${self._supporter.key_env or 'ESCL_API_KEY (for OpenAI also $OPENAI_API_KEY)'}"
                )
            case 407:
                return "check the name and password of the proxy in the environment"
            case 404:
                return (
                    f"check the model's name, which {self._supporter.url}/models should list, and the address, which "
                    f"most often ends in /v1"
                )
            case _:
                return "check the address, which most often ends in /v1"

    def _redacted(self, text: str) -> str:
        return without(self._key, text)


def _not_there(why: str) -> _Outcome:
    return _Outcome(error=SupporterUnavailableError(why), again=True)


async def _read(response: httpx2.Response, most_bytes: int) -> bytes | None:
    """Return the body; None when it is larger than `most_bytes` or compressed."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return None
    parts, size = [], 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > most_bytes:
            return None
        parts.append(part)
    return b"".join(parts)


def _unreadable(response: httpx2.Response, most_bytes: int) -> str:
    encoding = response.headers.get("content-encoding")
    if encoding is not None and encoding.lower() != "identity":
        return f"the endpoint's answer is compressed ({shown(encoding)}), which it was asked not to do"
    return f"the endpoint's answer is larger than {most_bytes >> 20} MiB"


def retry_after_s(header: str | None, *, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks to wait, by RFC 9110 a number or a date; None without sense."""
    if header is None:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return float(header.strip()[:12])
    try:
        when = email.utils.parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds())


def _payload(supporter: EndpointSupporter, messages: Sequence[Message], sampling: Sampling, seed: int) -> bytes:
    settings = msgspec.structs.asdict(sampling)
    if supporter.dialect == "vllm" and sampling.top_k == 0:
        settings["top_k"] = -1  # vLLM's word for "all".
    told = {theirs: settings[ours] for ours, theirs in DIALECTS[supporter.dialect].items()}
    request = {
        "model": supporter.model,
        "messages": [{"role": message.role, "content": whole_text(message.content)} for message in messages],
        **told,
        # Some servers keep seeds in 32 bits with a sign.
        "seed": seed & 0x7FFFFFFF,
        "stream": False,
    }
    return msgspec.json.encode(request)


def _counted() -> dict[str, object]:
    """Return what makes a request count its connections where no audit event does (`escl.core.connections`)."""

    async def trace(event: str, _: object) -> None:
        if event == "connection.connect_tcp.started":
            connections.add(1)

    return {"trace": trace} if sys.platform == "win32" else {}
