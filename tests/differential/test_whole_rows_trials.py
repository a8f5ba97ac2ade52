"""A short run with a fixed seed: generated texts and dicts in every way, each answer as in the notebook."""

import pytest

from tests.differential.whole_rows import differences, draw

SEED = 20261127
TRIALS = 12

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("differential")]


@pytest.mark.parametrize("number", range(TRIALS))
def test_every_answer_to_a_text_or_a_dict_is_the_notebooks(number: int) -> None:
    wrong, compared = differences(draw(SEED, number))

    assert wrong == []
    assert compared > 500
