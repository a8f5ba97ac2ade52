"""`/v1/files`: uploads, written to the file store as they arrive and hashed on the way, never held in memory."""

import base64
from typing import IO, Any

import msgspec
from flask import Request, g, request
from werkzeug.exceptions import ClientDisconnected

from api.http.decoding import require_length, require_uncompressed
from api.http.validation_errors import misfit_words
from queuecast.domain.errors import Finding, InvalidInputError, MalformedError, UnsupportedMediaError
from queuecast.ports.files import FileStore, IncomingFile, StoredFile

CHUNK_BYTES = 256 * 1024
MULTIPART = "multipart/form-data"


class StreamingRequest(Request):
    """Puts the file parts of a form into the file store instead of a temporary folder, which may be small."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        incoming: IncomingFile = g.files.receive()
        g.incoming.append(incoming)
        return incoming.stream


class Uploads:
    """The files of the present request. What is not kept by its end is dropped (`end` sees to it)."""

    def __init__(self, files: FileStore, max_upload_bytes: int) -> None:
        self._files = files
        self._max_upload_bytes = max_upload_bytes

    def _begin(self) -> None:
        g.files, g.incoming = self._files, []

    def end(self, _error: BaseException | None = None) -> None:
        for incoming in g.pop("incoming", []):
            incoming.drop()

    def form(self) -> dict[str, Any]:
        """The parts of a form: files as FileStorage, fields as text. Raises MalformedError for one cut short."""
        require_uncompressed()
        length = require_length(request.content_length, self._max_upload_bytes)
        if request.mimetype != MULTIPART:
            raise UnsupportedMediaError(f"Content-Type is {request.mimetype or 'missing'}; expected {MULTIPART}")
        self._begin()
        try:
            return {**request.form.to_dict(), **request.files.to_dict()}
        except ClientDisconnected as error:
            raise _cut_short(length) from error

    def keep(self, part: Any) -> StoredFile:
        """part: a FileStorage of the present form."""
        incoming = next(each for each in g.incoming if each.stream is part.stream)
        return self._kept(incoming, part.filename or "", part.mimetype, part.headers.get("Content-Digest", ""))

    def raw(self) -> StoredFile:
        """A body that is the file itself."""
        require_uncompressed()
        length = require_length(request.content_length, self._max_upload_bytes)
        self._begin()
        incoming = self._files.receive()
        g.incoming.append(incoming)
        try:
            while chunk := request.stream.read(CHUNK_BYTES):
                incoming.stream.write(chunk)
        except ClientDisconnected as error:
            raise _cut_short(length) from error
        digest = request.headers.get("Content-Digest", "")
        return self._kept(incoming, request.args.get("name", ""), request.mimetype, digest)

    def _kept(self, incoming: IncomingFile, name: str, media_type: str, digest: str) -> StoredFile:
        """digest: the Content-Digest of the body or part that the file is; a form's own covers the whole form."""
        stored = incoming.keep(name, media_type)
        g.incoming.remove(incoming)
        try:
            _require_digest(stored, digest)
        except InvalidInputError:
            self._files.delete(stored.id)
            raise
        return stored


def _cut_short(length: int) -> MalformedError:
    return MalformedError(f"the upload was cut short: fewer than {length} bytes arrived")


def _require_digest(stored: StoredFile, digest: str) -> None:
    """Checks `Content-Digest` (RFC 9530) where it has a sha-256; other algorithms are not looked at."""
    for part in digest.split(","):
        algorithm, _, value = part.strip().partition("=")
        if algorithm.lower() != "sha-256":
            continue
        expected = base64.b64encode(bytes.fromhex(stored.sha256)).decode()
        if value.strip(":") != expected:
            raise InvalidInputError(
                f"Content-Digest says sha-256 {value}, the bytes that arrived have :{expected}:", code="digest_mismatch"
            )


def decode_form_field(kind: type[Any], text: str, name: str) -> Any:
    """A form field that holds JSON. Raises InvalidInputError with a pointer to the field."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        words = misfit_words(error, kind, text.encode()) if isinstance(error, msgspec.ValidationError) else error
        detail = f"the field {name!r} does not fit: {words}"
        raise InvalidInputError(detail, (Finding(f"/{name}", "invalid", detail),)) from None
