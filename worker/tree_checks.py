"""Forged trees are found before they are used. Compiled tree code follows indices from the file without a look:
a child at 2**40 ends the process (SIGSEGV), so a model that loads is not yet a model that is safe to call.

What must hold was read in scikit-learn's sources (tree/_tree.pyx, _hist_gradient_boosting/_predictor.pyx,
neighbors/_binary_tree.pxi.tp): a child comes after its parent, and features, rows and bitsets exist.
"""

from collections.abc import Iterator
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

from queuecast.domain.errors import ModelRefusedError


def require_sound_trees(estimator: Any) -> None:
    """Raises ModelRefusedError for the first tree under `estimator` whose indices lead out of its arrays."""
    for part in _parts(estimator):
        problem = _problem(part)
        if problem:
            raise ModelRefusedError(f"the model holds a {type(part).__name__} that is not sound: {problem}")


def _parts(root: Any) -> Iterator[Any]:
    """Every object reachable through attributes and containers, each once."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, str | bytes | int | float | None):
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list | tuple | set):
            waiting.extend(part)
        elif isinstance(part, np.ndarray):
            waiting.extend(part.ravel().tolist() if part.dtype == object else ())
        else:
            waiting.extend(getattr(part, "__dict__", {}).values())


def _problem(part: Any) -> str:
    if isinstance(part, Tree):
        return _tree_problem(part)
    if isinstance(part, BaseDecisionTree) and hasattr(part, "tree_"):
        return _width_problem(part.tree_.n_features, part.n_features_in_)
    if isinstance(part, BaseForest | BaseGradientBoosting) and hasattr(part, "estimators_"):
        return _members_problem(part)
    if isinstance(part, BaseHistGradientBoosting) and hasattr(part, "_predictors"):
        return _histogram_problem(part)
    if isinstance(part, KDTree | BallTree):
        return _neighbors_problem(part)
    return ""


def _tree_problem(tree: Tree) -> str:
    nodes = tree.__getstate__()["nodes"]
    inner = nodes["left_child"] != -1
    children = np.stack([nodes["left_child"][inner], nodes["right_child"][inner]])
    features = nodes["feature"][inner]
    return _children_problem(children, np.flatnonzero(inner), len(nodes)) or (
        "a split on a feature that does not exist" if _leaves(features, tree.n_features) else ""
    )


def _members_problem(ensemble: BaseEnsemble) -> str:
    for member in np.ravel(ensemble.estimators_):
        problem = _width_problem(member.n_features_in_, ensemble.n_features_in_)
        if problem:
            return problem
    return ""


def _histogram_problem(model: BaseHistGradientBoosting) -> str:
    for predictor in (each for stage in model._predictors for each in stage):
        nodes = predictor.nodes
        inner = nodes["is_leaf"] == 0
        children = np.stack([nodes["left"][inner], nodes["right"][inner]]).astype(np.int64)
        categorical = inner & (nodes["is_categorical"] == 1)
        bitsets = min(len(predictor.raw_left_cat_bitsets), len(predictor.binned_left_cat_bitsets))
        problem = _children_problem(children, np.flatnonzero(inner), len(nodes))
        if problem:
            return problem
        if _leaves(nodes["feature_idx"][inner], model.n_features_in_):
            return "a split on a feature that does not exist"
        if _leaves(nodes["bitset_idx"][categorical], bitsets):
            return "a split on a set of categories that does not exist"
    return ""


def _neighbors_problem(tree: Any) -> str:
    rows, order, nodes, _ = (np.asarray(array) for array in tree.get_arrays())
    if len(order) != len(rows) or _leaves(order, len(rows)):
        return "a neighbor that does not exist"
    bounds = np.concatenate([nodes["idx_start"], nodes["idx_end"]])
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    if _leaves(bounds, len(rows) + 1) or _leaves(2 * inner + 2, len(nodes)):
        return "a node that leads out of the tree"
    return ""


def _children_problem(children: Any, parents: Any, n_nodes: int) -> str:
    if n_nodes == 0:
        return "no nodes"
    if np.any(children <= parents) or np.any(children >= n_nodes):
        return "a child that does not come after its parent, or does not exist"
    return ""


def _width_problem(found: int, expected: int) -> str:
    return f"{found} features inside, {expected} outside" if found != expected else ""


def _leaves(indices: Any, length: int) -> bool:
    return bool(np.any(indices < 0) or np.any(indices >= length))
