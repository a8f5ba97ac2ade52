"""Loads estimators from model files that may be forged, and keeps them for the process.

Each check comes before the step that it protects: the sha256 before any byte is parsed, the size of the archive before
it is unpacked, every type against a reviewed list before an object is made, the arrays of compiled parts before they
are used.
"""

import hashlib
import platform
import warnings
import zipfile
from collections import OrderedDict
from importlib.metadata import version as installed_version
from typing import Any, NoReturn

from sklearn.exceptions import InconsistentVersionWarning
from skops.io._audit import get_tree  # skops is pinned; it has no public way to list and load in one pass
from skops.io._utils import read_schema

from queuecast.domain.errors import ModelRefusedError, exception_text
from queuecast.domain.model import Manifest
from queuecast.estimators.trusted_types import TRUSTED_TYPES
from queuecast.ports.models import ModelRegistry
from queuecast.skops_files import skops_bytes
from worker.models.distributions import with_distributions
from worker.models.file_checks.archive_checks import MeteredFile, require_sound_archive, unpacked_bytes
from worker.models.file_checks.count_checks import require_sound_schema
from worker.models.file_checks.soundness import require_sound_parts
from worker.models.machine_parameters import reset_machine_parameters

MODEL_FILE = "model.skops"


def load_estimator(data: bytes) -> Any:
    """Raises ModelRefusedError, with the reason, unless the data is a sound skops file of trusted types."""
    require_sound_archive(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", InconsistentVersionWarning)
            estimator = with_distributions(_read(data))
    except InconsistentVersionWarning as warning:
        raise ModelRefusedError(
            f"{warning.estimator_name} was fitted with scikit-learn {warning.original_sklearn_version}, this worker "
            f"has {warning.current_sklearn_version}; fit it again with that version",
            code="version_mismatch",
        ) from None
    except ModelRefusedError:
        raise
    except Exception as error:  # skops raises whatever the forged or broken part makes it raise
        raise ModelRefusedError(f"the model file cannot be read: {exception_text(error)}") from error
    require_sound_parts(estimator)
    reset_machine_parameters(estimator)
    return estimator


def _read(data: bytes) -> Any:
    """What `get_untrusted_types` and `loads` of skops do, in one pass over the file: each of them takes seconds for
    22,000 arrays. Nothing is made before all names are known to be trusted.
    """
    with zipfile.ZipFile(MeteredFile(data)) as archive:
        schema, context = read_schema(archive)
        require_sound_schema(schema)
        tree = get_tree(schema, context, trusted=None)
        untrusted = tree.get_unsafe_set() - TRUSTED_TYPES
        if untrusted:
            _refuse_types(sorted(untrusted))
        return tree.construct()


def _refuse_types(names: list[str]) -> NoReturn:
    own = {"__main__", "builtins", "functools", "numpy", "scipy", "sklearn"}
    packages = sorted({name.partition(".")[0] for name in names} - own)
    third = f" The {'package' if len(packages) == 1 else 'packages'} {', '.join(packages)} cannot be served yet."
    raise ModelRefusedError(
        f"the model holds types that are not trusted: {', '.join(names[:10])}.{third if packages else ''} Functions "
        "and classes of your own cannot be loaded here; scikit-learn's own estimators and functions can",
        code="untrusted_types",
    )


def dump_estimator(estimator: Any) -> bytes:
    """Raises ModelRefusedError for an estimator that skops cannot write."""
    try:
        return skops_bytes(estimator)
    except Exception as error:
        raise ModelRefusedError(f"the estimator cannot be saved: {error}") from error


def environment() -> dict[str, str]:
    """The versions of Python and the packages in this process."""
    names = {"sklearn": "scikit-learn", "numpy": "numpy", "pandas": "pandas", "skops": "skops"}
    return {"python": platform.python_version()} | {key: installed_version(name) for key, name in names.items()}


class EstimatorCache:
    """Loads each version once in a process, on its first use. Not for use by several threads."""

    def __init__(self, models: ModelRegistry, max_bytes: int = 512 * 2**20) -> None:
        """max_bytes: of all loaded estimators; the least recently used go first, and a larger one stays alone."""
        self._models = models
        self._max_bytes = max_bytes
        self._loaded: OrderedDict[str, tuple[Any, int]] = OrderedDict()

    def load(self, manifest: Manifest) -> Any:
        """Raises ModelRefusedError if the bytes are not those of the manifest."""
        if manifest.sha256 not in self._loaded:
            data = self._models.file(manifest.model, manifest.version, MODEL_FILE)
            require_sha256(data, manifest.sha256, f"model {manifest.model} version {manifest.version}")
            size_bytes = unpacked_bytes(data)
            self._make_room(size_bytes)  # before the load, which has the file in memory as well
            self._loaded[manifest.sha256] = load_estimator(data), size_bytes
        self._loaded.move_to_end(manifest.sha256)
        return self._loaded[manifest.sha256][0]

    def _make_room(self, needed_bytes: int) -> None:
        kept_bytes = sum(size_bytes for _, size_bytes in self._loaded.values())
        while self._loaded and kept_bytes + needed_bytes > self._max_bytes:
            _, (_, size_bytes) = self._loaded.popitem(last=False)
            kept_bytes -= size_bytes


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def require_sha256(data: bytes, expected: str, what: str) -> None:
    found = sha256_of(data)
    if found != expected:
        raise ModelRefusedError(f"{what} has sha256 {found}, expected {expected}", code="checksum_mismatch")
