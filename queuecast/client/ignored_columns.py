"""Says which columns of the rows a job has ignored, because the model does not have them."""

from typing import Any

from queuecast.domain.findings.bounds import and_rest


class IgnoredColumnsWarning(UserWarning):
    """Columns of the rows were ignored. `extra_columns="refuse"` makes it an error."""


def ignored_columns_text(body: dict[str, Any]) -> str | None:
    """One line about the job; None if it has ignored no column."""
    ignored = body.get("ignored_columns")
    if not ignored:
        return None
    names, count = ignored["names"], ignored["count"]
    columns = "a column that the model does not have was" if count == 1 else "columns that the model does not have were"
    return f"{columns} ignored: {', '.join(names)}{and_rest(count - len(names))}"
