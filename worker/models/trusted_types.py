"""The types that a model file may name beyond those skops trusts by itself. Reviewed, and constant on purpose:
passing `get_untrusted_types()` straight back to skops would be `pickle.load` with a longer name.

Everything here is a plain container of numbers, a pure function of arrays, or compiled code that reads arrays from
the file. The last kind (trees) can crash the process when its indices are forged; `worker.models.tree_checks` checks
them first.
"""

from sklearn.gaussian_process import kernels
from sklearn.metrics import _dist_metrics, get_scorer, get_scorer_names
from sklearn.model_selection import _split

_NAMED = (
    # Compiled trees: checked by worker.models.tree_checks before they are used.
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._ball_tree.BallTree",
    # Fitted parts of estimators: attributes only.
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.cluster._bisect_k_means._BisectingTree",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.multiclass._ConstantPredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    "scipy.interpolate._bsplines.BSpline",
    "scipy.sparse._csr.csr_matrix",
    "numpy.dtype",
    # Functions of arrays. `functools.partial` binds arguments to a function that must be listed itself.
    "functools.partial",
    "numpy.mean",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "sklearn.cluster._kmeans._kmeans_single_lloyd",
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._mutual_info.mutual_info_regression",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.utils.validation.check_array",
)


def _full_name(thing: object) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"


def _families() -> set[str]:
    """Gaussian process kernels, distance metrics, splitters, and the functions behind scikit-learn's scorers."""
    kernel_names = {_full_name(getattr(kernels, name)) for name in dir(kernels) if name[0].isupper()}
    # Not PyFuncDistance: it calls a function that the file names.
    metrics = {
        _full_name(each)
        for name, each in vars(_dist_metrics).items()
        if name.endswith(("64", "32")) and "PyFunc" not in name
    }
    splitters = {_full_name(getattr(_split, name)) for name in _split.__all__ if name[0].isupper()}
    scorers = {_full_name(get_scorer(name)._score_func) for name in get_scorer_names()}
    families = kernel_names | metrics | splitters | scorers
    return {name for name in families if name.startswith("sklearn.")}


TRUSTED_TYPES: tuple[str, ...] = tuple(sorted({*_NAMED, *_families()}))
