"""The rule by which a training splits its rows."""

import pytest

from queuecast.domain.columns.roles import ColumnRoles
from queuecast.domain.holdout import TIME_METHOD, HoldoutRule, rule_for

BY_FEATURES = HoldoutRule(0.3, ("a", "b"), "rowhash-v1")
BY_GROUP = HoldoutRule(0.3, ("g",))
BY_TIME = HoldoutRule(0.3, ("t",), TIME_METHOD, "5.0")


@pytest.mark.parametrize(
    ("known", "roles", "rule"),
    [
        (None, ColumnRoles(), HoldoutRule()),
        (BY_FEATURES, ColumnRoles(weight="w", id="i"), BY_FEATURES),
        (BY_FEATURES, ColumnRoles(group="g"), BY_GROUP),
        (BY_GROUP, ColumnRoles(group="g"), BY_GROUP),
        (BY_GROUP, ColumnRoles(), BY_GROUP),
        (BY_TIME, ColumnRoles(group="t"), HoldoutRule(0.3, ("t",))),
        (BY_GROUP, ColumnRoles(time="t"), HoldoutRule(0.3, ("t",), TIME_METHOD)),
        (BY_TIME, ColumnRoles(), HoldoutRule(0.3, ("t",), TIME_METHOD)),
        (None, ColumnRoles(time="t"), HoldoutRule(0.2, ("t",), TIME_METHOD)),
    ],
)
def test_roles_change_the_rule_and_keep_its_fraction(
    known: HoldoutRule | None, roles: ColumnRoles, rule: HoldoutRule
) -> None:
    assert rule_for(known, roles) == rule
