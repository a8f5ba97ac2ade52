"""The rule by which a training splits its rows: that of the champion, or one for the group or the time of the rows."""

from dataclasses import replace

from queuecast.domain.columns.roles import ColumnRoles
from queuecast.domain.holdout.rule import METHOD, TIME_METHOD, HoldoutRule


def rule_for(known: HoldoutRule | None, roles: ColumnRoles) -> HoldoutRule:
    """known: that of the champion; None if it is unknown. Its fraction stays."""
    rule = known or HoldoutRule()
    if roles.time is not None:
        return HoldoutRule(rule.fraction, (roles.time,), TIME_METHOD)
    if roles.group is not None and (rule.columns != (roles.group,) or rule.is_by_time):
        return HoldoutRule(rule.fraction, (roles.group,), METHOD)
    return replace(rule, cutoff="")
