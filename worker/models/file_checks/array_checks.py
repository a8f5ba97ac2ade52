"""Finds forged arrays of compiled parts before they are used: lengths and indices that do not fit one another.

Compiled code takes the length of one array from another and does not look. An SVC with an empty array ends the process.

The rule: an estimator's arrays name their axes (`_AXES`). The same letter means the same length in every array of the
estimator; `f` is the number of its features. What letters cannot say (indices, the pairs of classes of an SVC, a
vocabulary, a spline) has a check of its own. The conditions come from scikit-learn's sources. Estimators that compute
with numpy need no entry, because numpy checks: a test changes every array of every estimator of scikit-learn, and none
may end its process.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from scipy.interpolate import BSpline
from scipy.sparse import issparse
from sklearn.cluster import AffinityPropagation, MeanShift
from sklearn.cluster._kmeans import _BaseKMeans
from sklearn.decomposition._nmf import _BaseNMF
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.multiclass import OneVsRestClassifier, _predict_binary
from sklearn.neighbors import NearestCentroid
from sklearn.neighbors._base import NeighborsBase
from sklearn.preprocessing import MultiLabelBinarizer, OneHotEncoder
from sklearn.svm._base import BaseLibSVM

from worker.models.file_checks.tree_checks import has_index_outside

# A type, and the axes of its fitted arrays: one letter for each. A capital letter is an axis that may not be empty.
_AXES: tuple[tuple[type, dict[str, str]], ...] = (
    (BaseLibSVM, {"support_": "s", "dual_coef_": "ds", "_dual_coef_": "ds", "_n_support": "K"}),
    (NeighborsBase, {"_fit_X": "Nf"}),
    (NearestCentroid, {"centroids_": "Cf", "classes_": "C"}),
    (_BaseKMeans, {"cluster_centers_": "Cf"}),
    (MeanShift, {"cluster_centers_": "Cf"}),
    (AffinityPropagation, {"cluster_centers_": "cf"}),
    (_BaseNMF, {"components_": "Cf"}),
)


def array_problem(part: Any) -> str:
    """As `worker.models.file_checks.tree_checks.tree_problem`."""
    return _axes_problem(part) or _own_problem(part)


def _axes_problem(part: Any) -> str:
    axes: dict[str, str] = {}
    for kind, of_kind in _AXES:
        if isinstance(part, kind):
            axes |= of_kind
    lengths: dict[str, int] = {"f": part.n_features_in_} if axes and hasattr(part, "n_features_in_") else {}
    for name, letters in axes.items():
        array = vars(part).get(name)
        if array is None:
            continue
        shape = np.shape(array) if not issparse(array) else array.shape
        if len(shape) != len(letters):
            return f"{name} has {len(shape)} dimensions, expected {len(letters)}"
        for letter, length in zip(letters, shape, strict=True):
            if lengths.setdefault(letter, length) != length or (letter.isupper() and length == 0):
                return f"{name} has the shape {shape}, which does not fit its other arrays"
    return ""


def _own_problem(part: Any) -> str:
    for kind, attribute, problem_of in _CHECKS:
        if isinstance(part, kind) and attribute in getattr(part, "__dict__", {}):
            problem = problem_of(part)
            if problem:
                return problem
    return ""


def _support_problem(model: BaseLibSVM) -> str:
    """libsvm takes every length from the number of classes, and reads support vectors by their index."""
    n_classes, n_vectors = len(model._n_support), len(model.support_)
    n_pairs = n_classes * (n_classes - 1) // 2
    counts, dual = np.asarray(model._n_support, dtype=np.int64), model._dual_coef_
    is_classifier, is_precomputed = hasattr(model, "classes_"), model.kernel == "precomputed"
    width = model.support_vectors_.shape[1] if is_precomputed or callable(model.kernel) else model.n_features_in_
    height = model.support_vectors_.shape[0] if is_precomputed or callable(model.kernel) else n_vectors
    problems = {
        "fewer than two classes": n_classes < 2,
        "counts for other classes than it has": is_classifier and len(model.classes_) != n_classes,
        "other support vectors than it counts": is_classifier and counts.sum() != n_vectors,
        "counts that cannot be": bool(np.any(counts < 0) or np.any(counts > n_vectors)),
        "support vectors that do not exist": has_index_outside(model.support_, model.shape_fit_[0]),
        "numbers for other pairs of classes than it has": (
            np.shape(model._intercept_) != (n_pairs,) or not {len(model._probA), len(model._probB)} <= {0, n_pairs}
        ),
        "probabilities without numbers for them": (
            not isinstance(vars(model).get("_effective_probability", False), bool)
            or (vars(model).get("_effective_probability", False) and len(model._probA) == 0)
        ),
        "coefficients for other support vectors than it has": (
            dual.shape != (n_classes - 1, n_vectors) or (issparse(dual) and len(dual.data) != np.prod(dual.shape))
        ),
        "support vectors of another shape than its rows": model.support_vectors_.shape != (height, width),
        "a kernel of another width than its rows": is_precomputed and model.shape_fit_[0] != model.n_features_in_,
    }
    return next((problem for problem, is_found in problems.items() if is_found), "")


def _neighbors_problem(model: NeighborsBase) -> str:
    """The neighbors' labels are looked up, and counted, by index."""
    n_rows = model._fit_X.shape[0]
    if vars(model).get("n_samples_fit_", n_rows) != n_rows:
        return "another number of rows than it says"
    if model._tree is not None and np.asarray(model._tree.data).shape != model._fit_X.shape:
        return "a tree of other rows"
    labels = vars(model).get("_y")
    if labels is None:
        return ""
    if len(labels) != n_rows:
        return "labels for another number of rows"
    if hasattr(model, "classes_"):
        columns = np.reshape(labels, (n_rows, -1)).T
        classes = model.classes_ if isinstance(model.classes_, list) else [model.classes_]
        if len(columns) != len(classes) or any(map(has_index_outside, columns, map(len, classes))):
            return "labels that are no classes"
    return ""


