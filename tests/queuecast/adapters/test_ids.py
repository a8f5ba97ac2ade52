import re

import pytest

from queuecast.adapters.ids import new_id
from queuecast.domain.id_rules import FILE_ID_RULE, JOB_ID_RULE


@pytest.mark.parametrize("kind", ["job", "file"])
def test_an_id_has_its_kind_and_a_uuid_of_version_seven(kind: str) -> None:
    assert re.fullmatch(kind + r"_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", new_id(kind))


def test_ids_sort_by_creation_time() -> None:
    made = [new_id("job") for _ in range(2000)]

    assert made == sorted(made)


def test_ids_are_unique() -> None:
    assert len({new_id("job") for _ in range(2000)}) == 2000


@pytest.mark.parametrize(("rule", "kind"), [(JOB_ID_RULE, "job"), (FILE_ID_RULE, "file")])
def test_an_id_follows_the_rule_of_its_kind_only(rule: re.Pattern[str], kind: str) -> None:
    other = {"job": "file", "file": "job"}[kind]

    assert rule.fullmatch(new_id(kind))
    assert not rule.fullmatch(new_id(other))
    assert not rule.fullmatch(new_id(kind) + "/..")
