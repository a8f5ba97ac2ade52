"""Words, column names and labels that people have, and that formats confuse."""

from typing import Any

import numpy as np

PLAIN_WORDS = ("red", "green", "blue", "dark red", "Mr. Smith")
ODD_WORDS = (
    *("NA", "None", "nan", "null", "N/A", "<NA>", "", "none", "NaT"),
    *("1", "0", "007", "3.0", "1e3", "true", "False", "inf", "2024-01-01"),
    *("naïve", "日本", "😀", "e\u0301", "a,b", 'a "b"', "'", "a\nb", "a\r\nb", "a\rb", "a\tb", "a\\b", " a ", "\xa0"),
    *("=1+1", "+a", "-a", "@a", "#a", "%s", "{x}", "<b>", "a;b"),
)
NAMES = ("age", "Fare", "id", "row", "prediction", "index", "x1", "0", "class", "a b", "sex")
ODD_NAMES = (
    *("a.b", "a/b", "a~b", 'a "b"', "it's", "größe", "日本", "a,b", "a\\b", " a", "=a"),
    *("NaN", "None", "a__b", "a\nb"),
)
LABELS: tuple[tuple[Any, ...], ...] = (
    ("no", "yes"),
    (0, 1),
    (False, True),
    ("NA", "DE", "FR"),
    (10, -5, 7),
    ("1", "2"),
    ("=a", "a,b", "naïve"),
    ("true", "false"),
)


def draw_words(random: np.random.Generator, n: int) -> list[Any]:
    """Two plain words, and sometimes some odd ones."""
    n_odd = int(random.integers(1, 4)) if random.random() < 0.6 else 0
    plain = random.choice(len(PLAIN_WORDS), 2, replace=False)
    odd = random.choice(len(ODD_WORDS), n_odd, replace=False)
    pool = [*(PLAIN_WORDS[at] for at in plain), *(ODD_WORDS[at] for at in odd)]
    return [pool[at] for at in random.integers(0, len(pool), n)]


def draw_names(random: np.random.Generator, n: int) -> list[str]:
    pool = NAMES if random.random() < 0.5 else NAMES + ODD_NAMES
    return [pool[at] for at in random.choice(len(pool), n, replace=False)]
