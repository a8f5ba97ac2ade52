"""What a check says when something does not hold.

`lost`: accepted and not carried out. `doubled`: an effect twice. `stuck`: not over, or something left behind.
`wrong`: an answer or a state that cannot be.
"""

from collections.abc import Iterator
from dataclasses import dataclass

KINDS = LOST, DOUBLED, STUCK, WRONG = "lost", "doubled", "stuck", "wrong"


@dataclass(frozen=True, slots=True)
class Violation:
    kind: str
    what: str
    job_id: str = ""


Found = Iterator[Violation]
