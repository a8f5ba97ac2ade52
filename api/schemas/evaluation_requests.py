"""The JSON body that asks for an evaluation."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from api.schemas.fields import ColumnName, FileId, SentMetadata
from api.schemas.requests import Expiry, ExtraColumnsChoice, TrainingTimeout, VersionOrAlias
from queuecast.domain.columns.extra_columns import ExtraColumns
from queuecast.domain.work import OnError


class EvaluationRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """Versions to score on uploaded tables, CSV, NDJSON or Parquet: one `file_id`, or several `file_ids`."""

    target: Annotated[
        ColumnName | Annotated[list[ColumnName], Meta(min_length=1, max_length=10_000)],
        Meta(description="The column with the true answers, or several of them."),
    ]
    versions: Annotated[
        Annotated[list[VersionOrAlias], Meta(min_length=1, max_length=10)] | None,
        Meta(description="The first is compared with each other. By default the champion, and any challenger."),
    ] = None
    file_id: Annotated[FileId | None, Meta(description="The uploaded file.")] = None
    file_ids: Annotated[
        Annotated[list[FileId], Meta(min_length=1, max_length=100)] | None,
        Meta(description="Several uploaded files, which are read one after the other, as one table."),
    ] = None
    metric: Annotated[
        str, Meta(description="The primary metric, a scorer of scikit-learn; by default that of the first version.")
    ] = ""
    weight_column: Annotated[ColumnName | None, Meta(description="How much each row counts: numbers from 0 on.")] = None
    metadata: SentMetadata = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))
    expires_in_s: Expiry = None
    timeout_s: TrainingTimeout | None = None
    extra_columns: ExtraColumnsChoice = ExtraColumns.IGNORE
    on_error: Annotated[
        OnError,
        Meta(description="Whether rows that do not fit are left out and reported (skip), or refused (fail)."),
    ] = OnError.FAIL
