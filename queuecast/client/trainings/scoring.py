"""Evaluations: uploads labelled files and submits the versions that are scored on them."""

from collections.abc import Sequence
from typing import Any

from queuecast.client.job import JobHandle
from queuecast.client.model_administration import model_path
from queuecast.client.trainings.params import champion_target
from queuecast.client.trainings.training import Training, given


class Scoring(Training):
    """The part of a client that scores versions."""

    def score(
        self,
        model: str,
        source: Any,
        target: Any = None,
        *,
        y: Any = None,
        versions: Sequence[int | str] | None = None,
        metric: str | None = None,
        weight_column: str | None = None,
        extra_columns: str | None = None,
        on_error: str | None = None,
    ) -> JobHandle:
        """Uploads a labelled file and submits an evaluation, which scores versions on it. Fits nothing, moves no alias.

        source, target, y: as for `train`; without target and y, the columns of the champion's target.
        versions: up to ten numbers or aliases; default: the champion, and the challenger if there is one. The first is
        compared with each other. metric: the primary metric, a scorer of scikit-learn; default: that of the first.
        weight_column, extra_columns, on_error: as for `train`.
        """
        path = model_path(model)
        if target is None and y is None:
            known = champion_target(self._transport, path)
            if not known:
                raise TypeError("score needs target= or y=: the target of the champion has no name")
            target = known[0] if len(known) == 1 else list(known)
        body, target = self._labelled(model, source, target, y, [weight_column] if weight_column else [])
        body |= {"target": target} | given(versions=None if versions is None else list(versions), metric=metric)
        body |= given(weight_column=weight_column, extra_columns=extra_columns, on_error=on_error)
        response = self._transport.send("POST", f"{path}/evaluations", body=body, is_submit=True)
        return self._job(response).warn_of_ignored_columns()
