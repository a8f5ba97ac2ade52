"""The held-out rows that versions keep, so that later versions are scored on the rows of earlier files too.

A version keeps the held-out rows of its own file. Those of the champion and of the versions that it was retrained from
are the remembered rows: no person and no gate has accepted a version that was made of another file. A deleted version
takes its rows with it.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from queuecast.domain.errors import UnknownVersionError
from queuecast.domain.model import Manifest
from queuecast.domain.signature import Signature
from queuecast.ports.models import ModelRegistry
from worker.labelled.training_rows import TrainingRows
from worker.models.frames import as_fitted, frame_of, rows_of

HELD_OUT_FILE = "held_out.json"
MOST_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class HeldOutRows:
    """rows: as JSON rows of the version's signature. target: one label or number, or a list of them, for each row.

    dtype: numpy's, of the target. weights: one for each row, or none at all.
    """

    rows: list[Any]
    target: list[Any]
    dtype: str
    weights: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RememberedRows:
    """features: as an estimator takes them. target, weights: as in `TrainingRows`."""

    features: Any
    target: Any
    weights: Any = None


def held_out_record(signature: Signature, rows: TrainingRows, positions: list[int]) -> bytes | None:
    """The file of a version, with at most MOST_ROWS rows and 8 MiB; None without rows or targets."""
    if not positions or rows.target is None:
        return None
    chosen = _sample(positions, MOST_ROWS)
    width = len(_encoded(signature, rows, chosen[:100])) / len(chosen[:100])
    chosen = _sample(chosen, max(1, int(8 * 2**20 / width)))
    return _encoded(signature, rows, chosen)


def remembered_rows(models: ModelRegistry, champion: Manifest, *, have_weights: bool = False) -> RememberedRows | None:
    """Of the champion and of those that it was retrained from by the same rule and target; None if there are none.

    have_weights: only rows with a weight, or only rows without. A score of both together would mean nothing.
    """
    found = _lineage(models, champion)
    kept = [part for version in found if (part := _read(models, version, champion.signature)) is not None]
    kept = [part for part in kept if bool(part.weights) == have_weights]
    rows: list[Any] = []
    target: list[Any] = []
    weights: list[float] = []
    for at, part in enumerate(kept):
        room = MOST_ROWS - len(rows)
        chosen = _sample(list(range(len(part.rows))), room if at == len(kept) - 1 else (room + 1) // 2)
        rows += [part.rows[place] for place in chosen]
        target += [part.target[place] for place in chosen]
        weights += [part.weights[place] for place in chosen] if have_weights else []
    if not rows:
        return None
    signature = champion.signature
    features = as_fitted(signature.sparse, frame_of(signature, rows), signature.labels)
    return RememberedRows(features, np.array(target, dtype=kept[0].dtype), np.array(weights) if have_weights else None)


def _lineage(models: ModelRegistry, champion: Manifest) -> list[Manifest]:
    """Newest first."""
    found = [champion]
    while found[-1].lineage is not None and len(found) < 20:
        try:
            parent = models.manifest(champion.model, found[-1].lineage.parent_version)
        except UnknownVersionError:
            break
        if parent.holdout != champion.holdout or parent.target not in (champion.target, ()):
            break
        found.append(parent)
    return found


def _read(models: ModelRegistry, version: Manifest, signature: Signature) -> HeldOutRows | None:
    try:
        data = models.file(version.model, version.version, HELD_OUT_FILE)
    except UnknownVersionError:
        return None
    found = msgspec.json.decode(data, type=HeldOutRows)
    known = {column.name: set(column.categories) for column in signature.read_columns if column.categories}
    if not known or signature.takes_lists:
        return found
    places = [
        at
        for at, row in enumerate(found.rows)
        if all(row[name] is None or row[name] in values for name, values in known.items())
    ]
    return HeldOutRows(
        [found.rows[at] for at in places],
        [found.target[at] for at in places],
        found.dtype,
        [found.weights[at] for at in places] if found.weights else [],
    )


def _encoded(signature: Signature, rows: TrainingRows, positions: list[int]) -> bytes:
    target = rows.target[positions]
    features = rows.take_features(positions)
    features = features.toarray() if hasattr(features, "toarray") else features
    weights = [] if rows.weights is None else rows.weights[positions].tolist()
    kept = HeldOutRows(rows_of(signature, features), target.tolist(), str(target.dtype), weights)
    return msgspec.json.encode(kept)


def _sample(positions: list[int], most: int) -> list[int]:
    """Evenly spaced ones, so that a file in the order of time or of a class is kept in all its parts."""
    if len(positions) <= most:
        return positions
    return [positions[at] for at in np.linspace(0, len(positions) - 1, most).astype(int)]
