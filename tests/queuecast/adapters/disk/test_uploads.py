"""Uploads are hashed while written, invisible until stored, and removed completely when dropped."""

import errno
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from queuecast.adapters.disk.models import ABANDONED_S
from queuecast.adapters.disk.uploads import HashedFile, UploadedFiles
from queuecast.adapters.ids import new_id
from queuecast.domain.errors import FilesFullError, UnknownFileError
from queuecast.ports.files import StoredFile
from tests.queuecast.adapters.disks import DISK_BYTES, set_age, use_up_bytes, use_up_inodes
from tests.queuecast.adapters.waits import at_once

NOW = 1_000.0


@pytest.fixture
def files(tmp_path: Path) -> UploadedFiles:
    return UploadedFiles(tmp_path, new_id, lambda: NOW)


def received(files: UploadedFiles, *chunks: bytes) -> StoredFile:
    incoming = files.receive()
    for chunk in chunks:
        incoming.stream.write(chunk)
    return incoming.keep("rows.csv", "text/csv")


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    "chunks",
    [[], [b""], [b"a"], [b"a,b\n", b"1,2\n"], [bytes(range(256)) * 5000, b"end"], [b"x"] * 1000],
    ids=["nothing", "empty", "one byte", "two", "large", "many"],
)
def test_a_stored_file_has_its_bytes_its_size_and_its_sha256(files: UploadedFiles, chunks: list[bytes]) -> None:
    stored = received(files, *chunks)

    whole = b"".join(chunks)
    assert files.path(stored.id).read_bytes() == whole
    assert (stored.size_bytes, stored.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_bytes_like_object_can_be_written(files: UploadedFiles, kind: type) -> None:
    stored = received(files, kind(b"a,b\n"), kind(b"1,2\n"))

    assert (files.path(stored.id).read_bytes(), stored.size_bytes) == (b"a,b\n1,2\n", 8)


def test_the_metadata_of_a_file_can_be_read(files: UploadedFiles) -> None:
    stored = received(files, b"a")

    assert files.stat(stored.id) == stored
    assert (stored.name, stored.media_type, stored.created_at) == ("rows.csv", "text/csv", NOW)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a/b", "Zoë.csv", "x" * 1000, "\x00"])
def test_the_name_of_a_file_is_stored_and_never_used_as_a_path(files: UploadedFiles, tmp_path: Path, name: str) -> None:
    stored = files.receive().keep(name, "text/csv")

    assert files.stat(stored.id).name == name
    assert [path.name for path in tmp_path.iterdir()] == [stored.id]


def test_a_file_is_invisible_until_it_is_stored(files: UploadedFiles, tmp_path: Path) -> None:
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


def test_dropping_a_stored_file_does_not_delete_it(files: UploadedFiles) -> None:
    incoming = files.receive()
    incoming.stream.write(b"a")
    stored = incoming.keep("rows.csv", "text/csv")

    incoming.drop()

    assert files.path(stored.id).read_bytes() == b"a"


def test_concurrent_uploads_do_not_mix(files: UploadedFiles) -> None:
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


def test_a_file_can_be_deleted_only_once(files: UploadedFiles) -> None:
    stored = received(files, b"a")
    files.delete(stored.id)

    with pytest.raises(UnknownFileError):
        files.delete(stored.id)


def test_a_file_that_another_request_deletes_is_unknown_and_deleted_once(files: UploadedFiles, tmp_path: Path) -> None:
    """Another request may delete the file between the check and the read."""
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
def test_an_id_without_a_file_is_unknown(files: UploadedFiles, tmp_path: Path, file_id: str) -> None:
    (tmp_path / ".incoming-x").mkdir()

    for ask in (files.stat, files.path, files.delete):
        with pytest.raises(UnknownFileError, match="upload it with POST /v1/files"):
            ask(file_id)


def test_files_outside_the_folder_cannot_be_reached(tmp_path: Path) -> None:
    outside = tmp_path / ("file_" + "a" * 36)
    outside.mkdir()
    files = UploadedFiles(tmp_path / "files", new_id, lambda: NOW)

    with pytest.raises(UnknownFileError):
        files.delete(f"../{outside.name}")

    assert outside.is_dir()


def test_an_id_is_unknown_before_any_upload(tmp_path: Path) -> None:
    with pytest.raises(UnknownFileError):
        UploadedFiles(tmp_path / "not there", new_id, lambda: NOW).stat("file_" + "a" * 36)


# The limit of all files


@pytest.mark.parametrize(("taken_bytes", "is_taken"), [(9, True), (10, False), (11, False)])
def test_an_upload_can_start_while_all_files_are_below_the_limit(
    tmp_path: Path, taken_bytes: int, is_taken: bool
) -> None:
    files = UploadedFiles(tmp_path, new_id, lambda: NOW, max_bytes=10)
    received(files, b"x" * taken_bytes)

    if is_taken:
        assert received(files, b"y").size_bytes == 1
    else:
        with pytest.raises(
            FilesFullError, match=f"the uploaded files have {taken_bytes} bytes, expected fewer than 10"
        ):
            files.receive()


def test_a_deleted_file_makes_room(tmp_path: Path) -> None:
    files = UploadedFiles(tmp_path, new_id, lambda: NOW, max_bytes=10)
    stored = received(files, b"x" * 10)
    files.delete(stored.id)

    assert received(files, b"y").size_bytes == 1


def test_a_refused_upload_leaves_nothing(tmp_path: Path) -> None:
    files = UploadedFiles(tmp_path, new_id, lambda: NOW, max_bytes=1)
    stored = received(files, b"x")

    with pytest.raises(FilesFullError):
        files.receive()

    assert names_in(tmp_path) == {stored.id, f".sha256-{stored.sha256}"}


def test_the_size_counts_stored_files_and_unfinished_uploads(files: UploadedFiles) -> None:
    received(files, b"x" * 5)
    incoming = files.receive()
    incoming.stream.write(b"y" * 3)

    before, _ = files.size_bytes(), incoming.drop()

    assert (before, files.size_bytes()) == (8, 5)


def test_the_size_is_zero_before_the_first_upload(tmp_path: Path) -> None:
    assert UploadedFiles(tmp_path / "not there", new_id, lambda: NOW).size_bytes() == 0


def test_the_size_can_be_read_while_files_come_and_go(files: UploadedFiles) -> None:
    """Every upload failed when a file was deleted while the sizes were added up."""

    def coming_and_going() -> None:
        for _ in range(150):
            files.delete(received(files, b"x").id)

    def asking() -> set[bool]:
        return {0 <= files.size_bytes() <= 4 for _ in range(500)}

    answers = at_once([coming_and_going, coming_and_going, asking, asking])

    assert answers == [None, None, {True}, {True}]


# Unused files


@pytest.mark.parametrize(("age_s", "stays"), [(50, True), (150, False)])
def test_an_unused_file_is_removed(files: UploadedFiles, tmp_path: Path, age_s: float, stays: bool) -> None:
    stored = received(files, b"x")
    set_age(tmp_path / stored.id, age_s)

    files.sweep(time.time() - 100)

    assert (tmp_path / stored.id).exists() is stays


def test_a_used_file_is_not_removed(files: UploadedFiles, tmp_path: Path) -> None:
    used, unused = received(files, b"x"), received(files, b"y")
    for stored in (used, unused):
        set_age(tmp_path / stored.id, 150)

    files.path(used.id)
    files.sweep(time.time() - 100)

    assert names_in(tmp_path) == {used.id, f".sha256-{used.sha256}"}


def test_reading_the_metadata_of_a_file_is_not_a_use(files: UploadedFiles, tmp_path: Path) -> None:
    stored = received(files, b"x")
    set_age(tmp_path / stored.id, 150)

    files.stat(stored.id)
    files.sweep(time.time() - 100)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [".incoming-abc", ".deleted-abc"])
