"""`escl protocol`: list, check and show protocols, read ESC-Eval's own from a copy of its scripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from escl.cli.output import print_json, progress_console, results_console
from escl.core.own_dimension import OwnDimension
from escl.core.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from escl.core.protocol import Protocol
    from escl.core.wording import SamplingDefaults, Wording

protocol_app = typer.Typer(
    name="protocol",
    help="The words around an evaluation: list, show, import ESC-Eval's own.\n\nExample: escl protocol ls",
    no_args_is_help=True,
)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a protocol was read from.

    Attributes:
        known_as: What the file is known to be by its hash; None when escl does not know it.
    """

    name: str
    sha256: str
    known_as: str | None


class ProtocolEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A protocol as `escl protocol ls --json` lists it.

    Attributes:
        name: What `--protocol` takes, which is the file's name.
        called: What the protocol calls itself, and reports call it.
        problem: Why the file cannot be used; None when it can.
    """

    name: str
    file: str
    called: str | None = None
    version: int | None = None
    languages: list[str] = []
    sha256: str | None = None
    sources: list[SourceFile] = []
    problem: str | None = None


class CheckedProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """A protocol file as `escl protocol check --json` prints it.

    Attributes:
        remarks: What is worth a second look in a file that can be used.
    """

    entry: ProtocolEntry
    remarks: list[str]


class CheckedRubrics(msgspec.Struct, frozen=True, kw_only=True):
    """A rubrics file as `escl protocol check --json` prints it.

    Attributes:
        problem: Why the file cannot be used; None when it can.
        remarks: What is worth a second look in a file that can be used.
    """

    file: str
    dimensions: list[OwnDimension] = []
    problem: str | None = None
    remarks: list[str] = []


class ShownProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """What `escl protocol show --json` prints: the protocol whole."""

    sha256: str
    sources: list[SourceFile]
    protocol: object


@protocol_app.command("import")
def import_protocol(
    esc_eval: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="A folder of ESC-Eval, or the zip file that GitHub makes of the repository."
        ),
    ],
    *,
    modeling: Annotated[
        Path | None,
        typer.Option(
            help="modeling_internlm2.py of internlm2-chat-7b, for the scorer's default system message. "
            "Default: what esc-rank on the shelf carries of it."
        ),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Read ESC-Eval's exact protocol from its scripts, as text and without running them, for --protocol esc-eval.

    Example: escl protocol import ESC-Eval-main.zip --modeling internlm2-chat-7b/modeling_internlm2.py
    """
    from escl.upstream.protocol import read_protocol, write_protocol

    protocol = read_protocol(esc_eval, modeling=modeling)
    path = write_protocol(protocol)
    entry = _entry(protocol, path)
    if as_json:
        print_json(entry)
        return
    console = results_console()
    for line in _imported(protocol, entry):
        console.print(printable(line), markup=False, soft_wrap=True)


@protocol_app.command("ls")
def list_protocols(*, as_json: _Json = False) -> None:
    """List the protocols that --protocol knows by name.

    Example: escl protocol ls --json
    """
    from escl.core.protocol import known_protocols, load_protocol
    from escl.errors import ProtocolError

    entries = []
    for name, path in known_protocols().items():
        try:
            entries.append(_entry(load_protocol(name), path))
        except ProtocolError as error:
            entries.append(ProtocolEntry(name=name, file=str(path), problem=error.message))
    if as_json:
        print_json({"protocols": entries})
        return
    for entry in entries:
        line = f"{entry.name}: {entry.problem or _said(entry)} ({entry.file})"
        results_console().print(printable(line), markup=False, soft_wrap=True)
    if not any(entry.name == "esc-eval" for entry in entries):
        progress_console().print("ESC-Eval's own protocol is not here; `escl protocol import` reads it from a copy.")


@protocol_app.command("check")
def check_protocol(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Protocols, or rubrics of your own; TOML or JSON.")
    ],
    *,
    as_json: _Json = False,
) -> None:
    """Say whether files can be used, what is wrong in which field, and what is worth a second look.

    A file with [dimensions] holds rubrics of your own, for --rubrics; any other is a protocol, for --protocol.

    Example: escl protocol check my-rubrics.toml
    """
    from escl.core.own_dimension import is_rubrics
    from escl.errors import ExitCode

    rubrics = [_checked_rubrics(path) for path in files if is_rubrics(path)]
    protocols = [_checked_protocol(path) for path in files if not is_rubrics(path)]
    if as_json:
        print_json({"protocols": protocols, "rubrics": rubrics})
    else:
        lines = [line for each in protocols for line in _checked(each)]
        lines += [line for each in rubrics for line in _said_of_rubrics(each)]
        for line in lines:
            results_console().print(printable(line), markup=False, soft_wrap=True)
    is_bad = any(each.entry.problem for each in protocols) or any(each.problem for each in rubrics)
    raise typer.Exit(ExitCode.BAD_INPUT if is_bad else ExitCode.OK)


def _checked_protocol(path: Path) -> CheckedProtocol:
    from escl.core.protocol import load_protocol
    from escl.core.protocol_check import remarks
    from escl.errors import ProtocolError

    try:
        # A path, even where a protocol has the same name.
        protocol = load_protocol(str(path.absolute()))
    except ProtocolError as error:
        entry = ProtocolEntry(name=path.stem, file=str(path), problem=error.message)
        return CheckedProtocol(entry=entry, remarks=[])
    return CheckedProtocol(entry=_entry(protocol, path), remarks=remarks(protocol))


