"""The finding of a check.

`lost`: an accepted job was not carried out. `doubled`: an effect happened twice. `stuck`: a job did not end, or data
is left behind. `wrong`: an impossible answer or state.
"""

from collections.abc import Iterator
from dataclasses import dataclass

KINDS = LOST, DOUBLED, STUCK, WRONG = "lost", "doubled", "stuck", "wrong"


@dataclass(frozen=True, slots=True)
class Violation:
    kind: str
    text: str
    job_id: str = ""


Violations = Iterator[Violation]
