"""Finds forged trees before they are used.

Compiled code follows indices from the file unchecked: a child at 2**40 ends the process (SIGSEGV), so a model that
loads is not yet safe to call.

The conditions come from scikit-learn's sources (tree/_tree.pyx, _hist_gradient_boosting/_predictor.pyx,
neighbors/_binary_tree.pxi.tp): a child comes after its parent, and features, rows and bitsets exist. Sparse matrices
check their own indices. `worker.models.file_checks.array_checks` does the same for arrays.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import BaseEnsemble
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
from sklearn.neighbors._ball_tree import BallTree
from sklearn.neighbors._kd_tree import KDTree
from sklearn.tree import BaseDecisionTree
from sklearn.tree._tree import Tree


def tree_problem(part: Any) -> str:
    """Why a part must not be used; empty if nothing is wrong. It may raise an error instead."""
    for kinds, fitted_attribute, problem_of in _CHECKS:
        if isinstance(part, kinds) and hasattr(part, fitted_attribute):
            return problem_of(part)
    if hasattr(part, "check_format"):  # a sparse matrix; raises ValueError
        part.check_format(full_check=True)
    return ""


def _tree_problem(tree: Tree) -> str:
    if tree.node_count != tree.capacity:  # the length of its arrays, which the state takes from the number
        return "another number of nodes than it says"
    nodes = tree.__getstate__()["nodes"]
    inner = nodes["left_child"] != -1
    children = np.stack([nodes["left_child"][inner], nodes["right_child"][inner]])
    features = nodes["feature"][inner]
    return _children_problem(children, np.flatnonzero(inner), len(nodes)) or (
        "a split on a feature that does not exist" if has_index_outside(features, tree.n_features) else ""
    )


def _own_width_problem(estimator: BaseDecisionTree) -> str:
    return _width_problem(estimator.tree_.n_features, estimator.n_features_in_)


def _stages_problem(model: BaseGradientBoosting) -> str:
    """Each stage adds to its column of the output, unchecked."""
    if model.estimators_.ndim != 2 or model.estimators_.shape[1] != model.n_trees_per_iteration_:
        return "another number of trees in a stage than of outputs"
    if any(tree.tree_.n_outputs != 1 for tree in model.estimators_.ravel()):
        return "a tree with several outputs"
    return _members_problem(model)


def _members_problem(ensemble: BaseEnsemble) -> str:
    for member in np.ravel(ensemble.estimators_):
        problem = _width_problem(member.n_features_in_, ensemble.n_features_in_)
        if problem:
            return problem
    return ""


def _histogram_problem(model: BaseHistGradientBoosting) -> str:
    if len(model._bin_mapper.is_categorical_) != model.n_features_in_:
        return "a map of categorical features with another length than the features"
    is_categorical = np.asarray(model._bin_mapper.is_categorical_, dtype=bool)
    for predictor in (predictor for stage in model._predictors for predictor in stage):
        nodes = predictor.nodes
        inner = nodes["is_leaf"] == 0
        children = np.stack([nodes["left"][inner], nodes["right"][inner]]).astype(np.int64)
        categorical = inner & (nodes["is_categorical"] == 1)
        bitsets = min(len(predictor.raw_left_cat_bitsets), len(predictor.binned_left_cat_bitsets))
        problem = _children_problem(children, np.flatnonzero(inner), len(nodes))
        if problem:
            return problem
        if has_index_outside(nodes["feature_idx"][inner], model.n_features_in_):
            return "a split on a feature that does not exist"
        if has_index_outside(nodes["bitset_idx"][categorical], bitsets):
            return "a split on a set of categories that does not exist"
        words = {predictor.raw_left_cat_bitsets.shape[1:], predictor.binned_left_cat_bitsets.shape[1:]}
        if words != {(8,)} or not np.all(is_categorical[nodes["feature_idx"][categorical]]):
            return "a split on categories of a feature that has none"
    return ""


def _neighbors_problem(tree: Any) -> str:
    state = tree.__getstate__()
    numbers, (metric, weights) = state[4:7], state[11:13]  # their places in the state
    rows, order, nodes, bounds = (np.asarray(array) for array in tree.get_arrays())
    if metric is None or _has_other_nodes(len(nodes), *numbers):
        return "no metric, or another number of nodes than it says"
    if len(order) != len(rows) or has_index_outside(order, len(rows)):
        return "a neighbor that does not exist"
    if bounds.ndim != 3 or bounds.shape[1:] != (len(nodes), rows.shape[1]):
        return "bounds for a different number of nodes or features"
    ranges = np.concatenate([nodes["idx_start"], nodes["idx_end"]])
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    if has_index_outside(ranges, len(rows) + 1) or has_index_outside(2 * inner + 2, len(nodes)):
        return "a node that leads out of the tree"
    if weights is not None and np.shape(weights) != (len(rows),):
        return "weights for a different number of rows"
    return _metric_problem(metric, rows.shape[1])


def _has_other_nodes(n_nodes: int, leaf_size: int, n_levels: int, said_nodes: int) -> bool:
    """Compiled code divides by the size of a leaf, and takes the number of nodes for the length of its own arrays."""
    return leaf_size < 1 or said_nodes != n_nodes or not 0 < n_levels < 64 or n_nodes != 2**n_levels - 1


def _metric_problem(metric: Any, width: int) -> str:
    """Compiled code reads the metric's own arrays, such as the variances, by feature."""
    _, vector, matrix = map(np.asarray, metric.__getstate__()[:3])
    name = type(metric).__name__.rstrip("0123456789")
    is_sound = {
        "MahalanobisDistance": matrix.shape == (width, width),
        "SEuclideanDistance": vector.shape == (width,),
        "MinkowskiDistance": vector.size == 0 or vector.shape == (width,),
        "HaversineDistance": width == 2,
    }
    return "" if is_sound.get(name, True) else "a metric for a different number of features"


def _children_problem(children: Any, parents: Any, n_nodes: int) -> str:
    if n_nodes == 0:
        return "no nodes"
    if np.any(children <= parents) or np.any(children >= n_nodes):
        return "a child that does not come after its parent, or does not exist"
    return ""


def _width_problem(found: int, expected: int) -> str:
    return f"{found} features inside, {expected} outside" if found != expected else ""


def has_index_outside(indices: Any, length: int) -> bool:
    """Whether one of them is no place among `length`."""
    found = np.asarray(indices)
    return found.dtype.kind not in "iu" or bool(np.any(found < 0) or np.any(found >= length))


# A type, the attribute that a fitted instance has, and the check for it.
_CHECKS: tuple[tuple[Any, str, Callable[[Any], str]], ...] = (
    (Tree, "node_count", _tree_problem),
    (BaseDecisionTree, "tree_", _own_width_problem),
    (BaseForest, "estimators_", _members_problem),
    (BaseGradientBoosting, "estimators_", _stages_problem),
    (BaseHistGradientBoosting, "_predictors", _histogram_problem),
    ((KDTree, BallTree), "get_arrays", _neighbors_problem),
)
