"""Streams uploads to the file store, which hashes them. No upload is held in memory."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import IO, Any

import msgspec
from flask import Request, request
from werkzeug.exceptions import ClientDisconnected

from api.http.decoding import current_request, require_length, require_uncompressed, require_utf8
from api.http.middleware import WHOLE_BODY
from api.http.validation_errors import body_error, malformed_body
from queuecast.domain.errors import Finding, InvalidInputError, MalformedError, UnsupportedMediaError, mismatch
from queuecast.ports.files import FileStore, IncomingFile, StoredFile

MULTIPART = "multipart/form-data"


class StreamingRequest(Request):
    """Writes the files of a form to the file store instead of a temporary folder, which may be small.

    incoming: the files that are received and not stored yet. `Uploads` sets the store for them.
    """

    file_store: FileStore | None = None
    incoming: Sequence[IncomingFile] = ()

    def close(self) -> None:
        """Drops the files that were not stored. Flask calls this at the end of each request."""
        for incoming in self.incoming:
            incoming.drop()
        if "files" in self.__dict__:  # Werkzeug reads a form when they are first used
            super().close()

    def receive_file(self) -> IncomingFile:
        if self.file_store is None:
            raise TypeError(f"{self.path} takes no files")
        incoming = self.file_store.receive()
        self.incoming = [*self.incoming, incoming]
        return incoming

    def mark_stored(self, stored: IncomingFile) -> None:
        self.incoming = [incoming for incoming in self.incoming if incoming is not stored]

    def get_data(self, *args: Any, **options: Any) -> Any:
        """A body that the middleware has read is not read again through Werkzeug's stream (docs/performance.md)."""
        body = None if args or options else self.environ.get(WHOLE_BODY)
        return super().get_data(*args, **options) if body is None else body

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        return self.receive_file().stream


class Uploads:
    """The files of the current request."""

    def __init__(self, files: FileStore, max_upload_bytes: int) -> None:
        self._files = files
        self._max_upload_bytes = max_upload_bytes

    def _request(self) -> StreamingRequest:
        current = current_request()
        if not isinstance(current, StreamingRequest):
            raise TypeError(f"the application's requests are {type(current).__name__}, expected StreamingRequest")
        current.file_store = self._files
        return current

    def form(self) -> dict[str, Any]:
        """The parts of a form: files as FileStorage, fields as text. Raises MalformedError for a truncated form."""
        require_uncompressed()
        length = require_length(request.content_length, self._max_upload_bytes)
        if request.mimetype != MULTIPART:
            raise UnsupportedMediaError(f"Content-Type is {request.mimetype or 'missing'}, expected {MULTIPART}")
        self._request()  # takes the files
        try:
            return {**request.form.to_dict(), **request.files.to_dict()}
        except ClientDisconnected as error:
            raise _truncated(length) from error

    def keep(self, part: Any) -> StoredFile:
        """Stores a file of the form. part: its FileStorage."""
        require_utf8(part.mimetype_params)
        incoming = next(incoming for incoming in self._request().incoming if incoming.stream is part.stream)
        return self._store(incoming, part.filename or "", part.mimetype, part.headers.get("Content-Digest", ""))

    def raw(self) -> StoredFile:
        """Stores the body, which is the file itself."""
        require_uncompressed()
        require_utf8(request.mimetype_params)
        length = require_length(request.content_length, self._max_upload_bytes)
        incoming = self._request().receive_file()
        try:
            while chunk := request.stream.read(256 * 1024):
                incoming.stream.write(chunk)
        except ClientDisconnected as error:
            raise _truncated(length) from error
        digest = request.headers.get("Content-Digest", "")
        return self._store(incoming, request.args.get("name", ""), request.mimetype, digest)

    def _store(self, incoming: IncomingFile, name: str, media_type: str, digest: str) -> StoredFile:
        """digest: the Content-Digest of the body or of the form's part, not of the whole form."""
        query_name = request.args.get("name", "")  # a form does not use it, but it has the same bound
        for what, text in (("name", name), ("name", query_name), ("media type", media_type)):
            if len(text) > 255:
                finding = mismatch("/name", "too_long", f"{len(text)} characters", "at most 255")
                raise InvalidInputError(f"the {what} of the file: {finding.detail}", (finding,))
        stored = incoming.keep(name, media_type)
        self._request().mark_stored(incoming)
        try:
            _require_digest(stored, digest)
        except InvalidInputError:
            self._files.delete(stored.id)
            raise
        return stored


def _truncated(length: int) -> MalformedError:
    return MalformedError(f"the upload was cut short: fewer than {length} bytes arrived")


def _require_digest(stored: StoredFile, digest: str) -> None:
    """Checks the sha-256 of `Content-Digest` (RFC 9530); other algorithms are ignored."""
    for part in digest.split(","):
        algorithm, _, value = part.strip().partition("=")
        if algorithm.lower() != "sha-256":
            continue
        expected = base64.b64encode(bytes.fromhex(stored.sha256)).decode()
        if value.strip(":") != expected:
            raise InvalidInputError(
                f"Content-Digest says sha-256 {value}, the bytes that arrived have :{expected}:", code="digest_mismatch"
            )


def form_files(form: dict[str, Any], *names: str) -> list[Any]:
    """The files of these fields, as FileStorage. Raises InvalidInputError with a pointer to a field without a file."""
    for name in names:
        if name not in form or isinstance(form[name], str):
            found = "text" if name in form else "no field"
            detail = f"the form has no file {name!r}, expected {' and '.join(map(repr, names))}"
            raise InvalidInputError(detail, (Finding(f"/{name}", "missing", detail, found, "a file"),))
    return [form[name] for name in names]


def decode_form_field(kind: type[Any], text: str, name: str) -> Any:
    """A form field that holds JSON. Raises InvalidInputError with a pointer to the field."""
    data = text.encode("utf-8", "replace")
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        (finding,) = body_error(error, kind, data).findings
        place = f"{finding.pointer}: " if finding.pointer else ""
        detail = f"the field {name!r} is invalid: {place}{finding.detail}"
        raise InvalidInputError(
            detail, (replace(finding, pointer=f"/{name}{finding.pointer}", detail=detail),)
        ) from None
    except (msgspec.DecodeError, RecursionError) as error:
        detail = malformed_body(error, data, f"the field {name!r}").detail
        raise InvalidInputError(detail, (Finding(f"/{name}", "malformed", detail),)) from None
