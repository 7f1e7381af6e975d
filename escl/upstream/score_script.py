"""What ESC-Eval's score.py asks the scorer, and how it rewrites a dialogue before, read from its syntax tree.

Shape: commit 9ad46e7 of github.com/haidequanbu/ESC-Eval. The misspelt names and the doubled words are read as they
stand, because the scorer was trained on them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from escl.core.dimension import LABELS, Dimension, Language
from escl.core.wording import Rewriting
from escl.upstream.script import Script, assigned, method_call, name_of, sum_of, text_of

_RUBRICS: Final = {Language.ENGLISH: "prompt_EN", Language.CHINESE: "prompt_ZH"}
_FOLDER_SUFFIX: Final = {Language.ENGLISH: "_en", Language.CHINESE: ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreParts:
    """What score.py gives to the protocol.

    Attributes:
        rubrics: Word for word, by language and dimension.
        names: What the question calls each dimension.
        question: The scorer's user message, with `{rubric}`, `{dialogue}` and `{name}` where these go.
    """

    rubrics: dict[Language, dict[Dimension, str]]
    names: dict[Dimension, str]
    question: str
    rewriting: Rewriting


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """The variables of the loop over the dimensions."""

    body: Sequence[ast.stmt]
    index: str
    name: str


def read_score(script: Script) -> ScoreParts:
    """Return the parts of score.py.

    Raises:
        ProtocolError: Its shape differs; the message says what was expected on which line.
    """
    main = _main(script)
    dimensions = _dimensions(script, main)
    names = _texts(script, main, "dimention_list", len(dimensions))
    loop = _loop(script, main)
    rubrics_name = _chosen_rubrics(script, main)
    dialogue, rewriting = _rewriting(script, loop)
    _check_parse(script, main)
    _check_scorers(script, loop)
    return ScoreParts(
        rubrics={
            language: dict(zip(dimensions, _texts(script, script.tree.body, variable, len(dimensions)), strict=True))
            for language, variable in _RUBRICS.items()
        },
        names=dict(zip(dimensions, names, strict=True)),
        question=_question(script, loop, rubrics=rubrics_name, dialogue=dialogue),
        rewriting=rewriting,
    )


def _main(script: Script) -> list[ast.stmt]:
    found = (
        node.body
        for node in script.tree.body
        if isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and {name_of(node.test.left), text_of(node.test.comparators[0])} == {"__name__", "__main__"}
    )
    return script.only(found, 'if __name__ == "__main__"')


def _walk(body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    for statement in body:
        yield from ast.walk(statement)


def _texts(script: Script, body: Sequence[ast.stmt], variable: str, length: int) -> list[str]:
    """Return the texts of `variable = ["...", ...]`, a statement of `body`."""
    expected = f"{variable} = [{length} texts]"
    value = script.only((pair[1] for node in body if (pair := assigned(node)) and pair[0] == variable), expected)
    texts = [text_of(element) for element in value.elts] if isinstance(value, ast.List) else []
    found = [text for text in texts if text is not None]
    if len(found) != length or len(texts) != length:
        raise script.refuse(expected, value)
    return found


def _dimensions(script: Script, main: Sequence[ast.stmt]) -> list[Dimension]:
    keys = _texts(script, main, "key_list", len(Dimension))
    if sorted(keys) != sorted(dimension.value for dimension in Dimension):
        raise script.refuse(f"key_list of {', '.join(dimension.value for dimension in Dimension)}")
    return [Dimension(key) for key in keys]


def _loop(script: Script, main: Sequence[ast.stmt]) -> _Loop:
    return script.only(_loops(main), "for index, name in enumerate(dimention_list)")


def _loops(main: Sequence[ast.stmt]) -> Iterator[_Loop]:
    for node in _walk(main):
        match node:
            case ast.For(
                target=ast.Tuple(elts=[ast.Name(id=index), ast.Name(id=name)]),
                iter=ast.Call(func=ast.Name(id="enumerate"), args=[ast.Name(id="dimention_list")], keywords=[]),
            ):
                yield _Loop(body=node.body, index=index, name=name)


def _chosen_rubrics(script: Script, main: Sequence[ast.stmt]) -> str:
    """Return the variable that gets the Chinese rubrics for a file named zh, and the English ones for others."""
    return script.only(_choices(main), f"if 'zh' in the file's name: ... = {' else '.join(_RUBRICS.values())}")


def _choices(main: Sequence[ast.stmt]) -> Iterator[str]:
    for node in _walk(main):
        if not isinstance(node, ast.If) or not _has_zh_in(node.test):
            continue
        of = {
            language: {name_of(pair[1]): pair[0] for each in body if (pair := assigned(each))}
            for language, body in ((Language.CHINESE, node.body), (Language.ENGLISH, node.orelse))
        }
        chinese, english = (of[language].get(_RUBRICS[language]) for language in (Language.CHINESE, Language.ENGLISH))
        if chinese is not None and chinese == english:
            yield chinese


def _has_zh_in(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and text_of(test.left) == "zh" and isinstance(test.ops[0], ast.In)


# What the scorer reads


def _rewriting(script: Script, loop: _Loop) -> tuple[str, Rewriting]:
    """Return the name of the rewritten dialogue and how it is made."""
    found = (
        (pair[0], rewriting)
        for node in loop.body
        if (pair := assigned(node)) and (rewriting := _joined_and_replaced(pair[1])) is not None
    )
    return script.only(found, "the dialogue as 'TEXT'.join(its messages), with .replace('OLD', 'NEW') after it")


def _joined_and_replaced(value: ast.expr) -> Rewriting | None:
    replacements: list[tuple[str, str]] = []
    while (call := method_call(value, "replace")) is not None:
        value, arguments = call
        texts = [text_of(argument) for argument in arguments]
        if len(texts) != 2 or texts[0] is None or texts[1] is None:
            return None
        replacements.insert(0, (texts[0], texts[1]))
    joined = method_call(value, "join")
    separator = None if joined is None else text_of(joined[0])
    if joined is None or separator is None or [name_of(argument) is None for argument in joined[1]] != [False]:
        return None
    return Rewriting(separator=separator, replacements=tuple(replacements))


def _question(script: Script, loop: _Loop, *, rubrics: str, dialogue: str) -> str:
    """Return the user message, from the assignment that begins with a rubric and what is added to it right after."""
    prompt, parts = script.only(
        (
            (pair[0], sum_of(pair[1]))
            for node in loop.body
            if (pair := assigned(node)) and _is_item(sum_of(pair[1])[0], rubrics, loop.index)
        ),
        f"a prompt that begins with {rubrics}[{loop.index}]",
    )
    for node in loop.body:
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and name_of(node.target) == prompt:
            parts += sum_of(node.value)
    return "".join(_question_part(script, part, loop, rubrics=rubrics, dialogue=dialogue) for part in parts)


def _question_part(script: Script, part: ast.expr, loop: _Loop, *, rubrics: str, dialogue: str) -> str:
    stripped = method_call(part, "strip")
    if stripped is not None and name_of(stripped[0]) == dialogue and not stripped[1]:
        return "{dialogue}"
    if _is_item(part, rubrics, loop.index):
        return "{rubric}"
    if name_of(part) == loop.name:
        return "{name}"
    text = text_of(part)
    if text is None:
        raise script.refuse(f"nothing but text, the rubric, {dialogue}.strip() and {loop.name} in the prompt", part)
    return text


def _is_item(node: ast.expr, sequence: str, index: str) -> bool:
    return isinstance(node, ast.Subscript) and name_of(node.value) == sequence and name_of(node.slice) == index


# How the answer comes about: checked, because escl does the same without being told


def _check_parse(script: Script, main: Sequence[ast.stmt]) -> None:
    """Check that the label is the first of "0" to "4" that the reply holds, and -1 without one."""
    if _texts(script, main, "label_list", len(LABELS)) != [str(label) for label in LABELS]:
        raise script.refuse("label_list of the texts 0 to 4 in this order")
    script.only(
        (node for node in _walk(main) if isinstance(node, ast.For) and _takes_first_label(node)),
        "for label in label_list: the first label in the reply is taken, -1 when there is none",
    )


def _takes_first_label(loop: ast.For) -> bool:
    label = name_of(loop.target)
    match loop.body:
        case [ast.If(test=ast.Compare(left=ast.Name(id=left), ops=[ast.In()]), body=[*_, ast.Break()]) as test]:
            taken = [_number(each.value, left) for each in test.body if isinstance(each, ast.Assign)]
            numbers = {_number(each.value, left) for each in ast.walk(loop) if isinstance(each, ast.Assign)}
            return (name_of(loop.iter), left, taken, numbers) == (
                "label_list",
                label,
                ["the label"],
                {"the label", "-1"},
            )
    return False


def _number(value: ast.expr, label: str) -> str | None:
    match value:
        case ast.Call(func=ast.Name(id="int"), args=[ast.Name(id=name)], keywords=[]) if name == label:
            return "the label"
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1)):
            return "-1"
    return None


def _check_scorers(script: Script, loop: _Loop) -> None:
    """Check that replies are greedy, without a system message of their own, and each from the dimension's adapter."""
    chats = [
        {keyword.arg: keyword.value for keyword in node.keywords}
        for node in ast.walk(script.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "chat"
    ]
    for given in chats:
        samples = given.get("do_sample")
        if not isinstance(samples, ast.Constant) or samples.value is not False or "meta_instruction" in given:
            raise script.refuse("every call of chat with do_sample=False and without meta_instruction")
    if not chats:
        raise script.refuse("calls of chat with do_sample=False")
    loaded = [folders for node in script.tree.body if isinstance(node, ast.ClassDef) and (folders := _adapters(node))]
    for language, suffix in _FOLDER_SUFFIX.items():
        wanted = {dimension.value: dimension.value + suffix for dimension in Dimension}
        if wanted not in loaded:
            raise script.refuse(f"a class that loads the seven adapters for {language.value}, such as fluency{suffix}")
    handed = (
        value
        for node in _walk(loop.body)
        if isinstance(node, ast.Call)
        for value in (*node.args, *(keyword.value for keyword in node.keywords))
    )
    if not any(_is_item(value, "key_list", loop.index) for value in handed):
        raise script.refuse(f"the adapter key_list[{loop.index}] for each dimension")


def _adapters(node: ast.ClassDef) -> dict[str, str]:
    """Return the last part of each adapter's folder by the name it is loaded under."""
    found: dict[str, str] = {}
    for inner in ast.walk(node):
        match inner:
            case ast.Call(
                func=ast.Attribute(attr="load_adapter"),
                args=[ast.Constant(value=str(folder))],
                keywords=[ast.keyword(arg="adapter_name", value=ast.Constant(value=str(name)))],
            ):
                found[name] = PurePosixPath(folder).name
    return found
