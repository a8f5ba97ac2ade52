"""Learns the reference of a version from the rows of its fit, and counts later values by its bins and categories."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from queuecast.domain.errors import UnknownVersionError, short_name
from queuecast.domain.model import Manifest
from queuecast.domain.signature import Layout, Signature
from queuecast.domain.trainings.reference import REFERENCE_FILE, Distribution, Reference
from queuecast.ports.models import ModelRegistry
from worker.data_checks.check_bounds import BOUNDS
from worker.data_checks.feature_columns import Values, columns_of, sample_positions, values_of


def learn_reference(features: Any, names: Any, positions: Any = None, target: Any = None) -> Reference:
    """positions: of the rows that were fitted on; None for all. target: of all rows, or None.

    The columns are left out from the one on that makes the reference too large.
    """
    positions = np.arange(_length(features)) if positions is None else np.asarray(positions)
    at = positions[sample_positions(len(positions))]
    columns, n_bytes = {}, 0
    for name, values in columns_of(features, names, at):
        distribution = learn_distribution(values)
        n_bytes += len(msgspec.json.encode((name, distribution)))
        if n_bytes > BOUNDS.reference_bytes:
            break
        columns[name] = distribution
    reference = Reference(len(positions), len(at), columns)
    return reference if target is None else with_target(reference, target[at])


def with_target(reference: Reference, target: Any) -> Reference:
    """The reference with the targets of some rows. target: array (n_rows,) or (n_rows, n_targets)."""
    found = tuple(learn_distribution(values_of(each)) for each in targets_of(target))
    return replace(reference, target=found, target_rows=len(target))


def counted_names(signature: Signature) -> list[str]:
    """The names of the columns that the reference is about: a column that no step reads has neutral values."""
    columns = signature.read_columns if signature.layout is Layout.FRAME else signature.columns
    return [column.name for column in columns]


def read_reference(models: ModelRegistry, manifest: Manifest) -> Reference | None:
    """None for a version of code without references."""
    try:
        data = models.file(manifest.model, manifest.version, REFERENCE_FILE)
    except UnknownVersionError:
        return None
    return msgspec.json.decode(data, type=Reference)


def targets_of(target: Any) -> list[Any]:
    """One array (n_rows,) for each target, of at most ten. target: array (n_rows,) or (n_rows, n_targets)."""
    return [target] if np.ndim(target) == 1 else [target[:, index] for index in range(min(target.shape[1], 10))]


def learn_distribution(values: Values) -> Distribution:
    present = values.present
    if not len(present):
        return Distribution(values.missing)
    if values.are_numbers:
        with np.errstate(all="ignore"):  # the largest numbers overflow
            quantiles = np.quantile(present, np.linspace(0, 1, BOUNDS.bins + 1))
            mean, std = present.mean(), present.std()
        edges = np.unique([np.nextafter(quantiles[0], -np.inf), *quantiles])
        edges = edges[np.isfinite(edges)]  # JSON has no infinity
        shares = _shares_of_bins(edges, present)
        return Distribution(
            _rounded(values.missing),
            tuple(edges.tolist()),
            (),
            tuple(map(_rounded, shares)),
            _finite(mean),
            _finite(std),
        )
    categories = tuple(dict.fromkeys(short_name(text) for text, _ in values.counts()[: BOUNDS.categories]))
    found = Distribution(_rounded(values.missing), (), categories)
    shares = shares_by(found, values)
    return Distribution(found.missing, (), categories, tuple(map(_rounded, shares)))


def shares_by(reference: Distribution, values: Values) -> list[float]:
    """The shares of the reference's bins or categories among the values that are not missing."""
    present = values.present
    if reference.are_numbers:
        return _shares_of_bins(np.array(reference.edges), present)
    counts = {short_name(text): 0 for text in reference.categories}
    other = 0
    for text, count in values.counts():
        name = short_name(text)
        if name in counts:
            counts[name] += count
        else:
            other += count
    return [count / len(present) for count in (*counts.values(), other)]


def _shares_of_bins(edges: Any, present: Any) -> list[float]:
    places = np.searchsorted(edges, present, side="left")
    counts: list[int] = np.bincount(places, minlength=len(edges) + 1).tolist()
    return [count / len(present) for count in counts]


def _finite(number: Any) -> float | None:
    """None for the mean of numbers whose sum is too large."""
    return float(number) if np.isfinite(number) else None


def _rounded(share: float) -> float:
    return round(share, 6)


def _length(features: Any) -> int:
    return int(features.shape[0]) if hasattr(features, "shape") else len(features)
