"""Uploads: hashed while they are written, invisible until they are kept, gone without a trace when dropped."""

import hashlib
from pathlib import Path

import pytest

from queuecast.adapters.ids import new_id
from queuecast.adapters.uploaded_files import UploadedFiles
from queuecast.domain.errors import UnknownFileError
from queuecast.ports import StoredFile
from tests.adapters.waits import at_once

NOW = 1_000.0


@pytest.fixture
def files(tmp_path: Path) -> UploadedFiles:
    return UploadedFiles(tmp_path, new_id, lambda: NOW)


def received(files: UploadedFiles, *chunks: bytes) -> StoredFile:
    incoming = files.receive()
    for chunk in chunks:
        incoming.stream.write(chunk)
    return incoming.keep("rows.csv", "text/csv")


@pytest.mark.parametrize(
    "chunks",
    [[], [b""], [b"a"], [b"a,b\n", b"1,2\n"], [bytes(range(256)) * 5000, b"end"], [b"x"] * 1000],
    ids=["nothing", "empty", "one byte", "two", "large", "many"],
)
def test_a_kept_file_has_the_bytes_their_number_and_their_sha256(files: UploadedFiles, chunks: list[bytes]) -> None:
    stored = received(files, *chunks)

    whole = b"".join(chunks)
    assert files.path(stored.id).read_bytes() == whole
    assert (stored.size_bytes, stored.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_bytes_can_be_written(files: UploadedFiles, kind: type) -> None:
    stored = received(files, kind(b"a,b\n"), kind(b"1,2\n"))

    assert (files.path(stored.id).read_bytes(), stored.size_bytes) == (b"a,b\n1,2\n", 8)


def test_what_is_known_of_a_file_can_be_asked_for(files: UploadedFiles) -> None:
    stored = received(files, b"a")

    assert files.stat(stored.id) == stored
    assert (stored.name, stored.media_type, stored.created_at) == ("rows.csv", "text/csv", NOW)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a/b", "Zoë.csv", "x" * 1000, "\x00"])
def test_a_files_own_name_is_kept_and_never_used_as_a_path(files: UploadedFiles, tmp_path: Path, name: str) -> None:
    stored = files.receive().keep(name, "text/csv")

    assert files.stat(stored.id).name == name
    assert [path.name for path in tmp_path.iterdir()] == [stored.id]


def test_a_file_is_invisible_until_it_is_kept(files: UploadedFiles, tmp_path: Path) -> None:
    incoming = files.receive()
    incoming.stream.write(b"half")
    (name,) = [path.name for path in tmp_path.iterdir()]

    with pytest.raises(UnknownFileError):
        files.stat(name)
    incoming.drop()


def test_dropping_leaves_nothing(files: UploadedFiles, tmp_path: Path) -> None:
    incoming = files.receive()
    incoming.stream.write(b"half")

    incoming.drop()
    incoming.drop()

    assert list(tmp_path.iterdir()) == []


def test_dropping_what_was_kept_does_not_take_it_away(files: UploadedFiles) -> None:
    incoming = files.receive()
    incoming.stream.write(b"a")
    stored = incoming.keep("rows.csv", "text/csv")

    incoming.drop()

    assert files.path(stored.id).read_bytes() == b"a"


def test_uploads_at_once_do_not_mix(files: UploadedFiles) -> None:
    def uploading(number: int) -> tuple[bytes, bytes]:
        text = str(number).encode() * 1000
        return text, files.path(received(files, text[:500], text[500:]).id).read_bytes()

    answers = at_once([lambda number=number: uploading(number) for number in range(8)])  # type: ignore[misc]

    assert all(isinstance(answer, tuple) and answer[0] == answer[1] for answer in answers), answers


def test_a_deleted_file_is_gone(files: UploadedFiles, tmp_path: Path) -> None:
    stored = received(files, b"a")

    files.delete(stored.id)

    with pytest.raises(UnknownFileError):
        files.stat(stored.id)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_deleted_once(files: UploadedFiles) -> None:
    stored = received(files, b"a")
    files.delete(stored.id)

    with pytest.raises(UnknownFileError):
        files.delete(stored.id)


def test_a_file_that_is_deleted_meanwhile_is_unknown_and_deleted_once(files: UploadedFiles, tmp_path: Path) -> None:
    """Between the look whether it is there and the look into it, another request may have taken it away."""
    for _ in range(50):
        file_id = received(files, b"a").id
        deletes = [lambda file_id=file_id: files.delete(file_id)] * 4  # type: ignore[misc]
        stats = [lambda file_id=file_id: files.stat(file_id)] * 4  # type: ignore[misc]

        answers = at_once([*deletes, *stats])

        kinds = {type(answer) for answer in answers}
        assert kinds <= {type(None), StoredFile, UnknownFileError}, answers
        assert answers[:4].count(None) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "file_id",
    [
        "",
        ".",
        "..",
        "/",
        "/etc",
        "file_",
        "file_../../../../../../../../../../../../etc",
        "file_" + "a" * 35,
        "file_" + "a" * 36,
        "file_" + "a" * 37,
        "file_" + "A" * 36,
        "file_" + "/" * 36,
        "file_" + "a" * 35 + "\n",
        "job_" + "a" * 36,
        "\x00",
        ".incoming-x",
        "x" * 5000,
    ],
)
def test_an_id_that_no_file_has_is_unknown(files: UploadedFiles, tmp_path: Path, file_id: str) -> None:
    (tmp_path / ".incoming-x").mkdir()

    for ask in (files.stat, files.path, files.delete):
        with pytest.raises(UnknownFileError, match="upload it with POST /v1/files"):
            ask(file_id)


def test_files_outside_the_folder_stay_out_of_reach(tmp_path: Path) -> None:
    outside = tmp_path / ("file_" + "a" * 36)
    outside.mkdir()
    files = UploadedFiles(tmp_path / "files", new_id, lambda: NOW)

    with pytest.raises(UnknownFileError):
        files.delete(f"../{outside.name}")

    assert outside.is_dir()


def test_an_unknown_id_is_asked_for_before_any_upload(tmp_path: Path) -> None:
    with pytest.raises(UnknownFileError):
        UploadedFiles(tmp_path / "not there", new_id, lambda: NOW).stat("file_" + "a" * 36)
