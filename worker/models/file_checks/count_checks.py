"""Finds forged numbers before they are used: those that a constructor gets, and those that size an output.

The rule: a number of outputs, classes or trees that a fit left is the length of what it counts. Without this check, a
model of a few bytes answers one row with gigabytes. Compiled parts check their numbers with their arrays, see
`worker.models.file_checks.tree_checks` and `worker.models.file_checks.array_checks`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.cluster._feature_agglomeration import AgglomerationTransform
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
from sklearn.kernel_approximation import PolynomialCountSketch
from sklearn.manifold import LocallyLinearEmbedding
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer
from sklearn.tree import BaseDecisionTree

from queuecast.domain.errors import ModelRefusedError
from worker.models.file_checks.tree_checks import has_index_outside


def require_sound_schema(schema: Any) -> None:
    """Raises ModelRefusedError for a number that would keep a constructor busy, or fill memory, while skops reads it.

    schema: the JSON of the file. numpy mixes the pool of a seed in quadratic time.
    """
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            waiting.extend(node.values())
            if _is_over(node.get("pool_size"), 64) or (
                node.get("__loader__") == "TreeNode" and any(_is_over(each, 10**6) for each in _arguments(node))
            ):
                raise ModelRefusedError("the model holds a random generator or a tree with a size that cannot be")


def _arguments(node: dict[str, Any]) -> list[Any]:
    """What the constructor gets: features, classes of each output, outputs."""
    reduced = node.get("__reduce__")
    arguments = reduced.get("args") if isinstance(reduced, dict) else None
    content = arguments.get("content") if isinstance(arguments, dict) else None
    return content if isinstance(content, list) else []


def _is_over(node: Any, limit: int) -> bool:
    """Whether a node of the schema is a number outside 0 to `limit`."""
    if not isinstance(node, dict) or node.get("__loader__") != "JsonNode":
        return False
    content = str(node.get("content"))
    return not content.isdecimal() or len(content) > len(str(limit)) or int(content) > limit


def count_problem(part: Any) -> str:
    """As `worker.models.file_checks.tree_checks.tree_problem`."""
    attributes = getattr(part, "__dict__", {})
    if isinstance(part, BaseEstimator):
        shadowed = sorted(name for name in attributes if hasattr(type(part), name))
        # No fit sets what the class defines, such as the `_impl` by which an SVC chooses its compiled code.
        if shadowed and not set(part.get_params(deep=False)).issuperset(shadowed):
            return f"its own {', '.join(shadowed)} in place of those of the class"
    counts = {name: count for kind, name, count in _COUNTS if isinstance(part, kind) and name in attributes}
    if "n_classes_" in attributes and "classes_" in attributes:
        counts["n_classes_"] = _classes
    is_fitted = any(name.endswith("_") for name in attributes)
    for name, count in counts.items() if is_fitted else ():
        if not np.array_equal(np.ravel(attributes[name]), np.ravel(count(part))):
            return f"{name} is not the number of what it counts"
    is_clustered = isinstance(part, AgglomerationTransform) and "labels_" in attributes
    if is_clustered and has_index_outside(part.labels_, len(part.labels_)):
        return "features of a cluster that cannot be"
    return ""


def _classes(part: Any) -> Any:
    return [len(classes) for classes in part.classes_] if isinstance(part.classes_, list) else len(part.classes_)


def _products(part: PolynomialFeatures, least: int) -> int:
    """least: the degree of the first products."""
    n_features, degree = part.n_features_in_, part._max_degree
    if min(n_features, degree) > 100:  # no memory holds so many products, and to count them takes minutes
        raise ValueError("more products than there can be")
    found: int = PolynomialFeatures._num_combinations(
        n_features=n_features,
        min_degree=least,
        max_degree=degree,
        interaction_only=part.interaction_only,
        include_bias=part.include_bias,
    )
    return found


def _spline_columns(part: SplineTransformer) -> int:
    n_splines: int = part.bsplines_[0].c.shape[1]
    n_features: int = part.n_features_in_
    return n_features * (n_splines if part.include_bias else n_splines - 1)


# A type, a number that sizes an output, and what it is.
_COUNTS: tuple[tuple[type, str, Callable[[Any], Any]], ...] = (
    (BaseDecisionTree, "n_outputs_", lambda tree: tree.tree_.n_outputs),
    (BaseForest, "n_outputs_", lambda forest: forest.estimators_[0].tree_.n_outputs),
    (BaseHistGradientBoosting, "n_trees_per_iteration_", lambda model: len(model._predictors[0])),
    (DummyRegressor, "n_outputs_", lambda model: np.size(model.constant_)),
    (DummyClassifier, "n_outputs_", lambda model: len(model.classes_) if isinstance(model.classes_, list) else 1),
    (LocallyLinearEmbedding, "n_components", lambda model: model.embedding_.shape[1]),
    (PolynomialCountSketch, "degree", lambda model: len(model.indexHash_)),
    (PolynomialFeatures, "_n_out_full", lambda features: _products(features, 0)),
    (PolynomialFeatures, "n_output_features_", lambda features: _products(features, features._min_degree)),
    (SplineTransformer, "n_features_out_", _spline_columns),
)