def _linear_problem(model: LinearClassifierMixin) -> str:
    """OneVsRestClassifier takes the answers of its members as rows of a sparse matrix, unchecked."""
    n_classes = len(model.classes_)
    is_multilabel = getattr(getattr(model, "_label_binarizer", None), "y_type_", "").startswith("multilabel")
    n_rows = 1 if n_classes == 2 and not is_multilabel else n_classes
    shape = model.coef_.shape if model.coef_.ndim == 2 else (1, *model.coef_.shape)  # RidgeClassifier has one axis
    if shape != (n_rows, model.n_features_in_) or np.size(model.intercept_) not in (1, n_rows):
        return "coefficients for other classes or features than it has"
    return ""


def _binary_members_problem(model: OneVsRestClassifier) -> str:
    # The number of features may be forged too: one zero that looks like two rows takes no memory.
    rows = np.broadcast_to(np.zeros(()), (2, getattr(model, "n_features_in_", 0)))
    for member in model.estimators_:
        with suppress(Exception):  # a member that takes other rows, such as texts
            if np.size(_predict_binary(member, rows)) != len(rows):
                return "a member that gives several answers for a row"
    return ""


def _factors_problem(model: _BaseNMF) -> str:
    found = {len(model.components_), model._n_components, model.n_components_}
    return "another number of components than it says" if len(found) > 1 else ""


def _encoder_problem(encoder: OneHotEncoder) -> str:
    """The columns of a sparse output are computed from these numbers; an index outside it ends the process later."""
    if list(encoder._n_features_outs) != list(encoder._compute_n_features_outs()):
        return "another number of columns than of categories"
    mappings = getattr(encoder, "_default_to_infrequent_mappings", None) or [None] * len(encoder.categories_)
    dropped = encoder._drop_idx_after_grouping
    for index, (categories, mapping) in enumerate(zip(encoder.categories_, mappings, strict=True)):
        n_groups = len(categories)
        if mapping is not None:
            n_groups -= len(encoder._infrequent_indices[index]) - 1
            if len(mapping) != len(categories) or has_index_outside(mapping, n_groups):
                return "a group of categories that does not exist"
        if dropped is not None and dropped[index] is not None and has_index_outside(dropped[index], n_groups):
            return "drops a category that does not exist"
    return ""


def _vocabulary_problem(vectorizer: Any) -> str:
    """The places of words become columns of a sparse matrix, unchecked."""
    places = np.sort(np.fromiter(vectorizer.vocabulary_.values(), dtype=np.int64))
    return "a word without a column of its own" if not np.array_equal(places, np.arange(len(places))) else ""


def _labels_problem(binarizer: MultiLabelBinarizer) -> str:
    """The places of labels become columns of a sparse matrix, too."""
    places = binarizer._cached_dict
    is_sound = places is None or list(places.values()) == list(range(len(binarizer.classes_)))
    return (
        "" if is_sound and all(type(place) is int for place in (places or {}).values()) else "a label without a column"
    )


def _spline_problem(spline: BSpline) -> str:
    """Its constructor has the checks, which loading skips."""
    checked = BSpline(spline._t, spline._c, spline.k, spline.extrapolate)
    vars(spline).update(_t=checked._t, _c=checked._c)
    return ""


# A type, an attribute that a fitted instance has, and the check for it.
_CHECKS: tuple[tuple[type, str, Callable[[Any], str]], ...] = (
    (BaseLibSVM, "support_", _support_problem),
    (NeighborsBase, "_fit_method", _neighbors_problem),
    (LinearClassifierMixin, "coef_", _linear_problem),
    (OneVsRestClassifier, "estimators_", _binary_members_problem),
    (_BaseNMF, "components_", _factors_problem),
    (OneHotEncoder, "categories_", _encoder_problem),
    (BSpline, "_t", _spline_problem),
    (MultiLabelBinarizer, "_cached_dict", _labels_problem),
    (object, "vocabulary_", _vocabulary_problem),
)
