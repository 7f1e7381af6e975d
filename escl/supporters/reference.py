"""What a supporter on the command line stands for, where it is no GGUF model: an endpoint, code, their TOML, a person.

Owns the forms `http(s)://host/v1#model`, `python:package.module:Name`, `human`, and the manifest with `[endpoint]` or
`[python]`.
Opens no connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec

from escl.core import strict
from escl.core.sampling import Sampling
from escl.errors import ManifestError, UsageError
from escl.supporters.addresses import belongs_elsewhere, is_forbidden
from escl.supporters.outside import (
    DEFAULT_TIMEOUT_S,
    DIALECTS,
    HUMAN,
    Dialect,
    EndpointSupporter,
    HumanSupporter,
    OutsideSupporter,
    PythonSupporter,
)
from escl.supporters.python_code import sha256_of_code

ENTRY_POINTS: Final = "escl.supporters"
"""The entry point group in which packages offer supporters by name."""

_PYTHON: Final = "python:"
_TARGET: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_KEY_NAME: Final = re.compile(r"[A-Za-z0-9_]*_API_KEY")
_MAX_CONCURRENCY: Final = 64
_MAX_PROCESSES: Final = 16
_MAX_TIMEOUT_S: Final = 24 * 3600.0
_MAX_PROMPT_CHARS: Final = 100_000

_Table = TypeVar("_Table", bound=msgspec.Struct)


class _Endpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str
    model: str
    dialect: Dialect | None = None
    key_env: str | None = None
    concurrency: int = 4
    timeout_s: float = DEFAULT_TIMEOUT_S


class _Python(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    target: str
    processes: int = 1
    timeout_s: float = DEFAULT_TIMEOUT_S


class _Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    role: str = "supporter"
    description: str | None = None
    licence: str | None = None
    notice: str | None = None
    system_prompt: str | None = None
    endpoint: dict[str, object] | None = None
    python: dict[str, object] | None = None
    sampling: dict[str, object] | None = None


def outside_supporter(reference: str) -> OutsideSupporter | None:
    """Return the supporter outside the engines that `reference` names; None when it is the shelf's to find.

    Args:
        reference: An address with a model, "python:" with a target or an entry point's name, "human", or a TOML file.

    Raises:
        UsageError: An address or target that cannot be.
        ManifestError: No such code, or a malformed TOML file.
    """
    if reference.startswith(("http://", "https://")):
        base, _, model = reference.partition("#")
        url = _checked_url(base)
        if not model:
            raise UsageError(
                f"{url} names no model", hint=f"write {url}#MODEL; the server lists its models under {url}/models"
            )
        return EndpointSupporter(name=model, url=url, model=model, dialect=_dialect_of(url))
    if reference.startswith(_PYTHON):
        target = _resolved(reference.removeprefix(_PYTHON))
        return PythonSupporter(name=reference.removeprefix(_PYTHON), target=target, sha256=sha256_of_code(target))
    if reference == HUMAN:
        return HumanSupporter()
    return _from_file(Path(reference)) if reference.endswith(".toml") else None


def _from_file(path: Path) -> OutsideSupporter | None:
    """Return the supporter of a TOML file, None when the file is a GGUF model's manifest."""
    try:
        document = strict.read_document(path)
        if not isinstance(document, dict) or not {"endpoint", "python"} & document.keys():
            return None
        manifest = _convert(document, _Manifest, "the file")
        return _of(manifest)
    except ValueError as error:
        raise ManifestError(f"{path}: {error}") from None
    except UsageError as error:
        raise ManifestError(f"{path}: {error.message}", hint=error.hint) from None


def _of(manifest: _Manifest) -> OutsideSupporter:
    if manifest.role != "supporter":
        raise ValueError(f"role is {strict.quoted(manifest.role)}; what has [endpoint] or [python] is a supporter")
    name = strict.line(80)(manifest.name)
    prompt = None if manifest.system_prompt is None else strict.paragraph(_MAX_PROMPT_CHARS)(manifest.system_prompt)
    if manifest.endpoint is not None and manifest.python is not None:
        raise ValueError("it has both [endpoint] and [python]; a supporter is one of them")
    if manifest.python is not None:
        code = _convert(manifest.python, _Python, "[python]")
        if manifest.sampling:
            raise ValueError("[sampling] means nothing to [python]: code is called with the messages only")
        return PythonSupporter(
            name=name,
            target=(target := _resolved(code.target)),
            sha256=sha256_of_code(target),
            processes=_within("[python] processes", code.processes, 1, _MAX_PROCESSES),
            timeout_s=_within("[python] timeout_s", code.timeout_s, 0.01, _MAX_TIMEOUT_S),
            system_prompt=prompt,
            notice=manifest.notice,
        )
    endpoint = _convert(manifest.endpoint, _Endpoint, "[endpoint]")
    url = _checked_url(endpoint.url)
    dialect = endpoint.dialect or _dialect_of(url)
    if endpoint.key_env is not None and not _KEY_NAME.fullmatch(endpoint.key_env):
        # A manifest from elsewhere must not be able to send any variable it likes to any address it likes.
        raise ValueError(f"[endpoint] key_env is {strict.quoted(endpoint.key_env)}; it must end in _API_KEY")
    if endpoint.key_env is not None and (owners := belongs_elsewhere(endpoint.key_env, url)):
        raise ValueError(
            f"[endpoint] key_env is {endpoint.key_env}, a key for {' and '.join(owners)}, and url is another machine"
        )
    return EndpointSupporter(
        name=name,
        url=url,
        model=strict.line(200)(endpoint.model),
        dialect=dialect,
        key_env=endpoint.key_env,
        concurrency=_within("[endpoint] concurrency", endpoint.concurrency, 1, _MAX_CONCURRENCY),
        timeout_s=_within("[endpoint] timeout_s", endpoint.timeout_s, 0.01, _MAX_TIMEOUT_S),
        sampling=None if manifest.sampling is None else _sampling(manifest.sampling, dialect),
        system_prompt=prompt,
        notice=manifest.notice,
    )


