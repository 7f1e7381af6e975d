"""What ESC-Eval's evaluate.py says to the seeker and to the supporter, read from its syntax tree.

Every part is looked for where the published script has it, and who hears what in which order is followed through the
loop; anything else is refused with the line. Shape: commit 9ad46e7 of github.com/haidequanbu/ESC-Eval.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from escl.core.dialogue import Speaker
from escl.core.dimension import Language
from escl.core.wording import SamplingDefaults
from escl.upstream.exchange import read_exchange
from escl.upstream.script import Script, assigned, item_of, message_of, method_call, name_of, sum_of, text_of

_CARD = "{card}"

_Kind = TypeVar("_Kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a dialogue begins with in one language; `{card}` in the prompt stands for the card's text."""

    seeker_prompt: str
    greeting: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateParts:
    """What evaluate.py gives to the protocol.

    Attributes:
        labels: How a turn begins in the result file.
        seeker: How ESC-Role draws its replies.
        supporters: How each of the script's supporters does, by class name, in the script's order.
    """

    openings: dict[Language, Opening]
    supporter_prompt: str
    rounds: int
    labels: dict[Speaker, str]
    seeker: SamplingDefaults
    supporters: dict[str, SamplingDefaults]


def read_evaluate(script: Script) -> EvaluateParts:
    """Return the parts of evaluate.py.

    Raises:
        ProtocolError: Its shape differs; the message says what was expected on which line.
    """
    function = script.only(
        (node for node in script.tree.body if isinstance(node, ast.FunctionDef) and node.name == "run_rolellm"),
        "a function run_rolellm",
    )
    openings, seeker_hears = _openings(script, function)
    exchange = read_exchange(script, function, seeker_hears)
    supporters = _supporter_classes(script, function, exchange.supporter)
    return EvaluateParts(
        openings=openings,
        supporter_prompt=_supporter_prompt(script, supporters),
        rounds=exchange.rounds,
        labels=_labels(script, function, seeker_hears),
        seeker=_sampling(script, _class(script, _seeker_class(script, function, exchange.seeker))),
        supporters={node.name: _sampling(script, node) for node in supporters},
    )


# The beginning: prompts and greeting


def _openings(script: Script, function: ast.FunctionDef) -> tuple[dict[Language, Opening], str]:
    """Return the openings by language, and the name of the list that the seeker hears."""
    branches = script.only(
        (
            node
            for node in ast.walk(function)
            if isinstance(node, ast.If) and _asks_for_chinese(node.test) and any(_greetings(node.body))
        ),
        'if args.language == "zh" with a greeting in it',
        function,
    )
    chinese, heard = _opening(script, branches.body, branches)
    english, also_heard = _opening(script, branches.orelse, branches)
    if heard != also_heard:
        raise script.refuse(f"both languages to begin the list {heard}", branches)
    return {Language.ENGLISH: english, Language.CHINESE: chinese}, heard


def _asks_for_chinese(test: ast.expr) -> bool:
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Attribute)
        and test.left.attr == "language"
        and [type(each) for each in test.ops] == [ast.Eq]
        and text_of(test.comparators[0]) == "zh"
    )


def _opening(script: Script, body: Sequence[ast.stmt], at: ast.stmt) -> tuple[Opening, str]:
    said = [pair for node in body if (pair := assigned(node)) is not None]
    prompt, template = script.only(
        ((name, sum_of(value)) for name, value in said if any(item_of(part) == "base" for part in sum_of(value))),
        "a prompt made of text and the card's base, in each language",
        at,
    )
    heard = script.only(
        (name for name, value in said if _is_system_message(value, prompt)),
        f"a list that begins with {prompt} as the system message, in each language",
        at,
    )
    greeting = script.only(
        (text for name, text in _greetings(body) if name == heard), f"{heard}.append of the greeting", at
    )
    return Opening(seeker_prompt="".join(_prompt_part(script, part) for part in template), greeting=greeting), heard


def _prompt_part(script: Script, part: ast.expr) -> str:
    text = _CARD if item_of(part) == "base" else text_of(part)
    if text is None:
        raise script.refuse("nothing but text and the card's base in the prompt", part)
    return text


def _is_system_message(value: ast.expr, prompt: str) -> bool:
    if not isinstance(value, ast.List) or len(value.elts) != 1 or (found := message_of(value.elts[0])) is None:
        return False
    role, content = found
    return role == "system" and name_of(content) == prompt


