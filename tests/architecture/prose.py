"""Finds the English in the repository: comments, docstrings, messages, names and Markdown, each with its line.

Knows nothing of good or bad English: `tests.architecture.language` judges.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LOGGING_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
_LUA = re.compile(r"\bredis\.p?call\(")
_PRAGMA = re.compile(r"(noqa|type: ignore|pragma|fmt: )\b")
_HASH_COMMENT = re.compile(r"(?:^|(?<=\s))#+(.*)")
_LUA_COMMENT = re.compile(r"(?:^|(?<=\s))--+(.*)")


class Passage(NamedTuple):
    """Text that is read in one go. Keeps its line breaks, so that an offset in it leads to a line of the file."""

    path: Path
    line: int
    text: str

    def line_of(self, offset: int) -> int:
        return self.line + self.text.count("\n", 0, offset)


def commentary(path: Path) -> list[Passage]:
    """Comments and docstrings of a Python file, docstrings of attributes included."""
    source = path.read_text(encoding="utf-8")
    docstrings = [Passage(path, node.lineno, str(node.value)) for node in _docstrings(ast.parse(source))]
    return [*_comments(path, source), *docstrings]


def messages(path: Path) -> list[Passage]:
    """String literals of more than three words, such as help texts, problem details and reasons of settings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out = {id(node) for node in _docstrings(tree)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part for part in node.values if isinstance(part, ast.Constant)]
            left_out |= {id(part) for part in parts}
            found.append(Passage(path, node.lineno, " … ".join(str(part.value) for part in parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            found.append(Passage(path, node.lineno, node.value))
    return [passage for passage in found if len(passage.text.split()) > 3 and not _LUA.search(passage.text)]


def lua_commentary(path: Path) -> list[Passage]:
    """Comments of a Lua file, or of the Lua scripts that a Python file holds in its strings."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".lua":
        return _line_comments(path, 1, source, _LUA_COMMENT)
    scripts = [
        (node.lineno, node.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _LUA.search(node.value)
    ]
    return [found for line, script in scripts for found in _line_comments(path, line, script, _LUA_COMMENT)]


def hash_commentary(path: Path) -> list[Passage]:
    """Comments of a Makefile, Dockerfile, shell script, YAML or TOML file."""
    return _line_comments(path, 1, path.read_text(encoding="utf-8"), _HASH_COMMENT)


def names(path: Path) -> list[Passage]:
    """Names that a Python file gives (functions, classes, variables, fields, log events), each once."""
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for name, line in _named(node):
            found.setdefault(name, line)
    found.setdefault(path.stem, 1)
    return [Passage(path, line, name) for name, line in found.items()]


def markdown(path: Path) -> list[Passage]:
    """A Markdown file as one passage, with code blocks and the targets of links left out."""
    lines = []
    in_code = False
    for line in path.read_text(encoding="utf-8").splitlines():
        is_fence = line.lstrip().startswith("```")
        in_code ^= is_fence
        lines.append("" if in_code or is_fence else re.sub(r"\]\([^)]*\)", "]", line))
    return [Passage(path, 1, "\n".join(lines))]


def _docstrings(tree: ast.AST) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value


def _comments(path: Path, source: str) -> list[Passage]:
    """Lines of a block comment make one passage; a comment behind code is a passage of its own."""
    lines = source.splitlines()
    blocks: list[tuple[int, int, list[str]]] = []  # first line, column (-1 behind code), texts
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        row, column = token.start
        text = token.string.lstrip("#").strip()
        if _PRAGMA.match(text) or token.string.startswith("#!"):
            continue
        column = -1 if lines[row - 1][:column].strip() else column
        if blocks and column >= 0 and blocks[-1][1] == column and blocks[-1][0] + len(blocks[-1][2]) == row:
            blocks[-1][2].append(text)
        else:
            blocks.append((row, column, [text]))
    return [Passage(path, line, "\n".join(texts)) for line, _, texts in blocks]


def _line_comments(path: Path, first: int, source: str, comment: re.Pattern[str]) -> list[Passage]:
    """Comments of successive lines make one passage."""
    blocks: list[tuple[int, list[str]]] = []
    for number, line in enumerate(source.splitlines(), first):
        match = comment.search(line)
        if match is None or line.startswith("#!"):
            continue
        if blocks and blocks[-1][0] + len(blocks[-1][1]) == number:
            blocks[-1][1].append(match[1].strip())
        else:
            blocks.append((number, [match[1].strip()]))
    return [Passage(path, line, "\n".join(texts)) for line, texts in blocks]


def _named(node: ast.AST) -> Iterator[tuple[str, int]]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name, node.lineno
        case ast.arg():
            yield node.arg, node.lineno
        case ast.Name(ctx=ast.Store()):
            yield node.id, node.lineno
        case ast.Attribute(ctx=ast.Store()):
            yield node.attr, node.lineno
        case ast.Call(func=ast.Attribute(attr=method), args=[ast.Constant(value=str(event)), *_]) if (
            method in LOGGING_METHODS and event.isidentifier()
        ):
            yield event, node.lineno
