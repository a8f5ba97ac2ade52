"""Some trials of `tests.differential` on a real gateway with real workers: every answer is the notebook's."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from queuecast import Client
from tests.differential.cases import draw_case
from tests.differential.kinds import KINDS, SERVED
from tests.differential.known_faults import is_known
from tests.differential.report import text
from tests.differential.served_version import ServedVersion
from tests.differential.tally import Tally
from tests.differential.trials import Trial

SEED = 3
TRIALS = 5
ROWS = 10

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("stack"), pytest.mark.filterwarnings("ignore")]


def test_every_answer_over_http_is_the_notebooks(client: Client, tmp_path: Path) -> None:
    tally = Tally()
    numbers = [at for at, kind in enumerate(KINDS) if kind in SERVED]
    for number in numbers[:: len(numbers) // TRIALS]:
        push: Any = partial(ServedVersion.pushed, client, f"generated-{number}", tmp_path)
        Trial(draw_case(SEED, number, ROWS), tally).run(push)

    assert [each for each in tally.differences if not is_known(each)] == [], text(tally)
    assert tally.answers > 500, text(tally)