@pytest.mark.parametrize(("age_s", "stays"), [(0, True), (ABANDONED_S - 60, True), (ABANDONED_S + 1, False)])
def test_unfinished_uploads_and_deletions_are_removed_after_an_hour(
    files: UploadedFiles, tmp_path: Path, name: str, age_s: float, stays: bool
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "content").write_bytes(b"half")
    set_age(folder / "content", age_s)
    set_age(folder, age_s)

    files.sweep(0)

    assert folder.exists() is stays


def test_an_upload_that_takes_hours_is_not_removed(files: UploadedFiles, tmp_path: Path) -> None:
    incoming = files.receive()
    (folder,) = tmp_path.iterdir()
    set_age(folder, 2 * ABANDONED_S)
    incoming.stream.write(b"still writing")

    files.sweep(0)

    assert incoming.keep("rows.csv", "text/csv").size_bytes == 13


def test_other_files_in_the_folder_are_not_removed(files: UploadedFiles, tmp_path: Path) -> None:
    other = tmp_path / "lost+found"
    other.mkdir()
    set_age(other, 9 * ABANDONED_S)

    files.sweep(time.time())

    assert other.exists()


def test_a_sweep_before_the_first_upload_does_nothing(tmp_path: Path) -> None:
    UploadedFiles(tmp_path / "not there", new_id, lambda: NOW).sweep(time.time())

    assert not (tmp_path / "not there").exists()


