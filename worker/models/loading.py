"""Loads estimators from model files that may be forged, and keeps them for the process.

Each check comes before the step that it protects: the sha256 before any byte is parsed, the size of the archive before
it is unpacked, every type against a reviewed list before an object is made, the arrays of compiled parts before they
are used, the answers to the golden rows before any job gets one.
"""

import hashlib
import platform
import warnings
import zipfile
from collections import OrderedDict
from dataclasses import dataclass, field
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
from worker.models.golden_rows import read_golden, require_golden_answers
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


@dataclass(slots=True)
class _Loaded:
    estimator: Any
    size_bytes: int
    answered: set[tuple[str, int]] = field(default_factory=set)
    """The versions with these bytes whose golden rows it answered."""


class EstimatorCache:
    """Loads each version once in a process, on its first use, and checks its golden rows. Not for several threads."""

    def __init__(self, models: ModelRegistry, max_bytes: int = 512 * 2**20) -> None:
        """max_bytes: of all loaded estimators; the least recently used go first, and a larger one stays alone."""
        self._models = models
        self._max_bytes = max_bytes
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()
        self._versions: dict[str, list[int]] = {}
        self.refused: set[str] = set()
        """Models with a version that could not be loaded. `ChampionFollower` looks into them."""

    def versions(self) -> dict[str, list[int]]:
        """Model -> its versions that are loaded. Any thread may ask."""
        return self._versions

    def load(self, manifest: Manifest) -> Any:
        """Raises ModelRefusedError if the bytes are not those of the manifest, or do not answer their golden rows."""
        loaded = self._loaded.get(manifest.sha256)
        if loaded is None or (manifest.model, manifest.version) not in loaded.answered:
            try:
                loaded = self._checked(manifest, loaded)
            except Exception:
                self.refused.add(manifest.model)
                raise
            finally:
                self._versions = self._list_versions()
        self._loaded.move_to_end(manifest.sha256)
        return loaded.estimator

    def _checked(self, manifest: Manifest, loaded: _Loaded | None) -> _Loaded:
        """loaded: the estimator of another version with the same bytes."""
        if loaded is None:
            data = self._models.file(manifest.model, manifest.version, MODEL_FILE)
            require_sha256(data, manifest.sha256, f"model {manifest.model} version {manifest.version}")
            size_bytes = unpacked_bytes(data)
            self._make_room(size_bytes)  # before the load, which has the file in memory as well
            loaded = _Loaded(load_estimator(data), size_bytes)
        golden = read_golden(self._models, manifest)
        if golden is not None:
            require_golden_answers(loaded.estimator, manifest, golden)
        loaded.answered.add((manifest.model, manifest.version))
        self._loaded[manifest.sha256] = loaded
        return loaded

    def _list_versions(self) -> dict[str, list[int]]:
        versions: dict[str, list[int]] = {}
        for model, version in sorted(each for loaded in self._loaded.values() for each in loaded.answered):
            versions.setdefault(model, []).append(version)
        return versions

    def _make_room(self, needed_bytes: int) -> None:
        kept_bytes = sum(loaded.size_bytes for loaded in self._loaded.values())
        while self._loaded and kept_bytes + needed_bytes > self._max_bytes:
            _, loaded = self._loaded.popitem(last=False)
            kept_bytes -= loaded.size_bytes


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def require_sha256(data: bytes, expected: str, what: str) -> None:
    found = sha256_of(data)
    if found != expected:
        raise ModelRefusedError(f"{what} has sha256 {found}, expected {expected}", code="checksum_mismatch")
