"""One round of ESC-Eval's dialogue loop, followed statement by statement: who is called, and who hears the words.

Nothing is run: the statements' shapes alone say who speaks to whom, and a round in another order is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from escl.upstream.script import Script, assigned, message_of, method_call, name_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Who speaks in a round.

    Attributes:
        seeker: The variable that holds the seeker's model.
        supporter: The same for the supporter.
        rounds: How often they take turns.
    """

    seeker: str
    supporter: str
    rounds: int


def read_exchange(script: Script, function: ast.FunctionDef, heard: str) -> Exchange:
    """Return who speaks in the loop that goes on from `heard`, the list that the seeker hears.

    Raises:
        ProtocolError: There is no such loop, or its rounds go another way than upstream's.
    """
    loop, rounds = _loop(script, function, heard)
    events = list(_events(script, loop.body))
    callers = [event for event in events if len(event) == 2]
    if len(callers) != 2:
        raise script.refuse("two models to be called in a round, the seeker and the supporter", loop)
    (seeker, _), (supporter, also_heard) = callers
    expected = [
        (seeker, heard),
        (heard, "assistant", seeker),
        (also_heard, "user", seeker),
        (supporter, also_heard),
        (heard, "user", supporter),
        (also_heard, "assistant", supporter),
    ]
    if events != expected or also_heard == heard:
        raise script.refuse(
            "a round of this order: the seeker speaks, both lists get its words (as assistant in its own, as user in "
            "the supporter's), the supporter speaks, both lists get its words likewise",
            loop,
        )
    _check_begins_empty(script, function, also_heard)
    return Exchange(seeker=seeker, supporter=supporter, rounds=rounds)


def _loop(script: Script, function: ast.FunctionDef, heard: str) -> tuple[ast.For, int]:
    """Return the loop over the rounds, and how many there are."""
    loops = (
        (node, _count(node))
        for node in ast.walk(function)
        if isinstance(node, ast.For) and any(_appends_to(statement) == heard for statement in node.body)
    )
    loop, rounds = script.only(loops, f"a loop that appends to {heard}", function)
    if rounds is None:
        raise script.refuse("for ... in range(a number of rounds)", loop)
    return loop, rounds


def _count(loop: ast.For) -> int | None:
    match loop.iter:
        case ast.Call(func=ast.Name(id="range"), args=[ast.Constant(value=int(count))], keywords=[]):
            return count
    return None


def _appends_to(node: ast.stmt) -> str | None:
    call = method_call(node.value, "append") if isinstance(node, ast.Expr) else None
    return None if call is None else name_of(call[0])


def _events(script: Script, body: Sequence[ast.stmt]) -> Iterator[tuple[str, ...]]:
    """Yield (model, list) for a call of a model, and (list, role, model) where its words are appended to a list."""
    said: dict[str, str] = {}
    messages: dict[str, tuple[str, str]] = {}
    for node in body:
        pair = assigned(node)
        appended = method_call(node.value, "append") if isinstance(node, ast.Expr) else None
        if pair is not None and (call := _model_call(pair[1])) is not None:
            said[pair[0]] = call[0]
            yield call
        elif pair is not None and (message := _spoken(pair[1], said)) is not None:
            messages[pair[0]] = message
        elif appended is not None and (message := _appended(appended[1], said, messages)) is not None:
            yield (name_of(appended[0]) or "", *message)
        else:
            raise script.refuse("only calls of the two models and their words appended to lists", node)


def _model_call(value: ast.expr) -> tuple[str, str] | None:
    """Return (model, list) of `model(list)` and `model.__call__(message=list)`."""
    if not isinstance(value, ast.Call):
        return None
    function = value.func
    if isinstance(function, ast.Attribute) and function.attr == "__call__":
        function = function.value
    handed = [*value.args, *(keyword.value for keyword in value.keywords)]
    model, heard = name_of(function), name_of(handed[0]) if len(handed) == 1 else None
    return None if model is None or heard is None else (model, heard)


def _spoken(value: ast.expr, said: dict[str, str]) -> tuple[str, str] | None:
    """Return (role, model) of a message whose content is what a model said."""
    message = message_of(value)
    speaker = None if message is None else said.get(name_of(message[1]) or "")
    return None if message is None or speaker is None else (message[0], speaker)


def _appended(
    arguments: Sequence[ast.expr], said: dict[str, str], messages: dict[str, tuple[str, str]]
) -> tuple[str, str] | None:
    if len(arguments) != 1:
        return None
    return messages.get(name_of(arguments[0]) or "") or _spoken(arguments[0], said)


def _check_begins_empty(script: Script, function: ast.FunctionDef, heard: str) -> None:
    """Check that the supporter has heard nothing when the first round begins, so not the greeting either."""
    begun = (pair[1] for node in ast.walk(function) if (pair := assigned(node)) and pair[0] == heard)
    first = script.only(begun, f"{heard} to begin as an empty list", function)
    if not isinstance(first, ast.List) or first.elts:
        raise script.refuse(f"{heard} to begin as an empty list", first)
