"""Reads the shape of the product's code: its modules, their imports and constants. Judges nothing."""

import ast
import re
from collections.abc import Iterator, Set
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PRODUCT = ("queuecast", "api", "worker")

_CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*")


def files(*packages: str) -> list[Path]:
    """The Python files of the packages, by their absolute paths."""
    return sorted(path for package in packages for path in (REPOSITORY / package).rglob("*.py"))


def shown(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def module_name(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def reason_for_length(source: str) -> str | None:
    """The line of the module's docstring that begins with "Long because", if its first paragraph has one."""
    docstring = ast.get_docstring(ast.parse(source)) or ""
    lines = docstring.split("\n\n")[0].splitlines()
    return next((line for line in lines if line.startswith("Long because ")), None)


def numeric_constants(source: str) -> list[str]:
    """UPPER_CASE names of the module and its classes whose value is a number or arithmetic that has a number in it."""
    return [
        target.id
        for statement in _statements(ast.parse(source))
        for target, value in _assigned(statement)
        if isinstance(target, ast.Name) and _CONSTANT.fullmatch(target.id) and _is_numeric(value)
    ]


def imports(paths: list[Path]) -> dict[str, set[str]]:
    """Module -> the modules among `paths` that it imports anywhere, also for types only or inside a function."""
    known = {module_name(path): path for path in paths}
    return {name: set(_imported(name, path, known.keys())) - {name} for name, path in known.items()}


def cycles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """Groups of two or more modules that reach one another."""
    reached = {name: _reachable(name, graph) for name in graph}
    groups = {frozenset(other for other in reached[name] if name in reached[other]) for name in graph}
    return {group for group in groups if len(group) > 1}


def _statements(scope: ast.Module | ast.ClassDef) -> Iterator[ast.stmt]:
    """The statements outside of functions."""
    for statement in scope.body:
        yield statement
        if isinstance(statement, ast.ClassDef):
            yield from _statements(statement)


def _assigned(statement: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr]]:
    match statement:
        case ast.Assign(targets=targets, value=value):
            yield from ((target, value) for target in targets)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield target, value


def _is_numeric(value: ast.expr) -> bool:
    match value:
        case ast.Constant(value=bool()):
            return False
        case ast.Constant(value=int() | float()):
            return True
        case ast.UnaryOp(operand=operand):
            return _is_numeric(operand)
        case ast.BinOp(left=left, right=right):
            return _is_numeric(left) or _is_numeric(right)
    return False


def _imported(name: str, path: Path, known: Set[str]) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            outer = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*outer, *([node.module] if node.module else [])])
            for alias in node.names:
                submodule = f"{source}.{alias.name}"
                found = submodule if submodule in known else source
                if found in known:
                    yield found


def _reachable(start: str, graph: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        for name in graph[ahead.pop()] - seen:
            seen.add(name)
            ahead.append(name)
    return seen
