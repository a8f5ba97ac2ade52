"""Counts turns of phrase that a native engineer would not write, in all English of the repository.

`python -m tests.architecture.language [PATH ...]` lists every hit as `path:line: pattern: text`, of the whole
repository or of the files and folders given, and then the hits in 1,000 words of each group. The patterns are fair to
good English: comments and docstrings of Flask, Click, Celery, redis-py, structlog and Werkzeug have 0.1 to 0.3 hits
in 1,000 words.
"""

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from tests.architecture import prose
from tests.architecture.prose import Passage

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PRODUCT = ("queuecast", "api", "worker", "deploy")
# The counter quotes the patterns, so it does not count itself.
LEFT_OUT = {"language.py", "test_language.py"}

_WORD = re.compile(r"[^\W\d_][\w'\u2019-]*")
_NAME_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_START = r"(?:\A|[.;:!?]\**\s+|\n\s*\n\s*|\|\s*|\n\s*[-*\d]+\.?\s+)"
# "knows what", "says what": an indirect question, as in "decide what to do".
_ASKS = (
    r"(?:\b(?:raises?|returns?|kn[eo]ws?|known|sees?|sa[wy]s?|said|shows?|decide[sd]?|determine[sd]?|find out|"
    r"figures? out|figured out|asks?|asked|checks?|checked|explain(?:s|ed)?|describe[sd]?|remembers?|understands?|"
    r"learns?|chooses?|defines?|controls?|specify|specifies|matters?|idea of|clear|depend(?:s|ing) on|about|"
    r"regardless of|exactly|notes?|tells?|match(?:es|ing)?|mimics?|like|unlike|does|do|is|was|that's|is also|"
    r"no matter)(?:\s+what\b[^.;]*\s+and)?"
    # "says its name, what was found and what was expected"
    r"|\b(?:says?|said|knows?|shows?)\b[^.;:]*(?:,|\band))\s+\Z"
)
_OBJECT = r"\b(?!(?:of|to|for|by|from|with|than|on|at|in|into|as|and|or|but|not|beyond)\b)[a-z]+\s+\Z"
_PEOPLE = (
    r"\b(?:callers?|clients?|users?|operators?|people|person|engineers?|readers?|authors?|scientists?|developers?|"
    r"attackers?|forger|contributors?|maintainers?|administrators?|(?:some|any|every)(?:one|body)|nobody),?\s+\Z"
)
_QUESTION = r"(?![^.;!?]*\?)"


class Hit(NamedTuple):
    path: Path
    line: int
    pattern: str
    text: str

    def __str__(self) -> str:
        path = self.path.relative_to(REPOSITORY) if self.path.is_relative_to(REPOSITORY) else self.path
        return f"{path}:{self.line}: {self.pattern}: {self.text}"


class Rule(NamedTuple):
    pattern: str
    find: re.Pattern[str]
    unless_after: re.Pattern[str] | None
    """Good English if the text before the find ends so."""


def _rule(pattern: str, find: str, unless_after: str | None = None) -> Rule:
    spaced = find.replace(" ", r"\s+")
    excuse = None if unless_after is None else re.compile(unless_after, re.IGNORECASE)
    return Rule(pattern, re.compile(spaced, re.IGNORECASE), excuse)


RULES = [
    _rule("what as a noun", rf"\bwhat\b(?! (?:happen|if|kind|type|sort|order|it|they|you|we|I)){_QUESTION}", _ASKS),
    _rule("what as a noun", rf"\bwhat (?:it|they|you|we|I)\b{_QUESTION}", rf"{_ASKS}|{_OBJECT}"),
    _rule("clause as subject", r"(?:\A|[.;]\s+|\n\s*\n\s*)(?:one|those|all|none) (?:that|which)\b"),
    _rule("clause as subject", rf"{_START}(?:whatever|whichever)\b"),
    _rule("nobody, whoever", r"\b(?:whoever|whomever|nobody|somebody|everybody|anybody)\b"),
    _rule("who", rf"\bwho\b(?!:){_QUESTION}", _PEOPLE),
    _rule("others", r"\bothers\b(?!:)", r"\b(?:the|all|no|any|two|several|most|some|among|and|many|like)\s+\Z"),
    _rule("so long", r"\bso long\b(?! (?:as|that|we|you|it)\b)"),
    _rule("anew", r"\banew\b"),
    _rule("for ever", r"\bfor ever\b"),
    _rule("beside", r"\bbeside\b"),
    _rule("meanwhile", r"\bmeanwhile\b"),
    _rule("for want of", r"\bfor want of\b"),
    _rule("but for", r"\bbut for (?=[`\d]|(?:the|a|an|one|those|too|where|its) )", r"\b(?:like|like\s+\S+)\s+\Z"),
    _rule("has not", r"\b(?:has|have|had) not(?=[.,;:)]| (?:a|the|any)\b|\Z)"),
    _rule(
        "take for", r"\bt[ao]+ke?[ns]? (?:[^\s.;:,]+ ){0,6}for (?:a whole|a formula|one of|lost|missing|null|dead)\b"
    ),
    _rule("told", r"\btold\b(?! apart\b)(?! to (?!(?:the|a|its|every|them)\b))"),
    _rule("told", r"\btells? (?:of|every|the (?:listeners|waiters))\b"),
    _rule("heard", r"\b(?:heard|hears?)\b"),
    _rule("look", r"\blook(?:s|ed|ing)? (?:again|by|whether|who|first|once|at once|all the same)\b"),
    _rule("look", r"\blooked at\b"),
    _rule("look", r"\b(?:one|each|every|own|last|later|earlier|this|its|further) looks?\b(?! at| like|-| up)"),
    _rule("look", r"\b(?:a|the) looks? (?=:|by|weighs|whether|that|before)"),
    _rule("inverted order", rf"{_START}(?-i:Of)(?! course) [^.;:,]+,"),
    _rule("inverted order", r"[:;] of (?:two|those|several) [^.;:,]+,"),
    _rule("inverted order", r"(?:^|[,:;.]) were (?:they|it|there|he|we)\b"),
    _rule("inverted order", rf"{_START}(?:with|to|from|behind|beyond) [a-z']+ (?:it|they|there) (?:is|are|was|were)\b"),
]
NAME_RULES = [
    _rule("told", r"^(?:told|tells?|telling)$"),
    _rule("heard", r"^(?:un)?(?:heard|hears?)$"),
    _rule("look", r"^(?:looks?|looked)$"),
    _rule("nobody, whoever", r"^(?:whoever|nobody|somebody|everybody|anybody|who)$"),
    _rule("anew, beside", r"^(?:anew|beside|meanwhile)$"),
]


