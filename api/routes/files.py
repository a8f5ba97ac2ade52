"""`/v1/files`: upload, read and delete files."""

from flask import Response, request

from api.dependencies import Dependencies
from api.http.incoming_files import MULTIPART, form_files
from api.http.json_response import JsonResponse
from api.http.rendering import empty_response, file_body, json_response
from api.openapi import error_groups
from api.openapi.operations import Answer, Body, json_answer, operation, refusal
from api.openapi.response_parts import DELETE_FILE, FILE_LOCATION, READ_FILE
from api.schemas.headers import DigestHeaders
from api.schemas.requests import UploadForm, UploadQuery
from api.schemas.responses import FileInfo
from queuecast.domain.errors import (
    FilesFullError,
    InvalidInputError,
    UnknownFileError,
    UnsupportedMediaError,
)
from queuecast.ports.files import StoredFile


class FileRoutes:
    """Upload the files that batches and trainings read."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._files = dependencies.files
        self._uploads = dependencies.uploads

    @operation(
        "POST",
        "/v1/files",
        "files_upload",
        parameters=(UploadQuery, DigestHeaders),
        body=Body({MULTIPART: UploadForm, "application/octet-stream": {"type": "string", "format": "binary"}}),
        answers={201: json_answer("The file is stored.", FileInfo, (FILE_LOCATION,), (READ_FILE, DELETE_FILE))},
        refusals=(
            *error_groups.READING_A_BODY,
            InvalidInputError,
            refusal(InvalidInputError, "digest_mismatch"),
            FilesFullError,
        ),
    )
    def upload(self) -> JsonResponse:
        """Upload a file

        Send a form with the field `file`, or the file itself as the body with its media type: any will do, such as
        `text/csv`; `application/octet-stream` stands for all of them here. The request needs a `Content-Length`. A
        `Content-Digest: sha-256=:...:` is checked.
        """
        stored = self._form_file() if request.mimetype == MULTIPART else self._raw_file()
        return json_response(file_body(stored), 201, {"Location": f"/v1/files/{stored.id}"})

    @operation(
        "GET",
        "/v1/files/<file_id>",
        "files_read",
        answers={200: json_answer("The file's description.", FileInfo, links=(DELETE_FILE,))},
        refusals=(UnknownFileError,),
    )
    def read(self, file_id: str) -> JsonResponse:
        """Read a file's description

        Its name, media type, size and sha256.
        """
        return json_response(file_body(self._files.stat(file_id)))

    @operation(
        "DELETE",
        "/v1/files/<file_id>",
        "files_delete",
        answers={204: Answer("The file is deleted.")},
        refusals=(UnknownFileError,),
    )
    def delete(self, file_id: str) -> Response:
        """Delete a file

        Jobs that have not read it yet will fail.
        """
        self._files.delete(file_id)
        return empty_response(204)

    def _form_file(self) -> StoredFile:
        (part,) = form_files(self._uploads.form(), "file")
        return self._uploads.keep(part)

    def _raw_file(self) -> StoredFile:
        if not request.mimetype or request.mimetype == "application/x-www-form-urlencoded":
            raise UnsupportedMediaError(
                f"Content-Type is {request.mimetype or 'missing'}; expected the file's own (text/csv) or {MULTIPART}"
            )
        return self._uploads.raw()
