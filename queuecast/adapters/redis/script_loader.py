"""The Lua scripts in `scripts/`, as Redis gets them, and their arguments by name.

Redis has no include, and a script cannot import `keys`. So a script gets its keys as Lua locals in front, and scripts
that say `-- needs lane.lua` get the functions of that file too. A first line `#!lua flags=...` stays first.

A script names its arguments in `local a, b = unpack(ARGV, 1, 2)`, or those of each of many items in
`local a, b = unpack(ARGV, at, at + 1)`. Python passes them by these names, so the two cannot drift apart.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import redis

from queuecast.adapters.redis import keys

FOLDER = Path(__file__).parent / "scripts"
KEYS = {name: value for name, value in vars(keys).items() if name.isupper()}
_NEEDS = re.compile(r"^-- needs (\w+\.lua)$", re.MULTILINE)
_UNPACKED = re.compile(r"local ([\w\s,]+?) = unpack\(ARGV(?:, 1, \d+)?\)")
_UNPACKED_ITEM = re.compile(r"local ([\w\s,]+?) = unpack\(ARGV, at, at \+ \d+\)|for _, (\w+) in ipairs\(ARGV\)")


class Script:
    """One script. redis-py loads it where Redis does not have it, for example after a restart."""

    def __init__(self, client: redis.Redis, name: str) -> None:
        self.source = source(name)
        self.arguments, self.item_arguments = argument_names(name)
        self._argument_set = frozenset(self.arguments)
        self.registered = client.register_script(self.source)

    def __call__(self, items: Iterable[Sequence[Any]] = (), /, **arguments: Any) -> Any:
        """Runs the script. Raises what redis-py raises."""
        return self.registered(args=self.args(items, **arguments))

    def args(self, items: Iterable[Sequence[Any]] = (), /, **arguments: Any) -> list[Any]:
        """The arguments in the order of the script. items: the values of each item; TypeError when some are missing."""
        if arguments.keys() != self._argument_set:
            raise TypeError(f"script takes {', '.join(self.arguments)}, got {', '.join(arguments)}")
        args = [arguments[name] for name in self.arguments]
        for item in items:
            if self.item_arguments and len(item) != len(self.item_arguments):
                raise TypeError(f"script takes {', '.join(self.item_arguments)} for each item, got {len(item)} values")
            args += item
        return args


def word_list(values: Iterable[str]) -> str:
    """A set of words as one argument: a script finds one with `string.find(words, ' ' .. word .. ' ', 1, true)`."""
    return f" {' '.join(values)} "


@cache
def source(name: str) -> str:
    """The text of `scripts/{name}.lua` with its keys and functions in front."""
    script = (FOLDER / f"{name}.lua").read_text()
    shebang, script = script.split("\n", 1) if script.startswith("#!") else ("", script)
    text = "".join((FOLDER / needed).read_text() for needed in _NEEDS.findall(script)) + script
    used = sorted(KEYS.keys() & set(re.findall(r"\b[A-Z_]+\b", text)))
    values = ", ".join(f"'{KEYS[key]}'" for key in used)
    names = f"local {', '.join(used)} = {values}" if used else ""
    return "\n".join(filter(None, [shebang, names, text]))


@cache
def argument_names(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The arguments of `scripts/{name}.lua`, and those of each item where it takes many."""
    script = (FOLDER / f"{name}.lua").read_text()
    return _names(_UNPACKED.search(script)), _names(_UNPACKED_ITEM.search(script))


def _names(found: re.Match[str] | None) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", next(filter(None, found.groups())))) if found else ()
