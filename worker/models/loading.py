"""Estimators from model files, safely, and each loaded once a process.

Safely: the sha256 is checked before any byte is parsed, the archive's size before it is unpacked, every type against
a reviewed list before it is made, and compiled trees before they are used.
"""

import hashlib
import io
import platform
import warnings
import zipfile
import zlib
from collections import OrderedDict
from importlib.metadata import version as installed_version
from typing import Any

import skops.io
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from queuecast.domain.errors import ModelRefusedError, raised
from queuecast.domain.model import Manifest
from queuecast.ports.models import ModelRegistry
from worker.models.tree_checks import parts_of, require_sound_trees
from worker.models.trusted_types import TRUSTED_TYPES

MODEL_FILE = "model.skops"
MAX_ENTRIES = 20_000  # one an array; a forest of 1,000 trees has some 4,000
MAX_UNPACKED_BYTES = 4 * 2**30
MAX_RATIO = 200  # unpacked to packed; skops stores arrays uncompressed, so real files are near 1
UNPACKED_PIECE_BYTES = 2**20


def load_estimator(data: bytes) -> Any:
    """Raises ModelRefusedError, saying why, for whatever is not a sound skops file of trusted types."""
    _require_sane_archive(data)
    try:
        untrusted = [name for name in skops.io.get_untrusted_types(data=data) if name not in TRUSTED_TYPES]
        if untrusted:
            raise ModelRefusedError(
                f"the model holds types that are not trusted: {', '.join(sorted(untrusted)[:10])}. Functions and "
                "classes of your own cannot be loaded here; scikit-learn's own estimators and functions can",
                code="untrusted_types",
            )
        with warnings.catch_warnings():
            warnings.simplefilter("error", InconsistentVersionWarning)
            estimator = skops.io.loads(data, trusted=list(TRUSTED_TYPES))
    except InconsistentVersionWarning as warning:
        raise ModelRefusedError(
            f"{warning.estimator_name} was fitted with scikit-learn {warning.original_sklearn_version}, this worker "
            f"has {warning.current_sklearn_version}; fit it again with that version",
            code="version_mismatch",
        ) from None
    except ModelRefusedError:
        raise
    except Exception as error:  # skops raises whatever the forged or broken part makes it raise
        raise ModelRefusedError(f"the model file cannot be read: {raised(error)}") from error
    require_sound_trees(estimator)
    reset_n_jobs(estimator)
    return estimator


def dump_estimator(estimator: Any) -> bytes:
    """Raises ModelRefusedError for an estimator that skops cannot write."""
    try:
        data: bytes = skops.io.dumps(estimator)
    except Exception as error:
        raise ModelRefusedError(f"the estimator cannot be saved: {error}") from error
    return data


def environment() -> dict[str, str]:
    """The versions of Python and the packages in this process."""
    names = {"sklearn": "scikit-learn", "numpy": "numpy", "pandas": "pandas", "skops": "skops"}
    return {"python": platform.python_version()} | {key: installed_version(name) for key, name in names.items()}


class EstimatorCache:
    """One estimator a version and process, loaded when first asked for. Not for use by several threads."""

    def __init__(self, models: ModelRegistry, max_bytes: int = 512 * 2**20) -> None:
        """max_bytes: of all loaded estimators; the least recently used go first, and a larger one stays alone."""
        self._models = models
        self._max_bytes = max_bytes
        self._loaded: OrderedDict[str, tuple[Any, int]] = OrderedDict()

    def of(self, manifest: Manifest) -> Any:
        """Raises ModelRefusedError when the bytes are not those that the manifest describes."""
        if manifest.sha256 not in self._loaded:
            data = self._models.file(manifest.model, manifest.version, MODEL_FILE)
            require_sha256(data, manifest.sha256, f"model {manifest.model} version {manifest.version}")
            size_bytes = loaded_size(data)
            self._make_room(size_bytes)  # before: while it is loaded, its file is in memory as well
            self._loaded[manifest.sha256] = load_estimator(data), size_bytes
        self._loaded.move_to_end(manifest.sha256)
        return self._loaded[manifest.sha256][0]

    def _make_room(self, wanted_bytes: int) -> None:
        kept_bytes = sum(size_bytes for _, size_bytes in self._loaded.values())
        while self._loaded and kept_bytes + wanted_bytes > self._max_bytes:
            _, (_, size_bytes) = self._loaded.popitem(last=False)
            kept_bytes -= size_bytes


def loaded_size(data: bytes) -> int:
    """About how many bytes a skops file's estimator takes in memory: what its archive unpacks to.

    skops stores arrays as they are, so they count exactly, and trees too, which are in no attribute that could be
    asked. The rest is JSON: 0.05 to 0.9 MB of objects a MB. Measured growth of a process against this: forest of deep
    trees 8.5 of 9.8 MB, of flat ones 5.4 of 11.2, neighbors 1.34 of 1.35, network 8.4 of 8.4, pipeline 0.02 of 0.12.
    Raises ModelRefusedError for what is no archive.
    """
    return sum(entry.file_size for entry in _archive(data).infolist())


def require_sha256(data: bytes, expected: str, what: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise ModelRefusedError(f"{what} has sha256 {found}, expected {expected}", code="checksum_mismatch")


def _archive(data: bytes) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as error:
        raise ModelRefusedError(f"the model file is not a skops file: {error}") from None


def _require_sane_archive(data: bytes) -> None:
    archive = _archive(data)
    entries = archive.infolist()
    unpacked = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_ENTRIES or unpacked > min(MAX_UNPACKED_BYTES, MAX_RATIO * len(data)):
        raise ModelRefusedError(
            f"the model file unpacks to {len(entries)} entries of {unpacked} bytes from {len(data)}; expected at most "
            f"{MAX_ENTRIES} entries, {MAX_UNPACKED_BYTES} bytes and {MAX_RATIO} times its size"
        )
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED:
            _require_true_size(archive, entry)


def _require_true_size(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """An entry that unpacks to more than it says ends at that size with a wrong checksum, if it is read in pieces.

    Read at once, as skops reads it, it would be unpacked whole before it is cut.
    """
    try:
        with archive.open(entry) as part:
            while part.read(UNPACKED_PIECE_BYTES):
                pass
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelRefusedError(f"the model file cannot be unpacked: {error}") from None


def reset_n_jobs(estimator: Any) -> None:
    """n_jobs=-1 in a worker would start a process or thread a core in each of its processes.

    None is 1 in a prediction and as many as `worker.trainings.threads` says in a fit. Fitted parts count too: a forest
    inside a search has a copy of the parameter of its own.
    """
    for part in parts_of(estimator):
        if isinstance(part, BaseEstimator) and vars(part).get("n_jobs") is not None:
            part.n_jobs = None
