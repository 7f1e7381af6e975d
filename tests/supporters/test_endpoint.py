"""An endpoint is asked in bounds, and whatever it answers is a reply or a failure that says what was wrong."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.util import find_spec
from typing import Any

import msgspec
import pytest

from escl.core import connections
from escl.core.dialogue import Message
from escl.core.sampling import Sampling
from escl.errors import (
    ContextOverflowError,
    EngineError,
    NotBegunError,
    SupporterError,
    SupporterUnavailableError,
    UsageError,
)
from escl.supporters import endpoint as module
from escl.supporters.endpoint import Endpoint, key_for, retry_after_s
from escl.supporters.outside import EndpointSupporter, Said, Try
from tests.chat_server import (
    Behave,
    ChatServer,
    Request,
    completion,
    drips,
    floods,
    hangs,
    message,
    refuses,
    resets,
    sends,
    serving,
)

ASKED = [Message("system", "Be kind."), Message("user", "I cannot sleep. \ud800")]
KEY = "sk-canary/5b1c"
ESCAPED = KEY.replace("/", r"\/")
OK = sends(completion())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT_S", 0.001)


def supporter(server: ChatServer, **changes: Any) -> EndpointSupporter:  # noqa: ANN401
    plain = EndpointSupporter(name="warm", url=server.url, model="m-1", timeout_s=5.0)
    return msgspec.structs.replace(plain, **changes)


def begun(url: str) -> Endpoint:
    """Return an endpoint that nobody was asked at yet."""
    one = EndpointSupporter(name="warm", url=url, model="m-1")
    return Endpoint(one, key=None, on_try=lambda *_: None, stop=asyncio.Event())


def ask(
    one: EndpointSupporter,
    *,
    times: int = 1,
    tries: list[Try] | None = None,
    key: str | None = None,
    sampling: Sampling | None = None,
) -> list[Said | BaseException]:
    """Ask so many times side by side and return what came, replies or errors."""

    async def main() -> list[Said | BaseException]:
        noted = tries if tries is not None else []
        asked = Endpoint(one, key=key, on_try=lambda _, tried: noted.append(tried), stop=asyncio.Event())
        try:
            return await asyncio.gather(
                *(
                    asked.generate(session=str(n), messages=ASKED, sampling=sampling or Sampling(), seed=2**32 - 2)
                    for n in range(times)
                ),
                return_exceptions=True,
            )
        finally:
            await asked.release()

    return asyncio.run(main())


def test_a_reply_comes_with_what_the_server_says_about_it() -> None:
    tries: list[Try] = []
    with serving(OK) as server:
        (said,) = ask(supporter(server), tries=tries)
    assert isinstance(said, Said)
    assert (said.text, said.reasoning, said.finish) == ("I hear you.", None, "stop")
    assert (said.n_prompt, said.n_reused, said.n_generated) == (21, 8, 5)
    (tried,) = tries
    assert (tried.number, tried.status, tried.model, tried.error) == (1, 200, "served-model", None)


def test_the_request_says_what_the_dialect_has_words_for_and_nothing_else() -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, top_k=0, repeat_penalty=1.1, max_tokens=77)
    bodies = {}
    for dialect in ("plain", "llama.cpp", "vllm", "openai"):
        with serving(OK) as server:
            ask(supporter(server, dialect=dialect), sampling=sampling)
            (request,) = server.requests
            assert request.line == "POST /v1/chat/completions HTTP/1.1"
            assert "authorization" not in request.headers
            bodies[dialect] = request.body
    common = {
        "model": "m-1",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "I cannot sleep. \ufffd"},
        ],
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 0x7FFFFFFE,
        "stream": False,
    }
    assert bodies["plain"] == common | {"max_tokens": 77}
    assert bodies["llama.cpp"] == common | {"max_tokens": 77, "top_k": 0, "repeat_penalty": 1.1}
    assert bodies["vllm"] == common | {"max_tokens": 77, "top_k": -1, "repetition_penalty": 1.1}
    assert bodies["openai"] == common | {"max_completion_tokens": 77}


@pytest.mark.parametrize(
    ("answer", "reasoning", "said", "finish"),
    [
        (message(content="Rest.", reasoning_content="Tired."), "Tired.", "Rest.", "stop"),
        (message(content="Rest.", reasoning="Tired."), "Tired.", "Rest.", "stop"),
        (completion("<think>Tired.</think>Rest."), "Tired.", "Rest.", "stop"),
        (completion("<think>Tired. And", finish_reason="length"), "Tired. And", "", "length"),
        (
            completion(
                message={"role": "assistant", "content": None, "reasoning_content": "Tired. And"},
                finish_reason="length",
            ),
            "Tired. And",
            "",
            "length",
        ),
        (completion("Rest", finish_reason="length"), None, "Rest", "length"),
        (completion("Rest.", finish_reason=None), None, "Rest.", None),
    ],
)
def test_reasoning_is_told_from_the_reply_wherever_the_server_puts_it(
    answer: object, reasoning: str | None, said: str, finish: str | None
) -> None:
    with serving(sends(answer)) as server:
        (reply,) = ask(supporter(server))
    assert isinstance(reply, Said), reply
    assert (reply.reasoning, reply.text, reply.finish) == (reasoning, said, finish)


def changed(text: str, before: str, after: str) -> bytes:
    assert before in text
    return text.replace(before, after).encode()


def spelled(answer: object) -> bytes:
    """Return an answer with its slashes escaped, as JSON allows and PHP writes them."""
    return json.dumps(answer).replace("/", r"\/").encode()


PLAIN = json.dumps(completion())
WHOLE: dict[str, tuple[Behave, str]] = {
    "malformed JSON": (sends(b'{"choices": [}'), "not JSON"),
    "JSON cut off": (sends(PLAIN[:-20].encode()), "not JSON"),
    "empty body": (sends(b""), "not JSON"),
    "empty choices": (sends({"choices": []}), "0 choices"),
    "two choices": (sends({"choices": completion()["choices"] * 2}), "2 choices"),
    "no choices": (sends({"model": "m"}), "no chat completion"),
    "choices of another type": (sends({"choices": "none"}), "no chat completion"),
    "an array": (sends([1, 2]), "no chat completion"),
    "null message": (sends(completion(message=None)), "no chat completion"),
    "null content": (sends(completion(None)), "no text"),
    "empty content": (sends(completion(" \n")), "empty"),
    "content of another type": (sends(completion(17)), "no chat completion"),
    "content in parts": (sends(completion([{"type": "text", "text": "Hi."}])), "no chat completion"),
    "another role": (sends(completion(message={"role": "user", "content": "Hi."})), "role 'user'"),
    "tool calls only": (
        sends(message(content=None, tool_calls=[{"id": "1", "function": {"name": "f"}}])),
        "called a tool",
    ),
    "refusal": (sends(message(content=None, refusal="I may not.")), "refused to reply: I may not."),
    "content filter": (sends(completion("Hi", finish_reason="content_filter")), "content filter"),
    "unknown end": (sends(completion("Hi", finish_reason="abort")), "'abort'"),
    "HTML": (sends(b"<html><body>Bad\x1b[31m gateway</body></html>", content_type="text/html"), "text/html"),
    "wrong content type": (sends(completion(), content_type="text/plain"), "text/plain, not JSON"),
    "no content type": (sends(completion(), content_type=None), "no stated type"),
    "event stream": (sends(b'data: {"choices": []}\n\n', content_type="text/event-stream"), "event-stream"),
    "invalid UTF-8": (sends(PLAIN.encode().replace(b"hear", b"\xff\xfe")), "not UTF-8"),
    "UTF-16": (sends(PLAIN.encode("utf-16")), "not UTF-8"),
    "half a character": (sends(changed(PLAIN, "hear", "\\ud83d")), "surrogate"),
    "NaN": (sends(changed(PLAIN, "21", "NaN")), "NaN"),
    "Infinity": (sends(changed(PLAIN, "21", "-Infinity")), "Infinity"),
    "a number without end": (sends(changed(PLAIN, "21", "9" * 5000)), "not JSON"),
    "usage of another type": (sends(changed(PLAIN, "21", '"many"')), "no chat completion"),
    "duplicated keys": (sends(changed(PLAIN, '"role":', '"content": "Go away.", "role":')), "twice"),
    "nested too deep": (sends(b"[" * 100_000), "nested too deep"),
    "huge body": (sends(b" " * (module.MAX_BODY_BYTES + 1)), "larger than 4 MiB"),
    "a body without end": (floods, "larger than 4 MiB"),
    "gzip bomb": (
        sends(gzip.compress(b" " * 50_000_000, compresslevel=9), headers=("Content-Encoding: gzip",)),
        "compressed (gzip)",
    ),
    "no content": (sends(b"", status="204 No Content"), "204"),
    "bad request": (refuses("400 Bad Request", {"error": {"message": "no such field"}}), "400: no such field"),
    "too large": (refuses("413 Payload Too Large"), "413"),
    "unprocessable": (refuses("422 Unprocessable Entity", {"detail": [{"msg": "x"}]}), "422"),
    "the key echoed": (sends(completion(f"You sent {KEY}.")), "holds the key"),
    "the key echoed with its slash escaped": (sends(spelled(completion(f"You sent {KEY}."))), "holds the key"),
    "the key in what it thought": (sends(spelled(message(content="Hi.", reasoning_content=KEY))), "holds the key"),
    "the key as the model": (sends(spelled(completion() | {"model": KEY})), "holds the key"),
    "the key as a name": (sends(spelled(completion() | {KEY: 1})), "holds the key"),
    "the key as a name, twice": (sends(f'{{"{ESCAPED}": 1, "{ESCAPED}": 2}}'.encode()), '"[key]" stands there twice'),
    "the key in HTML": (sends(f"{KEY} {ESCAPED}".encode(), content_type="text/html"), "not JSON: [key] [key]"),
    "the key at the cut": (sends(b"x" * 290 + KEY.encode(), content_type="text/html"), "x[key]"),
    "the key in an error": (refuses("400 Bad Request", spelled({"error": {"message": f"no {KEY}"}})), "no [key]"),
    "the key in an error's list": (refuses("400 Bad Request", spelled({"error": [KEY]})), '["[key]"]'),
    "the key beside an error": (refuses("400 Bad Request", spelled({"detail": [{KEY: KEY}]})), '{"[key]": "[key]"}'),
}
"""Answers that came whole: none of them is asked for again, for that would choose among replies."""


@pytest.mark.parametrize("kind", WHOLE)
def test_an_answer_that_is_no_reply_fails_with_its_reason_and_is_not_asked_for_again(kind: str) -> None:
    behave, why = WHOLE[kind]
    tries: list[Try] = []
    with serving(behave, OK) as server:
        (error,) = ask(supporter(server), tries=tries, key=KEY)
        assert len(server.requests) == 1
    assert type(error) is SupporterError, error
    assert why in error.message
    assert len(error.message) < 800
    assert "sk-ca" not in error.message
    (tried,) = tries
    assert (tried.error, tried.again) == (error.message, False)


BROKEN: dict[str, tuple[Behave, str, int | None]] = {
    "reset": (resets, "broke off", None),
    "closed without a word": (lambda connection, _: connection.shutdown(socket.SHUT_RDWR), "broke off", None),
    "no HTTP": (sends(b"", status="garbage\x00"), "broke off", None),
    "cut off": (sends(PLAIN.encode(), length=5000), "broke off", None),
    "hang": (hangs, "within 0.2 s", None),
    "slow drip": (drips, "within 0.2 s", None),
    "request timeout": (refuses("408 Request Timeout"), "408", 408),
    "too many": (refuses("429 Too Many Requests", {"error": {"message": f"slow down, {KEY}"}}), "slow down", 429),
    "internal": (refuses("500 Internal Server Error", b"oops"), "500: oops", 500),
    "bad gateway": (refuses("502 Bad Gateway", b"<html>"), "502", 502),
    "loading": (refuses("503 Service Unavailable", {"error": {"message": "Loading model"}}), "Loading model", 503),
    "gateway timeout": (refuses("504 Gateway Timeout"), "504", 504),
    "overloaded": (refuses("529 Overloaded"), "529", 529),
}
"""What never became an answer: it is asked for again, a stated number of times."""


@pytest.mark.parametrize("kind", BROKEN)
def test_what_never_became_an_answer_is_asked_for_again_and_every_try_is_kept(kind: str) -> None:
    behave, why, status = BROKEN[kind]
    tries: list[Try] = []
    with serving(behave, behave, OK) as server:
        (said,) = ask(supporter(server, timeout_s=0.2), tries=tries, key=KEY)
        assert len(server.requests) == 3
    assert isinstance(said, Said), said
    assert [tried.number for tried in tries] == [1, 2, 3]
    assert [tried.status for tried in tries] == [status, status, 200]
    assert [tried.again for tried in tries] == [True, True, False]
    assert [tried.waited_s > 0 for tried in tries] == [False, True, True]
    assert why in (tries[0].error or "")
    assert not any(KEY in (tried.error or "") for tried in tries)


def test_tries_come_to_an_end_and_three_turns_given_up_in_a_row_stop_the_run() -> None:
    tries: list[Try] = []
    with serving(refuses("503 Service Unavailable")) as server:
        errors = ask(supporter(server, concurrency=1), times=3, tries=tries)
        assert len(server.requests) == 3 * module.MAX_TRIES
    assert [type(error) for error in errors] == [SupporterError, SupporterError, SupporterUnavailableError]
    assert f"{module.MAX_TRIES} tries" in str(errors[0])


def test_a_reply_in_between_starts_the_count_anew() -> None:
    bad = [refuses("503 Service Unavailable")] * (2 * module.MAX_TRIES)
    with serving(*bad, OK, *bad, OK) as server:
        found = ask(supporter(server, concurrency=1), times=6)
    assert [type(one) for one in found] == [SupporterError, SupporterError, Said] * 2


@pytest.mark.parametrize(
    ("behave", "why", "to_do"),
    [
        (refuses("401 Unauthorized", {"error": {"message": f"bad key {KEY}"}}), "401: bad key [key]", "$ESCL_API_KEY"),
        (refuses("403 Forbidden"), "403", "check the key"),
        (refuses("404 Not Found", {"error": "model 'm-1' not found"}), "model 'm-1' not found", "/v1/models"),
        (refuses("404 Not Found"), "404", "ends in /v1"),
        (refuses("405 Method Not Allowed"), "405", "check the address"),
        (refuses("407 Proxy Authentication Required"), "407", "proxy"),
        (
            refuses("302 Found", b"", "Location: http://127.0.0.1:1/v2"),
            "to http://127.0.0.1:1/v2 (302)",
            "that address",
        ),
        (refuses("429 Too Many Requests", b"", "Retry-After: 4000"), "left alone", "wait"),
    ],
)
def test_what_would_fail_every_dialogue_stops_the_run_at_once_and_says_what_to_do(
    behave: Behave, why: str, to_do: str
) -> None:
    with serving(behave) as server:
        (error,) = ask(supporter(server), key=KEY)
        assert len(server.requests) == 1
    assert isinstance(error, SupporterUnavailableError)
    assert why in error.message
    assert to_do in (error.hint or "")
    assert ("there again" in (error.hint or "")) is (to_do == "wait")
    assert "same command goes on" in (error.hint or "")


@pytest.mark.parametrize("key_env", [None, "LAB_API_KEY"])
def test_a_refusal_names_the_variable_that_the_key_is_missing_from(key_env: str | None) -> None:
    with serving(refuses("401 Unauthorized")) as server:
        (error,) = ask(supporter(server, key_env=key_env))
    assert isinstance(error, SupporterUnavailableError)
    assert f"put it into ${key_env or 'ESCL_API_KEY'}" in (error.hint or "")


def test_an_endpoint_that_is_not_there_stops_the_run_and_each_try_counts_as_a_connection() -> None:
    connections.watch()
    with serving(OK) as server:
        pass
    before = connections.attempted()
    tries: list[Try] = []
    (error,) = ask(supporter(server), tries=tries)
    assert isinstance(error, SupporterUnavailableError)
    assert "no connection" in error.message
    assert len(tries) == module.MAX_TRIES
    assert connections.attempted() == before + module.MAX_TRIES


def test_connections_are_kept_for_the_next_request_and_counted_once() -> None:
    connections.watch()
    with serving(OK) as server:
        before = connections.attempted()
        ask(supporter(server, concurrency=1), times=5)
        assert connections.attempted() == before + 1 == before + server.n_connections


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
def test_no_redirect_is_followed_and_the_key_goes_nowhere_else(status: str) -> None:
    with serving(OK) as elsewhere:
        for target in (elsewhere.url, "http://169.254.169.254/latest", "file:///etc/passwd", "//[bad"):
            with serving(refuses(status, b"", f"Location: {target}")) as server:
                (error,) = ask(supporter(server), key=KEY)
            assert isinstance(error, SupporterUnavailableError), error
            assert "redirects to" in error.message
        assert elsewhere.requests == []


def test_a_proxy_is_never_asked_for_what_stays_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(OK) as proxy, serving(OK) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        (said,) = ask(supporter(server))
        assert isinstance(said, Said)
        assert proxy.requests == []


@pytest.mark.parametrize(
    "value",
    [
        "http://user:sec#ret@127.0.0.1:9",
        "http://user:secret@[::1",
        "gopher://user:secret@127.0.0.1:9",
        pytest.param(
            "socks5://user:secret@127.0.0.1:9",
            marks=pytest.mark.skipif(find_spec("socksio") is not None, reason="socksio is there, so SOCKS works"),
        ),
    ],
)
def test_a_proxy_that_cannot_be_is_named_by_its_variable_alone(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(UsageError) as refused:
        begun("http://lab.example/v1")
    assert refused.value.message == "$ALL_PROXY: no proxy that escl can use"
    assert "sec" not in str(refused.value)
    begun("http://127.0.0.1:8080/v1")


def test_certificates_that_are_not_there_are_named_by_their_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")
    with pytest.raises(UsageError, match=r"\$SSL_CERT_FILE: cannot be read"):
        begun("https://lab.example/v1")


@pytest.mark.parametrize("kind", ["code", "type"])
def test_a_dialogue_that_is_too_long_for_the_server_is_an_overflow(kind: str) -> None:
    name = {"code": "context_length_exceeded", "type": "exceed_context_size_error"}[kind]
    with serving(refuses("400 Bad Request", {"error": {"message": "5000 > 4096", kind: name}})) as server:
        (error,) = ask(supporter(server))
    assert isinstance(error, ContextOverflowError)
    assert "5000 > 4096" in error.message


def test_no_more_requests_are_in_flight_than_allowed() -> None:
    def slow(connection: socket.socket, request: Request) -> None:
        time.sleep(0.03)
        OK(connection, request)

    with serving(slow) as server:
        found = ask(supporter(server, concurrency=2), times=8)
        assert all(isinstance(said, Said) for said in found)
        assert server.most_in_flight == 2


def test_a_stop_finishes_what_is_in_flight_and_turns_away_the_rest() -> None:
    gate = threading.Event()

    def held(connection: socket.socket, request: Request) -> None:
        gate.wait(5)
        OK(connection, request)

    async def main(server: ChatServer) -> list[Said | BaseException]:
        stop = asyncio.Event()
        asked = Endpoint(supporter(server, concurrency=1), key=None, on_try=lambda *_: None, stop=stop)
        replies = [
            asyncio.create_task(asked.generate(session=str(n), messages=ASKED, sampling=Sampling(), seed=1))
            for n in range(2)
        ]
        while not server.requests:
            await asyncio.sleep(0.01)
        stop.set()
        gate.set()
        found = await asyncio.gather(*replies, return_exceptions=True)
        await asked.release()
        return found

    with serving(held) as server:
        first, second = asyncio.run(main(server))
        assert len(server.requests) == 1
    assert isinstance(first, Said)
    assert isinstance(second, NotBegunError)


def test_a_stop_ends_the_wait_for_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT_S", 60.0)

    async def main(server: ChatServer) -> BaseException | None:
        stop = asyncio.Event()
        asked = Endpoint(supporter(server), key=None, on_try=lambda *_: stop.set(), stop=stop)
        try:
            await asked.generate(session="1", messages=ASKED, sampling=Sampling(), seed=1)
        except EngineError as error:
            return error
        finally:
            await asked.release()
        return None

    with serving(refuses("503 Service Unavailable")) as server:
        assert isinstance(asyncio.run(main(server)), NotBegunError)


NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 0 ", 0.0),
        ("-5", None),
        ("1e3", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("9" * 400, 999999999999.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        ("Sun, 22 Nov 2026 12:00:30 -0000", 30.0),
        ("Mon, 20 Nov 2026 00:00:00 +99999999999999999999", None),
        ("Mon, 20 Nov 99999999999 00:00:00 +0000", None),
    ],
)
def test_retry_after_is_a_number_or_a_date_or_nothing(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, now=NOW) == seconds


def test_a_server_is_given_the_time_that_it_asks_for_up_to_a_limit() -> None:
    tries: list[Try] = []
    with serving(refuses("429 Too Many Requests", b"", "Retry-After: 1"), OK) as server:
        (said,) = ask(supporter(server), tries=tries)
    assert isinstance(said, Said)
    assert tries[1].waited_s == 1.0
    tries.clear()
    with serving(refuses("429 Too Many Requests", b"", "Retry-After: 86400")) as server:
        (error,) = ask(supporter(server), tries=tries)
    assert isinstance(error, SupporterUnavailableError)
    assert "86,400 s" in error.message
    # Nobody asked again, and the record says so.
    assert [tried.again for tried in tries] == [False]


@pytest.mark.parametrize(
    ("url", "is_sent"),
    [
        ("https://lab.example/v1", True),
        ("http://127.0.0.1:8080/v1", True),
        ("http://localhost:8080/v1", True),
        ("http://[::1]:8080/v1", True),
        ("http://192.168.1.5:8000/v1", True),
        ("http://[fd12:3456::1]:8000/v1", True),
        ("http://gpu-box:8000/v1", False),
        ("http://lab.example/v1", False),
        ("http://192.168.1.5.lab.example/v1", False),
        ("http://172.32.0.1/v1", False),
        ("http://[::ffff:8.8.8.8]/v1", False),
    ],
)
@pytest.mark.parametrize("key_env", [None, "LAB_API_KEY"])
def test_a_key_is_not_sent_where_strangers_can_read_it(url: str, *, is_sent: bool, key_env: str | None) -> None:
    one = EndpointSupporter(name="a", url=url, model="m", key_env=key_env)
    environment = {"ESCL_API_KEY": KEY, "LAB_API_KEY": KEY}
    if is_sent:
        assert key_for(one, environment) == (key_env or "ESCL_API_KEY", KEY)
        return
    with pytest.raises(UsageError, match=f"{key_env or 'ESCL_API_KEY'} is not sent") as refused:
        key_for(one, environment)
    assert KEY not in str(refused.value)


def test_the_key_is_a_header_and_comes_from_the_variable_that_is_meant_for_it() -> None:
    with serving(OK) as server:
        ask(supporter(server), key=KEY)
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    here = EndpointSupporter(name="a", url="http://127.0.0.1:1/v1", model="m")
    openai = msgspec.structs.replace(here, url="https://api.openai.com/v1")
    named = msgspec.structs.replace(here, key_env="MY_API_KEY")
    both = {"ESCL_API_KEY": "one", "OPENAI_API_KEY": "two", "MY_API_KEY": "three\n"}
    assert key_for(here, both) == ("ESCL_API_KEY", "one")
    assert key_for(named, both) == ("MY_API_KEY", "three")
    # OpenAI's key is for OpenAI only.
    assert key_for(here, {"OPENAI_API_KEY": "two"}) is None
    assert key_for(openai, {"OPENAI_API_KEY": "two"}) == ("OPENAI_API_KEY", "two")
    with pytest.raises(UsageError, match="MY_API_KEY, which is not set"):
        key_for(named, {})
    # It is OpenAI's only over a line that nobody reads.
    with pytest.raises(UsageError, match="others could read it"):
        key_for(msgspec.structs.replace(openai, url="http://api.openai.com/v1"), {"OPENAI_API_KEY": "two"})
    for bad in ("a b", "a\nb", "ключ"):
        with pytest.raises(UsageError) as refused:
            key_for(here, {"ESCL_API_KEY": bad})
        assert bad not in str(refused.value)
