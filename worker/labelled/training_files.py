"""The uploaded files of a training, which are read as one table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from queuecast.domain.columns.extra_columns import IgnoredColumns
from queuecast.domain.columns.outside_columns import columns_outside
from queuecast.domain.errors import Finding, InvalidInputError, short_name, shortened
from queuecast.domain.file_formats import FileFormat, training_format
from queuecast.domain.holdout import rule_for
from queuecast.domain.model import Manifest
from queuecast.domain.work import TrainingWork
from queuecast.ports.files import FileStore
from worker.file_writing import require_accepted_file
from worker.tables.file_columns import comparable_columns, ignored_in_parquet


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """name: for messages, and empty for the only file of a training."""

    path: Path
    format: FileFormat = FileFormat.CSV
    name: str = ""


def training_files(files: FileStore, work: TrainingWork) -> list[TrainingFile]:
    """In the order in which they are read. Files of the same name are told apart by their place.

    Raises UnknownFileError.
    """
    stored = [files.stat(accepted.id) for accepted in work.files]
    names = [each.name for each in stored]
    found = []
    for at, each in enumerate(stored):
        name = shortened(each.name)
        if not name or names.count(each.name) > 1:
            name = f"file {at + 1}{f' ({name})' if name else ''}"
        path, fmt = files.path(each.id), training_format(each.name, each.media_type)
        found.append(TrainingFile(path, fmt, name if len(stored) > 1 else ""))
    return found


def require_accepted_files(files: Sequence[TrainingFile], work: TrainingWork) -> None:
    """Raises InvalidInputError unless the bytes are those that the job was accepted for."""
    for file, accepted in zip(files, work.files, strict=True):
        require_accepted_file(file.path, accepted.sha256)


def named_columns(work: TrainingWork, champion: Manifest) -> tuple[str, ...]:
    """The columns besides features that the training uses or knows."""
    outside = columns_outside(rule_for(champion.holdout, work.roles).columns, champion.signature)
    return tuple(dict.fromkeys([*work.target, *work.roles.names, *outside]))


def ignored_in_files(
    files: Sequence[TrainingFile], work: TrainingWork, champion: Manifest, known: IgnoredColumns | None
) -> IgnoredColumns | None:
    """The columns that the model does not have, if a file is Parquet; the gateway has read those of other formats.

    known: those that the gateway found. Raises InvalidInputError for columns that the request refuses.
    """
    ignored = known
    others = named_columns(work, champion)
    for file in files:
        if file.format is FileFormat.PARQUET:
            found = ignored_in_parquet(file.path, champion.signature, work.extra_columns, others)
            ignored = found if ignored is None else ignored.joined(found)
    return ignored


def comparable_in_all(files: Sequence[TrainingFile], names: Sequence[str]) -> list[str]:
    """Those of the names that every file has, in a type whose values can be compared."""
    for file in files:
        names = comparable_columns(file.path, file.format, names)
    return list(names)


def require_comparable(files: Sequence[TrainingFile], names: Sequence[str]) -> None:
    """Raises InvalidInputError if a file lacks a column by which the rows are split.

    The rows of an NDJSON file show only when they are read which columns they have.
    """
    for file in files:
        if file.format is FileFormat.NDJSON:
            continue
        found = comparable_columns(file.path, file.format, names)
        for name in names:
            if name not in found:
                where = f" {file.name}" if file.name else ""
                raise lacks_split_column(name, where)


def lacks_split_column(name: str, where: str = "") -> InvalidInputError:
    """where: the name of the file, after a space."""
    short = short_name(name)
    detail = f"the file{where} has no column {short!r} with values that can be compared; the rows are split by it"
    return InvalidInputError(detail, (Finding("", "missing_column", detail, column=short),))
