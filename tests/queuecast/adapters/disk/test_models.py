"""Versions as folders: complete or invisible, immutable, and with unique numbers."""

import errno
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from queuecast.adapters.disk.models import ABANDONED_S, ModelFiles
from queuecast.adapters.ids import new_id
from queuecast.domain.errors import (
    GoneModelError,
    GoneVersionError,
    UnavailableError,
    UnknownModelError,
    UnknownVersionError,
)
from queuecast.domain.model import BadCell, Lineage, Manifest
from tests.queuecast.adapters.disks import DISK_BYTES, set_age, use_up_inodes
from tests.queuecast.adapters.waits import at_once
from tests.queuecast.domain.records import MEASURES, a_manifest
from tests.worker.process_deaths import ProcessKilled

FILES = {"model.skops": b"bytes", "golden.json": b"[]"}


def manifest_of_a_new_job(**given: Any) -> Manifest:
    return a_manifest(**{"job_id": new_id("job")} | given)


@pytest.fixture
def models(tmp_path: Path) -> ModelFiles:
    return ModelFiles(tmp_path)


def all_paths(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def publish_many(root: Path, job_ids: list[str]) -> list[int]:
    """Runs in a process of its own."""
    return [ModelFiles(root).publish(a_manifest(job_id=job_id), FILES).version for job_id in job_ids]


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        yield pool


# Publishing


@pytest.mark.parametrize(
    "manifest",
    [
        a_manifest(),
        a_manifest("a-b_c9", MEASURES, classes=None, holdout=None, target=("y0", "y1")),
        a_manifest(lineage=Lineage(1, "ef" * 32, {"clf__C": 0.5, "clf__penalty": None}, 800, 200)),
        a_manifest(lineage=Lineage(1, "ef" * 32, {}, 8, 2, 3, (BadCell(7, None, "wrong_length", "found 2 cells"),))),
        a_manifest(classes=["no", "yes"], description="Zoë: first", metrics={"accuracy": 0.1 + 0.2}),
    ],
)
def test_a_manifest_is_read_unchanged(models: ModelFiles, tmp_path: Path, manifest: Manifest) -> None:
    published = models.publish(manifest, FILES)

    assert published == replace(manifest, version=1)
    assert ModelFiles(tmp_path).manifest(manifest.model, 1) == published


def test_the_examples_of_a_signature_are_kept(models: ModelFiles, tmp_path: Path) -> None:
    models.publish(a_manifest(), FILES)

    read = ModelFiles(tmp_path).manifest("titanic", 1).signature
    assert list(read.example) == list(a_manifest().signature.example)


def test_the_files_of_a_version_are_read_byte_for_byte(models: ModelFiles) -> None:
    models.publish(a_manifest(), {"model.skops": bytes(range(256)), "empty.json": b""})

    assert models.file("titanic", 1, "model.skops") == bytes(range(256))
    assert models.file("titanic", 1, "empty.json") == b""


def test_a_version_has_its_files_and_nothing_else(models: ModelFiles, tmp_path: Path) -> None:
    models.publish(a_manifest(), FILES)

    assert all_paths(tmp_path) == [
        "titanic",
        "titanic/1",
        "titanic/1/golden.json",
        "titanic/1/manifest.json",
        "titanic/1/model.skops",
    ]


def test_the_number_in_a_manifest_to_publish_is_ignored(models: ModelFiles) -> None:
    assert models.publish(a_manifest(version=77), FILES).version == 1


def test_a_new_version_does_not_change_earlier_ones(models: ModelFiles) -> None:
    first = models.publish(manifest_of_a_new_job(), {"model.skops": b"first"})
    second = models.publish(manifest_of_a_new_job(), {"model.skops": b"second"})

    assert [first.version, second.version] == [1, 2]
    assert [models.file("titanic", version, "model.skops") for version in (1, 2)] == [b"first", b"second"]


def test_a_number_is_not_reused_while_a_later_version_exists(models: ModelFiles, tmp_path: Path) -> None:
    (tmp_path / "titanic" / "1").mkdir(parents=True)
    (tmp_path / "titanic" / "4").mkdir()

    assert models.publish(a_manifest(), FILES).version == 5


def test_another_user_can_read_a_published_version(models: ModelFiles, tmp_path: Path) -> None:
    """Gateway and workers may run as different users on one volume."""
    models.publish(a_manifest(), FILES)

    assert (tmp_path / "titanic" / "1").stat().st_mode & 0o055 == 0o055


@pytest.mark.parametrize("files", [{"no/such/folder": b""}, {"model.skops": b"good", "bad": "not bytes"}])
def test_a_failed_publication_leaves_nothing(models: ModelFiles, tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises((OSError, TypeError)):
        models.publish(a_manifest(), files)

    assert (models.models(), all_paths(tmp_path)) == ([], ["titanic"])


def test_a_failed_publication_does_not_affect_earlier_versions(models: ModelFiles, tmp_path: Path) -> None:
    models.publish(a_manifest(), FILES)
    before = all_paths(tmp_path)

    with pytest.raises(OSError):
        models.publish(a_manifest(), {"no/such/folder": b""})

    assert all_paths(tmp_path) == before


def test_the_unfinished_folder_of_a_killed_publisher_is_no_version(models: ModelFiles, tmp_path: Path) -> None:
    models.publish(a_manifest(), FILES)
    unfinished = tmp_path / "titanic" / ".incoming-abc"
    unfinished.mkdir()
    (unfinished / "model.skops").write_bytes(b"half")

    assert (models.versions("titanic"), models.publish(manifest_of_a_new_job(), FILES).version) == ([1], 2)


def test_a_model_whose_only_publication_failed_is_unknown(models: ModelFiles) -> None:
    with pytest.raises(OSError):
        models.publish(a_manifest(), {"no/such/folder": b""})

    with pytest.raises(UnknownModelError, match="none was pushed yet"):
        models.versions("titanic")


# Races


def publishing(models: ModelFiles, count: int) -> Callable[[], list[int]]:
    return lambda: [models.publish(manifest_of_a_new_job(), FILES).version for _ in range(count)]


def test_publishers_in_threads_get_different_numbers(models: ModelFiles, tmp_path: Path) -> None:
    answers = at_once([publishing(models, 5)] * 8)

    taken = sorted(version for versions in answers if isinstance(versions, list) for version in versions)
    assert taken == models.versions("titanic") == list(range(1, 41))
    assert not list(tmp_path.glob("*/.incoming-*"))


def test_publishers_in_processes_get_different_numbers_and_keep_their_content(
    processes: ProcessPoolExecutor, tmp_path: Path
) -> None:
    job_ids = [[f"job_{publisher}_{number}" for number in range(10)] for publisher in range(3)]
    futures = [processes.submit(publish_many, tmp_path, ids) for ids in job_ids]
    taken = [future.result(timeout=60) for future in futures]

    models = ModelFiles(tmp_path)
    assert models.versions("titanic") == list(range(1, 31)) == sorted(chain.from_iterable(taken))
    for ids, versions in zip(job_ids, taken, strict=True):
        assert [models.manifest("titanic", version).job_id for version in versions] == ids


def test_a_reader_never_sees_half_a_version(tmp_path: Path) -> None:
    writer, seen = ModelFiles(tmp_path), []

    def read_along() -> None:
        while len(seen) < 25:
            reader = ModelFiles(tmp_path)
            for version in reader.versions("titanic") if reader.models() else []:
                assert reader.manifest("titanic", version).version == version
                assert reader.file("titanic", version, "model.skops") == b"bytes"
                seen.append(version)

    def write() -> None:
        for _ in range(20):
            writer.publish(manifest_of_a_new_job(), FILES)

    assert at_once([read_along, write]) == [None, None]


# One version per job


def test_a_job_that_runs_twice_publishes_one_version(models: ModelFiles, tmp_path: Path) -> None:
    first = models.publish(a_manifest(job_id="job_7"), {"model.skops": b"first"})
    before = all_paths(tmp_path)

    second = models.publish(a_manifest(job_id="job_7", sha256="ef" * 32), {"model.skops": b"second"})

    assert (second, all_paths(tmp_path)) == (first, before)
    assert models.file("titanic", 1, "model.skops") == b"first"


def test_a_job_finds_its_version_after_later_ones_were_published(models: ModelFiles) -> None:
    first = models.publish(a_manifest(job_id="job_7"), FILES)
    models.publish(manifest_of_a_new_job(), FILES)

    assert models.publish(a_manifest(job_id="job_7"), FILES) == first
    assert models.versions("titanic") == [1, 2]


def test_concurrent_runs_of_one_job_publish_one_version(models: ModelFiles, tmp_path: Path) -> None:
    for number in range(10):
        manifest = a_manifest(f"model-{number}", job_id="job_7")

        answers = at_once([lambda manifest=manifest: models.publish(manifest, FILES).version] * 6)  # type: ignore[misc]

        assert (answers, models.versions(manifest.model)) == ([1] * 6, [1])
    assert not list(tmp_path.glob("*/.incoming-*"))


def test_runs_of_the_same_jobs_in_processes_publish_one_version_each(
    processes: ProcessPoolExecutor, tmp_path: Path
) -> None:
    job_ids = [f"job_{number}" for number in range(10)]
    futures = [processes.submit(publish_many, tmp_path, job_ids) for _ in range(3)]
    answers = [future.result(timeout=60) for future in futures]

    assert answers == [list(range(1, 11))] * 3
    assert ModelFiles(tmp_path).versions("titanic") == list(range(1, 11))


def test_the_version_of_a_job_can_be_read(models: ModelFiles, tmp_path: Path) -> None:
    made = [models.publish(a_manifest(job_id=f"job_{number}"), FILES) for number in range(3)]

    assert [ModelFiles(tmp_path).made_by("titanic", f"job_{number}") for number in range(3)] == made


@pytest.mark.parametrize(("model", "job_id"), [("titanic", "job_9"), ("wine", "job_1"), ("titanic", "")])
def test_a_job_without_a_version_of_the_model_has_none(models: ModelFiles, model: str, job_id: str) -> None:
    models.publish(a_manifest(job_id="job_1"), FILES)

    assert models.made_by(model, job_id) is None


# Leftovers and full disks


def unfinished(folder: Path, age_s: float) -> Path:
    """The folder of a publisher that died `age_s` ago."""
    folder.mkdir(parents=True)
    (folder / "model.skops").write_bytes(b"half")
    set_age(folder / "model.skops", age_s)
    return set_age(folder, age_s)


@pytest.mark.parametrize(("age_s", "stays"), [(0, True), (ABANDONED_S - 60, True), (ABANDONED_S + 1, False)])
def test_an_unfinished_version_is_removed_after_an_hour(
    models: ModelFiles, tmp_path: Path, age_s: float, stays: bool
) -> None:
    abandoned = unfinished(tmp_path / "titanic" / ".incoming-abc", age_s)

    models.sweep()

    assert abandoned.exists() is stays


def test_an_unfinished_version_that_is_still_written_is_not_removed(models: ModelFiles, tmp_path: Path) -> None:
    """The time of a folder does not change while a file in it grows."""
    incoming = unfinished(tmp_path / "titanic" / ".incoming-abc", 2 * ABANDONED_S)
    set_age(incoming / "model.skops", 0)

    models.sweep()

    assert incoming.exists()


def test_a_published_version_is_never_swept(models: ModelFiles, tmp_path: Path) -> None:
    models.publish(a_manifest(), FILES)
    for path in (tmp_path / "titanic" / "1").iterdir():
        set_age(path, 9 * ABANDONED_S)
    set_age(tmp_path / "titanic" / "1", 9 * ABANDONED_S)

    models.sweep()

    assert models.file("titanic", 1, "model.skops") == b"bytes"


def test_a_sweep_before_the_first_push_does_nothing(tmp_path: Path) -> None:
    ModelFiles(tmp_path / "not there").sweep()

    assert not (tmp_path / "not there").exists()


def test_a_full_disk_is_reported_and_leaves_nothing(models: ModelFiles, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no room left") as caught:
        models.publish(a_manifest(), {"model.skops": b"bytes", "/dev/full": b"bytes"})

    assert caught.value.code == "disk_full"
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert (models.models(), all_paths(tmp_path)) == ([], ["titanic"])


def test_a_disk_without_free_bytes_takes_no_version(small_disk: Path) -> None:
    models = ModelFiles(small_disk)
    models.publish(a_manifest(), FILES)
    before = all_paths(small_disk)

    with pytest.raises(UnavailableError) as caught:
        models.publish(manifest_of_a_new_job(), {"model.skops": b"x" * 2 * DISK_BYTES})

    assert (caught.value.code, all_paths(small_disk)) == ("disk_full", before)


def test_a_disk_without_free_inodes_takes_no_version(small_disk: Path) -> None:
    models = ModelFiles(small_disk)
    with use_up_inodes(small_disk), pytest.raises(UnavailableError) as caught:
        models.publish(a_manifest(), FILES)

    assert caught.value.code == "disk_full"
    assert models.publish(a_manifest(), FILES).version == 1


# Reading


def test_models_are_listed_by_name(models: ModelFiles) -> None:
    for name in ("wine", "a-b", "titanic"):
        models.publish(a_manifest(name), FILES)

    assert models.models() == ["a-b", "titanic", "wine"]


def test_there_are_no_models_before_the_first_push(tmp_path: Path) -> None:
    assert ModelFiles(tmp_path / "not" / "there").models() == []


def test_the_error_for_an_unknown_model_names_the_nearest_one(models: ModelFiles) -> None:
    models.publish(a_manifest("wine"), FILES)
    models.publish(a_manifest("titanic"), FILES)

    with pytest.raises(UnknownModelError) as caught:
        models.manifest("titanik", 1)

    assert caught.value.detail == "no model 'titanik'; did you mean 'titanic'?"


def test_the_error_for_an_unknown_model_says_when_there_are_none(models: ModelFiles) -> None:
    with pytest.raises(UnknownModelError) as caught:
        models.versions("titanic")

    assert caught.value.detail == "no model 'titanic'; none was pushed yet"


@pytest.mark.parametrize("version", [0, -1, 3, 10**30])
def test_the_error_for_an_unknown_version_names_the_latest(models: ModelFiles, version: int) -> None:
    models.publish(manifest_of_a_new_job(), FILES)
    models.publish(manifest_of_a_new_job(), FILES)

    with pytest.raises(UnknownVersionError) as caught:
        models.manifest("titanic", version)

    assert caught.value.detail == f"model titanic has no version {version}; its latest is 2"


def test_the_error_for_a_missing_file_names_the_version(models: ModelFiles) -> None:
    models.publish(a_manifest(), FILES)

    with pytest.raises(UnknownVersionError, match=r"model titanic version 1 has no reference\.json"):
        models.file("titanic", 1, "reference.json")


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "a/b", "../titanic", "/etc", "titanic/1", "titanic/../titanic", "Titanic", "\x00", "a" * 300],
)
def test_a_name_that_is_a_path_is_an_unknown_model(models: ModelFiles, tmp_path: Path, name: str) -> None:
    ModelFiles(tmp_path.parent).publish(a_manifest(), FILES)
    models.publish(a_manifest(), FILES)

    with pytest.raises(UnknownModelError):
        models.versions(name)
    with pytest.raises(UnknownModelError):
        models.manifest(name, 1)
    with pytest.raises(UnknownModelError):
        models.file(name, 1, "model.skops")


def test_a_version_published_after_it_was_asked_for_is_found(models: ModelFiles, tmp_path: Path) -> None:
    models.publish(a_manifest(), FILES)
    with pytest.raises(UnknownVersionError):
        models.manifest("titanic", 2)

    ModelFiles(tmp_path).publish(a_manifest(job_id="job_2"), FILES)

    assert models.manifest("titanic", 2).job_id == "job_2"


# Removing


def buried(models: ModelFiles, version: int = 1) -> None:
    assert models.remove("titanic", version)


def three_versions(models: ModelFiles) -> list[Manifest]:
    return [models.publish(manifest_of_a_new_job(), FILES) for _ in range(3)]


def test_a_removed_version_is_gone_also_for_a_process_that_has_read_it(models: ModelFiles, tmp_path: Path) -> None:
    three_versions(models)
    other = ModelFiles(tmp_path)
    assert other.manifest("titanic", 2).version == 2

    buried(models, 2)

    for reader in (models, other, ModelFiles(tmp_path)):
        for read in (
            lambda reader=reader: reader.manifest("titanic", 2),
            lambda reader=reader: reader.file("titanic", 2, "model.skops"),
        ):
            with pytest.raises(GoneVersionError, match="version 2 of model titanic was deleted"):
                read()
        assert reader.versions("titanic") == [1, 3]


def test_a_removed_version_keeps_one_small_file(models: ModelFiles, tmp_path: Path) -> None:
    rows = tuple({"age": float(row)} for row in range(1000))
    models.publish(a_manifest(signature=replace(a_manifest().signature, example=rows)), FILES)

    buried(models)

    assert all_paths(tmp_path) == ["titanic", "titanic/1", "titanic/1/deleted.json"]
    assert (tmp_path / "titanic/1/deleted.json").stat().st_size < 300


def test_a_second_removal_does_nothing(models: ModelFiles, tmp_path: Path) -> None:
    models.publish(a_manifest(), FILES)
    buried(models)
    before = (tmp_path / "titanic/1/deleted.json").read_bytes()

    assert not models.remove("titanic", 1)
    assert (tmp_path / "titanic/1/deleted.json").read_bytes() == before


@pytest.mark.parametrize(("model", "version"), [("titanic", 2), ("wine", 1)])
def test_a_version_that_is_not_there_cannot_be_removed(models: ModelFiles, model: str, version: int) -> None:
    models.publish(a_manifest(), FILES)

    assert not models.remove(model, version)
    assert models.versions("titanic") == [1]


@pytest.mark.parametrize("removed", [[3], [2, 3], [1, 2, 3], [1]])
def test_the_number_of_a_removed_version_is_not_used_again(models: ModelFiles, removed: list[int]) -> None:
    three_versions(models)
    for version in removed:
        buried(models, version)

    assert models.publish(manifest_of_a_new_job(), FILES).version == 4


def test_a_version_gets_a_number_above_the_given_one(models: ModelFiles) -> None:
    """The folders may be a copy that is older than the deletions."""
    three_versions(models)

    assert models.publish(manifest_of_a_new_job(), FILES, above=7).version == 8
    assert models.publish(manifest_of_a_new_job(), FILES, above=7).version == 9


def test_a_model_whose_versions_are_all_removed_is_gone_until_the_next_push(models: ModelFiles) -> None:
    models.publish(a_manifest("wine"), FILES)
    three_versions(models)
    for version in (1, 2, 3):
        buried(models, version)

    with pytest.raises(GoneModelError, match="model titanic was deleted"):
        models.versions("titanic")
    assert models.models() == ["wine"]

    models.publish(manifest_of_a_new_job(), FILES)
    assert (models.versions("titanic"), models.models()) == ([4], ["titanic", "wine"])


def test_a_job_whose_version_was_removed_does_not_make_another(models: ModelFiles, tmp_path: Path) -> None:
    """A worker that was frozen continues after its job has ended."""
    models.publish(a_manifest(job_id="job_7"), FILES)
    buried(models)
    before = all_paths(tmp_path)

    for act in (
        lambda: models.made_by("titanic", "job_7"),
        lambda: models.publish(a_manifest(job_id="job_7"), FILES),
    ):
        with pytest.raises(GoneVersionError):
            act()

    assert all_paths(tmp_path) == before
    assert models.made_by("titanic", "job_8") is None


def killed_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int) -> None:
    """The process is killed before the given call of a function, counted from 1."""
    real, calls = getattr(owner, name), iter(range(1, 100))

    def killing(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == call:
            raise ProcessKilled
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, killing)


