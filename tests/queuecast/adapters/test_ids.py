import re

import pytest

from queuecast.adapters.ids import new_id


@pytest.mark.parametrize("kind", ["job", "file"])
def test_an_id_says_its_kind_and_is_a_uuid_of_version_seven(kind: str) -> None:
    assert re.fullmatch(kind + r"_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", new_id(kind))


def test_ids_sort_by_the_time_of_their_making() -> None:
    made = [new_id("job") for _ in range(2000)]

    assert made == sorted(made)


def test_no_id_comes_twice() -> None:
    assert len({new_id("job") for _ in range(2000)}) == 2000