def _greetings(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Yield (list, text) of every message of constant text that is appended with the role "user"."""
    for node in body:
        call = method_call(node.value, "append") if isinstance(node, ast.Expr) else None
        if call is None or len(call[1]) != 1 or (message := message_of(call[1][0])) is None:
            continue
        name, text = name_of(call[0]), text_of(message[1])
        if message[0] == "user" and name is not None and text is not None:
            yield name, text


# The result file


def _labels(script: Script, function: ast.FunctionDef, heard: str) -> dict[Speaker, str]:
    written = script.only(
        (node for node in ast.walk(function) if isinstance(node, ast.For) and name_of(node.iter) == heard),
        f"a loop over {heard} that labels its messages",
        function,
    )
    # In the seeker's list the supporter is the user.
    roles = {Speaker.SUPPORTER: "user", Speaker.SEEKER: "assistant"}
    return {
        speaker: script.only(
            (label for node in written.body for label in _labels_of(node, role)),
            f'"LABEL" + content to be appended for messages of the role {role}',
            written,
        )
        for speaker, role in roles.items()
    }


def _labels_of(node: ast.stmt, role: str) -> Iterator[str]:
    match node:
        case ast.If(
            test=ast.Compare(left=ast.Subscript() as key, ops=[ast.Eq()], comparators=[value]),
            body=[ast.Expr() as line],
        ) if item_of(key) == "role" and text_of(value) == role:
            call = method_call(line.value, "append")
            parts = sum_of(call[1][0]) if call is not None and len(call[1]) == 1 else []
            if len(parts) == 2 and item_of(parts[1]) == "content" and (label := text_of(parts[0])) is not None:
                yield label


# The models


def _seeker_class(script: Script, function: ast.FunctionDef, seeker: str) -> str:
    return script.only(_made_from(function, seeker), f"{seeker} = a class()", function)


def _made_from(function: ast.FunctionDef, variable: str) -> Iterator[str]:
    """Yield the name X of each `variable = X()`."""
    for node in ast.walk(function):
        match assigned(node):
            case (name, ast.Call(func=ast.Name(id=made), args=[], keywords=[])) if name == variable:
                yield made


def _supporter_classes(script: Script, function: ast.FunctionDef, supporter: str) -> list[ast.ClassDef]:
    each = script.only(_made_from(function, supporter), f"{supporter} = each supporter's class()", function)
    listed = script.only(
        (
            name
            for node in ast.walk(function)
            if isinstance(node, ast.For) and name_of(node.target) == each and (name := name_of(node.iter))
        ),
        f"for {each} in the list of supporters",
        function,
    )
    names = [
        name
        for node in ast.walk(function)
        if (pair := assigned(node)) and pair[0] == listed and isinstance(pair[1], ast.List)
        for element in pair[1].elts
        if (name := name_of(element)) is not None
    ]
    if not names:
        raise script.refuse(f"{listed} = [classes of supporters]", function)
    return [_class(script, name) for name in dict.fromkeys(names)]


def _class(script: Script, name: str) -> ast.ClassDef:
    return script.only(
        (node for node in script.tree.body if isinstance(node, ast.ClassDef) and node.name == name), f"a class {name}"
    )


def _supporter_prompt(script: Script, supporters: Sequence[ast.ClassDef]) -> str:
    texts = {text for node in supporters for text in _inserted_system(node)}
    return script.only(texts, "the same system message in every supporter: message.insert(0, ...) of constant text")


def _inserted_system(node: ast.ClassDef) -> Iterator[str]:
    for inner in ast.walk(node):
        match method_call(inner, "insert"):
            case (_, [ast.Constant(value=0), ast.Dict() as message]):
                found = message_of(message)
                if found is not None and found[0] == "system" and (text := text_of(found[1])) is not None:
                    yield text


def _sampling(script: Script, node: ast.ClassDef) -> SamplingDefaults:
    """Return how a class draws its replies; what its one call of `generate` leaves out, the model's files decide."""
    call = script.only(
        (
            inner
            for inner in ast.walk(node)
            if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr == "generate"
        ),
        f"a call of generate in {node.name}",
        node,
    )
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    max_tokens = _constant(script, given.get("max_new_tokens"), int, "max_new_tokens=a number")
    samples = _constant(script, given.get("do_sample"), bool, "do_sample=True or False")
    if samples is False:
        # Whatever temperature goes with it is then not used.
        return SamplingDefaults(max_tokens=max_tokens, temperature=0.0)
    temperature = _constant(script, given.get("temperature"), float, "temperature=a number with a point")
    return SamplingDefaults(max_tokens=max_tokens, temperature=temperature)


def _constant(script: Script, node: ast.expr | None, kind: type[_Kind], expected: str) -> _Kind | None:
    if node is None:
        return None
    if isinstance(node, ast.Constant) and type(node.value) is kind:
        return node.value
    raise script.refuse(expected, node)