def _checked_rubrics(path: Path) -> CheckedRubrics:
    from escl.core.own_dimension import load_own
    from escl.core.protocol_check import own_remarks
    from escl.errors import ProtocolError

    try:
        dimensions = list(load_own([path]))
    except ProtocolError as error:
        return CheckedRubrics(file=str(path), problem=error.message)
    return CheckedRubrics(file=str(path), dimensions=dimensions, remarks=own_remarks(dimensions))


def _said_of_rubrics(checked: CheckedRubrics) -> Iterator[str]:
    if checked.problem:
        yield f"cannot be used: {checked.problem}"
        return
    yield f"{checked.file}: can be used with --rubrics"
    for own in checked.dimensions:
        names = ", ".join(f"{rubric.name} ({language.value})" for language, rubric in own.languages.items())
        yield f"  {own.key}: {names}"
    yield from (f"  look again: {remark}" for remark in checked.remarks)


def _checked(checked: CheckedProtocol) -> Iterator[str]:
    entry = checked.entry
    if entry.problem:
        yield f"cannot be used: {entry.problem}"
        return
    yield f"{entry.file}: can be used, {_said(entry)}"
    yield from (f"  look again: {remark}" for remark in checked.remarks)


@protocol_app.command("show")
def show_protocol(
    name: Annotated[str, typer.Argument(help="A name that `escl protocol ls` lists, or a protocol file.")],
    *,
    as_json: _Json = False,
) -> None:
    """Show every word and setting of a protocol.

    Example: escl protocol show esc-eval --json
    """
    from escl.core.protocol import load_protocol

    protocol = load_protocol(name)
    if as_json:
        print_json(ShownProtocol(sha256=protocol.sha256(), sources=_sources(protocol), protocol=protocol))
        return
    console = results_console()
    for heading, text in _shown(protocol):
        console.print(printable(heading), style="bold", markup=False, soft_wrap=True)
        console.print(printable(text), markup=False, soft_wrap=True)
        console.print()


def _said(entry: ProtocolEntry) -> str:
    called = "" if entry.called == entry.name else f"called {entry.called} in reports, "
    return f"{called}version {entry.version}, {' and '.join(entry.languages)}, sha256 {(entry.sha256 or '')[:12]}"


def _entry(protocol: Protocol, path: Path) -> ProtocolEntry:
    return ProtocolEntry(
        name=path.stem,
        called=protocol.name,
        file=str(path),
        version=protocol.version,
        languages=[language.value for language in protocol.languages],
        sha256=protocol.sha256(),
        sources=_sources(protocol),
    )


def _sources(protocol: Protocol) -> list[SourceFile]:
    from escl.upstream.script import KNOWN

    hashes = protocol.origin.sources if protocol.origin else {}
    return [SourceFile(name=name, sha256=sha256, known_as=KNOWN.get(sha256)) for name, sha256 in hashes.items()]


def _imported(protocol: Protocol, entry: ProtocolEntry) -> Iterator[str]:
    for source in entry.sources:
        known = source.known_as or "unknown to escl, of the expected shape"
        yield f"{source.name}: sha256 {source.sha256[:12]}, {known}"
    yield f"{protocol.default_rounds()} rounds"
    if protocol.origin:
        yield from (_draws(name, sampling) for name, sampling in protocol.origin.supporters.items())
        yield from (f"note: {line}" for line in protocol.origin.notes)
    yield f"{entry.name} is kept in {entry.file}; use it with --protocol {entry.name}"


def _draws(name: str, sampling: SamplingDefaults) -> str:
    length = "as long as its model's settings allow" if sampling.max_tokens is None else f"{sampling.max_tokens} tokens"
    how = {None: "sampled as its model's settings say", 0.0: "greedy"}
    return f"{name}: {length}, {how.get(sampling.temperature, f'temperature {sampling.temperature}')}"


def _shown(protocol: Protocol) -> Iterator[tuple[str, str]]:
    yield f"{protocol.name}, version {protocol.version}", f"sha256 {protocol.sha256()}"
    settings = [f"{protocol.default_rounds()} rounds"]
    settings += [_draws(speaker.value, each) for speaker, each in (protocol.sampling or {}).items()]
    yield "Defaults", "\n".join(settings)
    rewriting = protocol.rewriting
    if rewriting:
        replaced = [f"{old!r} becomes {new!r}" for old, new in rewriting.replacements]
        yield "Transcript", "\n".join([f"turns joined by {rewriting.separator!r}", *replaced])
    else:
        yield "Transcript", "each turn on one line"
    if protocol.origin and protocol.origin.notes:
        yield "Notes", "\n".join(protocol.origin.notes)
    for source in _sources(protocol):
        yield f"Read from {source.name}", f"sha256 {source.sha256} ({source.known_as or 'unknown to escl'})"
    for language, wording in protocol.languages.items():
        yield from _shown_words(language.value, wording)


def _shown_words(language: str, wording: Wording) -> Iterator[tuple[str, str]]:
    yield f"[{language}] seeker, system message", wording.seeker_prompt
    yield f"[{language}] greeting", wording.greeting
    yield f"[{language}] supporter, system message", wording.supporter_prompt
    yield f"[{language}] labels in the transcript", f"{wording.seeker_label}\n{wording.supporter_label}"
    yield f"[{language}] scorer, system message", wording.scorer_system or "the scorer's own default"
    yield f"[{language}] scorer, question", wording.scorer_prompt
    for dimension, rubric in wording.rubrics.items():
        yield f"[{language}] rubric {dimension.value}, called {rubric.name}", rubric.text