STEPS = [
    *((Path, "rename", 1), (os, "fsync", 1), (Path, "unlink", 1), (Path, "unlink", 2)),
    *((os, "fsync", 2), (Path, "rename", 2), (os, "fsync", 3)),
]


@pytest.mark.parametrize(("owner", "name", "call"), STEPS)
@pytest.mark.parametrize("finish", ["remove", "sweep"])
def test_a_removal_that_was_killed_is_finished_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, owner: Any, name: str, call: int, finish: str
) -> None:
    models = ModelFiles(tmp_path)
    models.publish(a_manifest(), FILES)
    with monkeypatch.context() as patched, pytest.raises(ProcessKilled):
        killed_at(patched, owner, name, call)
        models.remove("titanic", 1)
    is_begun = (name, call) != ("rename", 1)

    if is_begun:  # from the first rename on it is deleted for every reader
        with pytest.raises(GoneVersionError):
            ModelFiles(tmp_path).manifest("titanic", 1)
    else:
        assert ModelFiles(tmp_path).file("titanic", 1, "model.skops") == b"bytes"
    if finish == "remove" or not is_begun:
        ModelFiles(tmp_path).remove("titanic", 1)
    else:
        ModelFiles(tmp_path).sweep()

    assert all_paths(tmp_path) == ["titanic", "titanic/1", "titanic/1/deleted.json"]
    with pytest.raises(GoneVersionError):
        ModelFiles(tmp_path).made_by("titanic", "job_1")