def _sampling(table: Mapping[str, object], dialect: Dialect) -> Sampling:
    known = [field.name for field in msgspec.structs.fields(Sampling)]
    for key in table:
        if key not in known:
            raise ValueError(f"[sampling] {strict.shortened(key)} is unknown{strict.nearest(key, known)}")
        if key not in DIALECTS[dialect]:
            speaking = ", ".join(name for name, words in DIALECTS.items() if key in words)
            raise ValueError(
                f'[sampling] {key}: the dialect "{dialect}" has no word for it; [endpoint] dialect can be {speaking}'
            )
    sampling = _convert(dict(table), Sampling, "[sampling]")
    _within("[sampling] temperature", sampling.temperature, 0.0, 10.0)
    _within("[sampling] top_p", sampling.top_p, 1e-6, 1.0)
    _within("[sampling] top_k", sampling.top_k, 0, 1_000_000)
    _within("[sampling] repeat_penalty", sampling.repeat_penalty, 0.01, 10.0)
    _within("[sampling] max_tokens", sampling.max_tokens, 1, 1_000_000)
    return sampling


_Number = TypeVar("_Number", int, float)


def _within(what: str, value: _Number, low: _Number, high: _Number) -> _Number:
    # Written so that NaN, which compares with nothing, is refused.
    if not low <= value <= high:
        raise ValueError(f"{what} is {value}; it must be from {low:g} to {high:g}")
    return value


def _convert(value: object, kind: type[_Table], where: str) -> _Table:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        unknown = re.search(r"unknown field `(.*?)`", str(error))
        closest = strict.nearest(unknown[1], [field.name for field in msgspec.structs.fields(kind)]) if unknown else ""
        raise ValueError(f"{where}: {error}{closest}") from None


def _dialect_of(url: str) -> Dialect:
    return "openai" if urlsplit(url).hostname == "api.openai.com" else "plain"


def _checked_url(url: str) -> str:
    """Return a base address without a slash at its end.

    Raises:
        UsageError: It is no such address, or one that no supporter may have.
    """
    shown = strict.quoted(url)
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{shown} is no address: {error}") from None
    if parts.username is not None or parts.password is not None:
        raise UsageError("an address must not hold a name or password", hint="a key belongs into $ESCL_API_KEY")
    is_odd = not url.isascii() or not url.isprintable() or " " in url or "%" in parts.netloc
    if parts.scheme not in ("http", "https") or not host or is_odd or (port is None and parts.netloc.endswith(":")):
        raise UsageError(f"{shown} is no address of an endpoint", hint="write http://127.0.0.1:8080/v1#MODEL")
    if parts.query or parts.fragment:
        raise UsageError(f"{shown} holds a query or a #; only the base address belongs there")
    if is_forbidden(url):
        raise UsageError(f"{shown} is an address that machines of a cloud keep for their own secrets")
    path = parts.path.rstrip("/")
    if path.endswith("/chat/completions"):
        raise UsageError(f"{shown} is not the base address", hint="leave /chat/completions out")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _resolved(target: str) -> str:
    """Return a target "package.module:Name", looked up among the entry points when it is only a name."""
    if ":" not in target:
        offered = {point.name: point.value for point in metadata.entry_points(group=ENTRY_POINTS)}
        if target not in offered:
            close = strict.nearest(target, offered)
            raise ManifestError(
                f"no installed package offers a supporter named {strict.quoted(target)}{close}",
                hint=f"offered: {_listed(offered)}; code in the current folder is python:module:Name",
            )
        target = offered[target].replace(" ", "")
    if not _TARGET.fullmatch(target):
        raise UsageError(f"{strict.quoted(target)} is no Python name", hint="write python:package.module:Name")
    return target


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
