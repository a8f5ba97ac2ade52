"""The search of a training, as requests give it."""

from typing import Annotated

from msgspec import Meta, Struct

from api.schemas.fields import SentDistributions
from queuecast.domain.trainings.searching import SearchKind


class SearchRequest(Struct, forbid_unknown_fields=True):
    """Candidates for parameters, scored by cross-validation on the rows that are fitted on."""

    param_distributions: SentDistributions
    kind: Annotated[
        SearchKind,
        Meta(description="All candidates on all rows; or rounds, each with fewer candidates and more rows."),
    ] = SearchKind.RANDOM
    n_candidates: Annotated[int, Meta(ge=1, le=200, description="Drawn ones; the present parameters are another.")] = 20
    cv: Annotated[int, Meta(ge=2, le=20, description="The folds of the cross-validation.")] = 5
    metric: Annotated[str, Meta(description="A scorer of scikit-learn; empty for the metric of the gate.")] = ""
    max_s: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="Seconds after which no candidate is started; null for half of the job's timeout."),
    ] = None