def test_a_version_can_be_removed_from_a_full_disk(small_disk: Path) -> None:
    models = ModelFiles(small_disk)
    models.publish(a_manifest(), {"model.skops": b"x" * 50_000})
    with use_up_inodes(small_disk):
        buried(models)

    assert all_paths(small_disk) == ["titanic", "titanic/1", "titanic/1/deleted.json"]


def test_files_that_come_back_to_a_removed_version_are_removed(models: ModelFiles, tmp_path: Path) -> None:
    """For example from a copy of the folder."""
    models.publish(a_manifest(), FILES)
    copy = {path.name: path.read_bytes() for path in (tmp_path / "titanic/1").iterdir()}
    buried(models)
    for name, content in copy.items():
        (tmp_path / "titanic/1" / name).write_bytes(content)

    with pytest.raises(GoneVersionError):
        ModelFiles(tmp_path).manifest("titanic", 1)
    models.sweep()
    assert all_paths(tmp_path) == ["titanic", "titanic/1", "titanic/1/deleted.json"]


def test_a_folder_without_a_manifest_can_be_removed(models: ModelFiles, tmp_path: Path) -> None:
    (tmp_path / "titanic" / "1" / "more").mkdir(parents=True)
    (tmp_path / "titanic" / "1" / "more" / "notes").write_text("by hand")

    buried(models)

    assert all_paths(tmp_path) == ["titanic", "titanic/1", "titanic/1/deleted.json"]
