"""The default system prompt of InternLM2's `chat`, read from modeling_internlm2.py without running it.

The text stands nowhere but there, as the default of the parameter `meta_instruction`.
"""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

from escl.convert.folder import MAX_CONFIG_BYTES

_PARAMETER = "meta_instruction"
_METHODS = ("chat", "build_inputs")
"""In order: `chat` hands its own value to `build_inputs`."""


def default_system_prompt(path: Path) -> tuple[str | None, str | None]:
    """Return the default system prompt in the Python file `path`, or None and the reason why there is none."""
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            return None, f"{path.name} is too big to be read for its default system prompt"
        with warnings.catch_warnings():
            # Invalid escape sequences in the file are its author's affair.
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        for method in _METHODS:
            defaults = [default for node in functions if node.name == method for default in _defaults(node)]
            texts = {text for default in defaults if (text := _text(default))}
            if len(texts) > 1:
                return None, f"{path.name} has several default system prompts; none was taken"
            if texts:
                return texts.pop(), None
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return None, f"{path.name}: the default system prompt could not be read ({error})"
    return None, f"{path.name} has no default system prompt"


def _defaults(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.expr]:
    positional = [*node.args.posonlyargs, *node.args.args]
    with_default = zip(positional[len(positional) - len(node.args.defaults) :], node.args.defaults, strict=True)
    keyword = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    pairs = [*with_default, *((name, value) for name, value in keyword if value is not None)]
    return [value for name, value in pairs if name.arg == _PARAMETER]


def _text(node: ast.expr) -> str:
    """Return the text of a string constant, a sum of such, or `"...".join([...])` of such.

    Raises:
        ValueError: It is any other expression.
    """
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Constant(value=None):
            return ""
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left) + _text(right)
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str(glue)), attr="join"),
            args=[ast.List(elts=items) | ast.Tuple(elts=items)],
            keywords=[],
        ):
            return glue.join(_text(item) for item in items)
    raise ValueError(f"line {node.lineno} is not plain text")
