"""The types and functions that a model file may name beyond those that skops trusts by itself.

**What trust means.** A model file can do two things with a trusted name. It can make an object and set its attributes
to values of the file's choice. And it can call the name with arguments of its choice, when the file is loaded (skops'
ConstructorFromReduceNode and ReduceNode) and later (FunctionTransformer, functools.partial). So a name is trusted only
if no arguments and no attributes make it open a file or a host, run a command, evaluate text, or look a function up by
a name from the file. `get_untrusted_types()` is never passed back to skops unread: that would be `pickle.load`.

**The rule.** The names come from scikit-learn's own lists, so a new version brings its new names:

- estimators: `all_estimators()`, with the experimental ones; kernels, splitters, scorers' functions, distances;
- functions: `all_functions()`, of the rooms that compute with arrays (`_ARRAY_ROOMS`);
- numpy's functions of arrays, which numpy dispatches on the type of an array. skops trusts the ufuncs.

`refusal_of` says of every other function why not. The main reason is a parameter that names a path, a command or a
function (`_UNSAFE_PARAMETERS`). scikit-learn's functions that take a `metric` or `kernel` as a function stay: the file
can pass only functions that are trusted themselves.

**Never trusted, on purpose:** distributions of scipy.stats (their state holds source code for `exec`),
`PyFuncDistance`, joblib.Memory, `numpy.load`, `save` and their like, `sklearn.datasets`.

Compiled parts (trees, support vectors) can crash the process when their numbers are forged;
`worker.models.file_checks.tree_checks` and `worker.models.file_checks.array_checks` check them first.
"""

import inspect
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401 - fills the lists
from sklearn.gaussian_process import kernels
from sklearn.metrics import _dist_metrics, get_scorer, get_scorer_names
from sklearn.model_selection import _split
from sklearn.utils.discovery import all_estimators, all_functions

_NAMED = (
    # Compiled trees: checked by worker.models.file_checks.tree_checks before they are used.
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._ball_tree.BallTree",
    # Fitted parts of estimators: attributes only.
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.cluster._bisect_k_means._BisectingTree",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.impute._iterative._ImputerTriplet",
    "sklearn.multiclass._ConstantPredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._MultimetricScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    "scipy.interpolate._bsplines.BSpline",
    "scipy.sparse._csr.csr_matrix",
    "scipy.sparse._csc.csc_matrix",
    "scipy.sparse._csr.csr_array",
    "scipy.sparse._csc.csc_array",
    "numpy.dtype",
    # Selects columns by dtype or by a pattern. Its dtypes may be abstract ones.
    "sklearn.compose._column_transformer.make_column_selector",
    # Values that an encoder has learned. They compute nothing but themselves.
    *(f"datetime.{name}" for name in ("date", "datetime", "time", "timedelta", "timezone")),
    "decimal.Decimal",
    "builtins.object",
    *(f"numpy.{name}" for name in ("generic", "number", "integer", "signedinteger", "unsignedinteger")),
    *(f"numpy.{name}" for name in ("inexact", "floating", "complexfloating", "flexible", "character")),
    # Functions of arrays. `functools.partial` binds arguments to a function that must be listed itself.
    "functools.partial",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "sklearn.cluster._kmeans._kmeans_single_lloyd",
    "sklearn.utils.validation.check_array",
)

# The packages of scikit-learn whose functions compute with arrays.
_ARRAY_ROOMS = (
    *("calibration", "cluster", "covariance", "decomposition", "feature_extraction", "feature_selection", "isotonic"),
    *("linear_model", "manifold", "metrics", "neighbors", "preprocessing", "random_projection", "svm"),
)
_OTHER_ROOMS = {
    "datasets": "opens files and hosts, or makes sample data",
    "inspection": "works on an estimator, not on rows",
    "model_selection": "works on an estimator, not on rows",
    "tree": "describes a tree; export_graphviz writes a file",
    "utils": "a tool for writing estimators",
}
# Parameters that name a file, a command, or a function or estimator to call.
_UNSAFE_PARAMETERS = {
    *("file", "filename", "fname", "path", "out_file", "data_home", "memory", "url", "command"),
    *("func", "func1d", "function", "pyfunc", "funclist", "formatter", "converters", "callback"),
    *("estimator", "estimators", "score_func", "scoring"),
}


def refusal_of(function: Any) -> str:
    """Why a function of scikit-learn or numpy is not trusted, or "" if it is."""
    package, room = (*function.__module__.split("."), "")[:2]
    if package == "sklearn" and room not in _ARRAY_ROOMS:
        return _OTHER_ROOMS.get(room, "makes or describes estimators")
    unsafe = _UNSAFE_PARAMETERS.intersection(_parameters(function))
    return f"has the parameter {', '.join(sorted(unsafe))}" if unsafe else ""


def _parameters(function: Any) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except ValueError:  # those that numpy wrote in C show none; a test names them
        return []


def functions_of_arrays() -> Iterator[Any]:
    """The trusted functions of scikit-learn and numpy."""
    yield from (function for _, function in all_functions() if not refusal_of(function))
    for namespace in (np, np.linalg, np.fft):
        yield from (function for function in dispatched_functions(namespace) if not refusal_of(function))


def dispatched_functions(namespace: ModuleType) -> Iterator[Any]:
    """The functions that numpy dispatches on the type of an array, which is its own mark for a function of arrays."""
    kind = type(np.mean)
    yield from (thing for name, thing in vars(namespace).items() if type(thing) is kind and not name.startswith("_"))


def full_name(thing: Any) -> str:
    """The name that skops writes."""
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__name__', '')}"


def _families() -> Iterator[Any]:
    yield from (estimator for _, estimator in all_estimators())
    yield from (getattr(kernels, name) for name in dir(kernels) if name[0].isupper())
    yield from (getattr(_split, name) for name in _split.__all__ if name[0].isupper())
    yield from (get_scorer(name)._score_func for name in get_scorer_names())
    for name, metric in vars(_dist_metrics).items():
        # Not PyFuncDistance: it calls a function that the file names.
        if name.endswith(("64", "32")) and "PyFunc" not in name:
            yield metric


def _leads_back(thing: Any) -> bool:
    """Whether the name means this very object: skops looks the name up."""
    module = import_module(thing.__module__)
    return getattr(module, thing.__name__, None) is thing


def _derived() -> set[str]:
    own = [each for each in _families() if full_name(each).startswith("sklearn.")]
    return {full_name(thing) for thing in (*own, *functions_of_arrays()) if _leads_back(thing)}


TRUSTED_TYPES: frozenset[str] = frozenset({*_NAMED, *_derived()})
