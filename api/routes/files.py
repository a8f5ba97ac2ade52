"""`/v1/files`: upload, read and delete files."""

from flask import Blueprint, Response, request

from api.documents import Documents
from api.http.incoming_files import MULTIPART, Uploads
from api.http.json_response import JsonResponse
from api.http.rendering import empty_response, file_body, json_response
from api.schemas.requests import UploadForm
from api.schemas.responses import FileBody, Problem
from queuecast.domain.errors import Finding, InvalidInputError, UnsupportedMediaError
from queuecast.ports.files import FileStore, StoredFile


def files_blueprint(files: FileStore, uploads: Uploads, documents: Documents) -> Blueprint:
    blueprint = Blueprint("files", __name__, url_prefix="/v1/files")

    @blueprint.post("")
    @documents.route(
        tag="files",
        form=UploadForm,
        answers={201: FileBody, **dict.fromkeys((400, 411, 413, 415, 422, 503), Problem)},
    )
    def upload() -> JsonResponse:
        """Upload a file

        A form with the field `file`, or the file itself as the body with its media type. Needs a Content-Length;
        a `Content-Digest: sha-256=:...:` is checked.
        """
        stored = _form_file(uploads) if request.mimetype == MULTIPART else _raw_file(uploads)
        return json_response(file_body(stored), 201, {"Location": f"/v1/files/{stored.id}"})

    @blueprint.get("/<file_id>")
    @documents.route(tag="files", answers={200: FileBody, 404: Problem})
    def read(file_id: str) -> JsonResponse:
        """Read what is known of a file"""
        return json_response(file_body(files.stat(file_id)))

    @blueprint.delete("/<file_id>")
    @documents.route(tag="files", answers={204: None, 404: Problem})
    def delete(file_id: str) -> Response:
        """Delete a file"""
        files.delete(file_id)
        return empty_response(204)

    return blueprint


def _form_file(uploads: Uploads) -> StoredFile:
    part = uploads.form().get("file")
    if part is None or isinstance(part, str):
        raise InvalidInputError("the form has no file field 'file'", (Finding("/file", "missing", "expected a file"),))
    return uploads.keep(part)


def _raw_file(uploads: Uploads) -> StoredFile:
    if not request.mimetype or request.mimetype == "application/x-www-form-urlencoded":
        raise UnsupportedMediaError(
            f"Content-Type is {request.mimetype or 'missing'}; expected the file's own (text/csv) or {MULTIPART}"
        )
    return uploads.raw()