def test_concurrent_sweeps_uses_and_deletes_find_a_file_or_not(files: UploadedFiles, tmp_path: Path) -> None:
    """Another process may delete the file between the check and the read."""
    for _ in range(40):
        file_id = received(files, b"a").id
        for path in (tmp_path / file_id / "content", tmp_path / file_id):
            set_age(path, 2 * ABANDONED_S)
        calls: list[Callable[[], object]] = [
            lambda: files.sweep(time.time() + 60),
            lambda: files.sweep(time.time() + 60),
            lambda file_id=file_id: files.delete(file_id),  # type: ignore[misc]
            lambda file_id=file_id: files.path(file_id),  # type: ignore[misc]
            lambda file_id=file_id: files.path(file_id),  # type: ignore[misc]
        ]

        answers = at_once(calls)

        assert answers[:2] == [None, None]
        assert all(isinstance(answer, UnknownFileError | Path | None) for answer in answers), answers
    assert list(tmp_path.iterdir()) == []


# A full disk


def test_a_write_to_a_full_disk_is_reported() -> None:
    with pytest.raises(FilesFullError, match="the disk of the uploaded files is full") as caught:
        HashedFile(Path("/dev/full")).write(b"x")

    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC


def test_an_upload_that_fills_the_disk_is_refused_and_leaves_nothing(small_disk: Path) -> None:
    files = UploadedFiles(small_disk, new_id, lambda: NOW)
    stored = received(files, b"a")
    incoming = files.receive()

    with pytest.raises(FilesFullError):
        for _ in range(DISK_BYTES // 4096 + 1):
            incoming.stream.write(bytes(4096))
    incoming.drop()

    assert names_in(small_disk) == {stored.id, f".sha256-{stored.sha256}"}
    assert received(files, b"b").size_bytes == 1


def test_an_upload_is_refused_when_its_metadata_does_not_fit_on_the_disk(small_disk: Path) -> None:
    """The content is written, and another file takes the last block before the metadata."""
    files = UploadedFiles(small_disk, new_id, lambda: NOW)
    incoming = files.receive()
    incoming.stream.write(b"a")

    with use_up_bytes(small_disk), pytest.raises(FilesFullError, match="is full"):
        incoming.keep("rows.csv", "text/csv")
    incoming.drop()

    assert list(small_disk.iterdir()) == []


def test_an_upload_is_refused_at_its_start_without_free_inodes(small_disk: Path) -> None:
    files = UploadedFiles(small_disk, new_id, lambda: NOW)

    with use_up_inodes(small_disk), pytest.raises(FilesFullError, match="is full"):
        files.receive()

    assert received(files, b"a").size_bytes == 1


def test_a_file_that_is_uploaded_twice_is_kept_once(files: UploadedFiles) -> None:
    first, second = received(files, b"a,b\n" * 1000), received(files, b"a,b\n" * 1000)

    assert (first.id != second.id, first.sha256) == (True, second.sha256)
    assert files.path(first.id).samefile(files.path(second.id))
    assert files.size_bytes() == 4000


def test_files_of_one_size_and_different_content_are_both_kept(files: UploadedFiles) -> None:
    first, second = received(files, b"a,b\n"), received(files, b"a,c\n")

    assert [files.path(each.id).read_bytes() for each in (first, second)] == [b"a,b\n", b"a,c\n"]
    assert files.size_bytes() == 8


@pytest.mark.parametrize("deleted", [0, 1])
def test_deleting_one_of_two_uploads_of_a_file_keeps_the_other(files: UploadedFiles, deleted: int) -> None:
    stored = [received(files, b"a,b\n"), received(files, b"a,b\n")]

    files.delete(stored[deleted].id)

    kept = stored[1 - deleted]
    assert (files.path(kept.id).read_bytes(), files.stat(kept.id)) == (b"a,b\n", kept)
    with pytest.raises(UnknownFileError):
        files.path(stored[deleted].id)


def test_a_file_system_without_hard_links_keeps_both(files: UploadedFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    stored = [received(files, b"a,b\n"), received(files, b"a,b\n")]

    assert [files.path(each.id).read_bytes() for each in stored] == [b"a,b\n"] * 2
    assert files.size_bytes() == 8


def test_an_upload_looks_at_no_other_file(files: UploadedFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    first = received(files, b"a,b\n")
    for number in range(20):
        received(files, b"%4d" % number)
    incoming = files.receive()
    incoming.stream.write(b"a,b\n")
    monkeypatch.setattr(Path, "iterdir", None)

    stored = incoming.keep("rows.csv", "text/csv")

    assert files.path(stored.id).samefile(files.path(first.id))


def test_nothing_stays_of_a_shared_content_without_files(files: UploadedFiles, tmp_path: Path) -> None:
    for file_id in [received(files, b"a,b\n").id, received(files, b"a,b\n").id]:
        files.delete(file_id)

    assert names_in(tmp_path) == set()
    assert files.path(received(files, b"a,b\n").id).read_bytes() == b"a,b\n"


@pytest.mark.parametrize("lost", ["content", "about.json"])
def test_a_sweep_frees_the_content_of_a_deletion_that_died(files: UploadedFiles, tmp_path: Path, lost: str) -> None:
    kept, stored = received(files, b"kept"), received(files, b"a,b\n")
    (tmp_path / stored.id / lost).unlink()

    files.delete(stored.id)
    files.sweep(0)

    assert names_in(tmp_path) == {kept.id, f".sha256-{kept.sha256}"}


def test_content_that_a_crash_cut_off_is_not_shared(files: UploadedFiles, tmp_path: Path) -> None:
    broken = received(files, b"a,b\n")
    with files.path(broken.id).open("r+b") as content:
        content.truncate(1)

    later = [received(files, b"a,b\n"), received(files, b"a,b\n")]

    assert [files.path(each.id).read_bytes() for each in later] == [b"a,b\n"] * 2
    assert files.path(later[0].id).samefile(files.path(later[1].id))


def test_uploads_and_deletions_of_one_content_at_once_keep_every_file_whole(
    files: UploadedFiles, tmp_path: Path
) -> None:
    def uploads_and_deletes() -> list[bytes]:
        read = []
        for _ in range(30):
            stored = received(files, b"a,b\n")
            read.append(files.path(stored.id).read_bytes())
            files.delete(stored.id)
        return read

    answers = at_once([uploads_and_deletes] * 4)

    assert answers == [[b"a,b\n"] * 30] * 4
    files.sweep(0)
    assert names_in(tmp_path) == set()
