"""The roles that columns of a training file may have, besides those of features and targets."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ColumnRoles:
    """weight: how much each row counts. group: rows that belong together, such as those of one customer. time: when a
    row happened. id: names a row, and nothing learns from it.

    Each is the name of a column, or None. It may be a feature, too.
    """

    weight: str | None = None
    group: str | None = None
    time: str | None = None
    id: str | None = None

    @property
    def by_field(self) -> dict[str, str]:
        """The columns that are named, by the field of the request that names them."""
        named = {"weight_column": self.weight, "group_column": self.group, "time_column": self.time}
        named["id_column"] = self.id
        return {field: name for field, name in named.items() if name is not None}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.by_field.values()))