class Count(NamedTuple):
    words: int
    hits: list[Hit]

    @property
    def rate(self) -> float:
        """Hits in 1,000 words."""
        return 1000 * len(self.hits) / self.words if self.words else 0.0


def hits_in(passage: Passage) -> list[Hit]:
    found = {}
    for rule in RULES:
        for match in rule.find.finditer(passage.text):
            before = passage.text[max(0, match.start() - 60) : match.start()]
            if rule.unless_after is None or not rule.unless_after.search(before):
                # A pattern that begins at the start of a sentence has the end of the last one in front.
                first = match.start() + len(match[0]) - len(match[0].lstrip(" \n\t.;:!?*|-"))
                text = _excerpt(passage.text, first, match.end())
                found[rule.pattern, first] = Hit(passage.path, passage.line_of(first), rule.pattern, text)
    return list(found.values())


def _excerpt(text: str, first: int, last: int) -> str:
    """The words around a hit, on one line."""
    before = text[:first].split(" ")[-6:]
    after = text[last:].split(" ")[:12]
    return " ".join(" ".join([*before[:-1], before[-1] + text[first:last] + after[0], *after[1:]]).split())


def hits_in_name(name: Passage) -> list[Hit]:
    return [
        Hit(name.path, name.line, rule.pattern, name.text)
        for word in _NAME_WORD.findall(name.text)
        for rule in NAME_RULES
        if rule.find.search(word)
    ]


def count(passages: Iterable[Passage]) -> Count:
    read = list(passages)
    words = sum(len(_WORD.findall(passage.text)) for passage in read)
    return Count(words, sorted(hit for passage in read for hit in hits_in(passage)))


def count_names(given: Iterable[Passage]) -> Count:
    read = list(given)
    words = sum(len(_NAME_WORD.findall(name.text)) for name in read)
    return Count(words, sorted(hit for name in read for hit in hits_in_name(name)))


class Group(NamedTuple):
    """Files that are read in one way."""

    globs: tuple[str, ...]
    read: Callable[[Path], list[Passage]]
    judge: Callable[[Iterable[Passage]], Count] = count

    def files(self) -> list[Path]:
        found = {path for glob in self.globs for path in REPOSITORY.glob(glob)}
        return sorted(path for path in found if path.is_file() and path.name not in LEFT_OUT)

    def counted(self, within: Iterable[Path] = (REPOSITORY,)) -> Count:
        files = [path for path in self.files() if any(path.is_relative_to(place) for place in within)]
        return self.judge(passage for path in files for passage in self.read(path))


_PRODUCT_CODE = tuple(f"{package}/**/*.py" for package in PRODUCT)
_OTHER_CODE = ("bench/**/*.py", "examples/**/*.py")
GROUPS = {
    "comments and docstrings": Group(_PRODUCT_CODE, prose.commentary),
    "messages": Group(_PRODUCT_CODE, prose.messages),
    "names": Group(_PRODUCT_CODE, prose.names, count_names),
    "Lua comments": Group(("queuecast/**/*.lua", *_PRODUCT_CODE), prose.lua_commentary),
    "bench and examples": Group(_OTHER_CODE, prose.commentary),
    "bench and examples, messages": Group(_OTHER_CODE, prose.messages),
    "bench and examples, names": Group(_OTHER_CODE, prose.names, count_names),
    "tests": Group(("tests/**/*.py",), prose.commentary),
    "tests, messages": Group(("tests/**/*.py",), prose.messages),
    "tests, names": Group(("tests/**/*.py",), prose.names, count_names),
    "Markdown": Group(("*.md", "docs/**/*.md", "examples/**/*.md"), prose.markdown),
    "build files": Group(
        (
            "Makefile",
            "Procfile",
            ".ci/run",
            "pyproject.toml",
            "**/Dockerfile*",
            "*.yml",
            "deploy/**/*.yml",
            "requirements/*.in",
        ),
        prose.hash_commentary,
    ),
}


def main(arguments: list[str]) -> None:
    places = [Path(argument).resolve() for argument in arguments] or [REPOSITORY]
    counts = {name: group.counted(places) for name, group in GROUPS.items()}
    # A package that is not of this repository, to see how fair the patterns are.
    foreign = [place for place in places if not place.is_relative_to(REPOSITORY) or ".venv" in place.parts]
    for place in foreign:
        counts[place.name] = count(passage for path in place.rglob("*.py") for passage in prose.commentary(path))
    for group in counts.values():
        for hit in group.hits:
            print(hit)
    print(file=sys.stderr)
    for name, group in counts.items():
        print(f"{group.rate:6.2f} in 1,000 words: {name} ({len(group.hits)} in {group.words})", file=sys.stderr)
    for pattern, hits in Counter(hit.pattern for group in counts.values() for hit in group.hits).most_common():
        print(f"{hits:6} {pattern}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
