"""The uploaded files of a training: their heads are checked here, their rows by a worker."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from api.services.job_files import refusing_file_id
from api.services.table_headers import (
    csv_findings,
    csv_header,
    feature_findings,
    missing_column_at,
    names_in_ndjson,
    ndjson_keys,
)
from queuecast.domain.columns.extra_columns import ExtraColumns, IgnoredColumns
from queuecast.domain.columns.outside_columns import columns_outside
from queuecast.domain.columns.roles import ColumnRoles
from queuecast.domain.errors import Finding, InvalidInputError, mismatch, short_name
from queuecast.domain.file_formats import FileFormat, training_format
from queuecast.domain.findings.bounds import list_names
from queuecast.domain.holdout import rule_for
from queuecast.domain.model import Manifest
from queuecast.domain.signature import Layout
from queuecast.domain.work import AcceptedFile
from queuecast.ports.files import FileStore, StoredFile
from queuecast.tables.column_names import columns_refused, ignored_columns, missing_column


@dataclass(frozen=True, slots=True)
class NeededColumns:
    """The columns that a training reads besides the features. outside: columns by which the rows are split and which
    the model does not have. optional: such columns of an evaluation, which can do without them."""

    target: tuple[str, ...]
    roles: ColumnRoles
    outside: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @classmethod
    def of(cls, manifest: Manifest, target: tuple[str, ...], roles: ColumnRoles) -> "NeededColumns":
        """Raises InvalidInputError for a target that has another role too, for roles that exclude each other, and for a
        classifier without a target."""
        if not target and manifest.classes is not None:
            known = f" ({list_names(manifest.target)})" if manifest.target else ""
            detail = f"the champion is a classifier, which learns from a target{known}; the request names none"
            raise InvalidInputError(detail, (Finding("/target", "missing_target", detail),))
        for field, name in roles.by_field.items():
            if name in target:
                short = short_name(name)
                detail = f"{short!r} is the target, which has no other role"
                raise InvalidInputError(detail, (Finding(f"/{field}", "is_target", detail, column=short),))
        if roles.group is not None and roles.time is not None:
            detail = "a split by time takes groups apart; name either group_column or time_column"
            raise InvalidInputError(detail, (Finding("/group_column", "invalid", detail),))
        rule = rule_for(manifest.holdout, roles)
        return cls(target, roles, columns_outside(rule.columns, manifest.signature))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.target, *self.roles.names, *self.outside, *self.optional]))


class NamesFiles(Protocol):
    """A request with one file or several."""

    file_id: str | None
    file_ids: list[str] | None


def named_files(body: NamesFiles) -> list[str]:
    """Raises InvalidInputError for a request that names no file, or one file and several."""
    if (body.file_id is None) == (body.file_ids is None):
        found = "neither" if body.file_id is None else "both"
        finding = mismatch("/file_id", "invalid", found, "one of file_id and file_ids")
        raise InvalidInputError(f"/file_id: {finding.detail}", (finding,))
    return [body.file_id] if body.file_id is not None else list(body.file_ids or ())


def require_short(target: str | list[str]) -> None:
    """Redis holds the names until the job ends, and only a worker can compare them with a Parquet file."""
    max_chars = 128 * 1024
    n_chars = sum(map(len, target))
    if n_chars > max_chars:
        finding = mismatch("/target", "too_long", f"names of {n_chars} characters", f"at most {max_chars}")
        raise InvalidInputError(finding.detail, (finding,))


def accepted_files(
    files: FileStore, ids: Sequence[str], manifest: Manifest, needed: NeededColumns, choice: ExtraColumns
) -> tuple[list[AcceptedFile], IgnoredColumns | None]:
    """The files, and their columns that the model lacks. A worker finds those of Parquet.

    Raises InvalidInputError for a file that does not exist, and for one that lacks a column.
    """
    accepted: list[AcceptedFile] = []
    ignored: IgnoredColumns | None = None
    for at, file_id in enumerate(ids):
        with _naming(at, len(ids)), refusing_file_id():
            stored = files.stat(file_id)
            path = files.path(stored.id)
        with _naming(at, len(ids), stored):
            found = _ignored(path, training_format(stored.name, stored.media_type), manifest, needed, choice)
        accepted.append(AcceptedFile(stored.id, stored.sha256))
        ignored = found if ignored is None else ignored.joined(found)
    return accepted, ignored


@contextmanager
def _naming(at: int, n_files: int, stored: StoredFile | None = None) -> Iterator[None]:
    """The refusal of one of several files points at it and begins with its name."""
    try:
        yield
    except InvalidInputError as error:
        if n_files == 1:
            raise
        findings = [
            replace(each, pointer=f"/file_ids/{at}") if each.pointer == "/file_id" else each for each in error.findings
        ]
        name = f"file {at + 1}" if stored is None or not stored.name else short_name(stored.name)
        raise InvalidInputError(
            f"{name}: {error.detail}", tuple(findings), code=error.code, total=error.total
        ) from None


def _ignored(
    path: Path, table_format: FileFormat, manifest: Manifest, needed: NeededColumns, choice: ExtraColumns
) -> IgnoredColumns | None:
    header = _header(path, table_format)
    is_csv = table_format is FileFormat.CSV
    names = header if header is None or is_csv else names_in_ndjson(path)
    _require_columns(header, names, manifest, needed, is_csv=is_csv)
    return ignored_columns(names or [], manifest.signature, choice, needed.names, "/file_id")


def _require_columns(
    header: list[str] | None, names: list[str] | None, manifest: Manifest, needed: NeededColumns, *, is_csv: bool
) -> None:
    """Raises InvalidInputError for a file without the columns. header: None if only a worker can read it."""
    signature = manifest.signature
    columns = signature.objects.keys if signature.layout is Layout.OBJECT else signature.read_columns
    features = [column.name for column in columns]
    if header is None:
        header = names = [*features, *needed.names]
    find = csv_findings if is_csv else feature_findings
    findings = [*_target_findings(header, features, needed.target), *_role_findings(names or header, manifest, needed)]
    findings += find(header, signature, needed.names)
    if findings:
        raise columns_refused(findings, header, signature)


def _target_findings(header: list[str], features: list[str], target: tuple[str, ...]) -> Iterator[Finding]:
    present, known = set(header), set(features)  # header and target may each have hundreds of thousands of names
    for name in target:
        if name not in present:
            yield missing_column_at("/target", name)
        elif name in known:
            short = short_name(name)
            yield Finding("/target", "is_feature", f"{short!r} is a column that the model takes", column=short)


def _role_findings(names: list[str], manifest: Manifest, needed: NeededColumns) -> Iterator[Finding]:
    """names: of NDJSON, those of the first rows."""
    for field, name in needed.roles.by_field.items():
        if name not in names:
            yield missing_column_at(f"/{field}", name)
    for name in needed.outside:
        if name not in names and name not in needed.roles.names:
            finding = missing_column(name)
            detail = f"{finding.detail}, by which the rows of version {manifest.version} were split"
            yield replace(finding, pointer="/file_id", detail=detail)


def _header(path: Path, table_format: FileFormat) -> list[str] | None:
    """The names of the columns; None for Parquet, which only pyarrow can read."""
    if table_format is FileFormat.PARQUET:
        return None
    return ndjson_keys(path) if table_format is FileFormat.NDJSON else csv_header(path)
