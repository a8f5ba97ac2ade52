"""Versions as folders: visible whole or not at all, never changed, each number once."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from queuecast.adapters.model_files import ModelFiles
from queuecast.domain.errors import UnknownModelError, UnknownVersionError
from queuecast.domain.model import Lineage, Manifest
from tests.adapters.waits import at_once
from tests.domain.records import MEASURES, a_manifest

FILES = {"model.skops": b"bytes", "golden.json": b"[]"}


@pytest.fixture
def models(tmp_path: Path) -> ModelFiles:
    return ModelFiles(tmp_path)


def all_paths(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def publish_many(root: Path, publisher: int, count: int) -> list[int]:
    """Runs in a process of its own."""
    manifest = a_manifest(job_id=f"job_{publisher}")
    return [ModelFiles(root).publish(manifest, FILES).version for _ in range(count)]


# Publishing


@pytest.mark.parametrize(
    "manifest",
    [
        a_manifest(),
        a_manifest("a-b_c9", MEASURES, classes=None, holdout=None, target=("y0", "y1")),
        a_manifest(lineage=Lineage(1, "ef" * 32, {"clf__C": 0.5, "clf__penalty": None}, 800, 200)),
        a_manifest(classes=["no", "yes"], description="Zoë: first", metrics={"accuracy": 0.1 + 0.2}),
    ],
)
def test_a_manifest_is_read_as_it_was_published(models: ModelFiles, tmp_path: Path, manifest: Manifest) -> None:
    published = models.publish(manifest, FILES)

    assert published == replace(manifest, version=1)
    assert ModelFiles(tmp_path).manifest(manifest.model, 1) == published


def test_the_examples_of_a_signature_are_kept(models: ModelFiles, tmp_path: Path) -> None:
    models.publish(a_manifest(), FILES)

    read = ModelFiles(tmp_path).manifest("titanic", 1).signature
    assert list(read.example) == list(a_manifest().signature.example)


def test_the_files_of_a_version_are_read_byte_by_byte(models: ModelFiles) -> None:
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


def test_versions_count_on_and_leave_earlier_ones_as_they_were(models: ModelFiles) -> None:
    first = models.publish(a_manifest(), {"model.skops": b"first"})
    second = models.publish(a_manifest(), {"model.skops": b"second"})

    assert [first.version, second.version] == [1, 2]
    assert [models.file("titanic", version, "model.skops") for version in (1, 2)] == [b"first", b"second"]


def test_a_number_is_never_given_again_while_a_later_one_is_there(models: ModelFiles, tmp_path: Path) -> None:
    (tmp_path / "titanic" / "1").mkdir(parents=True)
    (tmp_path / "titanic" / "4").mkdir()

    assert models.publish(a_manifest(), FILES).version == 5


def test_another_user_may_read_what_was_published(models: ModelFiles, tmp_path: Path) -> None:
    """The gateway and the workers may run as different users on one volume."""
    models.publish(a_manifest(), FILES)

    assert (tmp_path / "titanic" / "1").stat().st_mode & 0o055 == 0o055


@pytest.mark.parametrize("files", [{"no/such/folder": b""}, {"model.skops": b"good", "bad": "not bytes"}])
def test_a_publication_that_fails_leaves_nothing(models: ModelFiles, tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises((OSError, TypeError)):
        models.publish(a_manifest(), files)

    assert (models.models(), all_paths(tmp_path)) == ([], ["titanic"])


def test_a_publication_that_fails_leaves_the_versions_before(models: ModelFiles, tmp_path: Path) -> None:
    models.publish(a_manifest(), FILES)
    before = all_paths(tmp_path)

    with pytest.raises(OSError):
        models.publish(a_manifest(), {"no/such/folder": b""})

    assert all_paths(tmp_path) == before


def test_what_a_killed_publisher_left_is_no_version(models: ModelFiles, tmp_path: Path) -> None:
    models.publish(a_manifest(), FILES)
    left = tmp_path / "titanic" / ".incoming-abc"
    left.mkdir()
    (left / "model.skops").write_bytes(b"half")

    assert (models.versions("titanic"), models.publish(a_manifest(), FILES).version) == ([1], 2)


def test_a_name_whose_only_publication_failed_is_no_model(models: ModelFiles) -> None:
    with pytest.raises(OSError):
        models.publish(a_manifest(), {"no/such/folder": b""})

    with pytest.raises(UnknownModelError, match="none was pushed yet"):
        models.versions("titanic")


# Races


def publishing(models: ModelFiles, publisher: int) -> Callable[[], list[int]]:
    return lambda: [models.publish(a_manifest(job_id=f"job_{publisher}"), FILES).version for _ in range(5)]


def test_publishers_in_threads_take_different_numbers(models: ModelFiles, tmp_path: Path) -> None:
    answers = at_once([publishing(models, publisher) for publisher in range(8)])

    taken = sorted(version for versions in answers if isinstance(versions, list) for version in versions)
    assert taken == models.versions("titanic") == list(range(1, 41))
    assert not list(tmp_path.glob("*/.incoming-*"))


def test_publishers_in_processes_take_different_numbers_and_keep_their_own_words(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(publish_many, tmp_path, publisher, 10) for publisher in range(3)]
        taken = {publisher: future.result(timeout=60) for publisher, future in enumerate(futures)}

    models = ModelFiles(tmp_path)
    assert models.versions("titanic") == list(range(1, 31)) == sorted(chain.from_iterable(taken.values()))
    assert all(
        models.manifest("titanic", version).job_id == f"job_{publisher}"
        for publisher, versions in taken.items()
        for version in versions
    )


def test_a_reader_sees_whole_versions_only(tmp_path: Path) -> None:
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
            writer.publish(a_manifest(), FILES)

    assert at_once([read_along, write]) == [None, None]


# Asking


def test_models_are_listed_by_name(models: ModelFiles) -> None:
    for name in ("wine", "a-b", "titanic"):
        models.publish(a_manifest(name), FILES)

    assert models.models() == ["a-b", "titanic", "wine"]


def test_before_the_first_push_there_are_no_models(tmp_path: Path) -> None:
    assert ModelFiles(tmp_path / "not" / "there").models() == []


def test_an_unknown_model_is_told_with_those_that_are_there(models: ModelFiles) -> None:
    models.publish(a_manifest("wine"), FILES)
    models.publish(a_manifest("titanic"), FILES)

    with pytest.raises(UnknownModelError) as caught:
        models.manifest("titanik", 1)

    assert caught.value.detail == "no model 'titanik'; there are titanic, wine"


def test_an_unknown_model_is_told_when_there_is_none(models: ModelFiles) -> None:
    with pytest.raises(UnknownModelError) as caught:
        models.versions("titanic")

    assert caught.value.detail == "no model 'titanic'; none was pushed yet"


@pytest.mark.parametrize("version", [0, -1, 3, 10**30])
def test_an_unknown_version_is_told_with_the_latest(models: ModelFiles, version: int) -> None:
    models.publish(a_manifest(), FILES)
    models.publish(a_manifest(), FILES)

    with pytest.raises(UnknownVersionError) as caught:
        models.manifest("titanic", version)

    assert caught.value.detail == f"model titanic has no version {version}; its latest is 2"


def test_a_file_that_a_version_lacks_is_told(models: ModelFiles) -> None:
    models.publish(a_manifest(), FILES)

    with pytest.raises(UnknownVersionError, match=r"model titanic version 1 has no reference\.json"):
        models.file("titanic", 1, "reference.json")


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "a/b", "../titanic", "/etc", "titanic/1", "titanic/../titanic", "Titanic", "\x00", "a" * 300],
)
def test_a_name_that_could_be_a_path_is_an_unknown_model(models: ModelFiles, tmp_path: Path, name: str) -> None:
    ModelFiles(tmp_path.parent).publish(a_manifest(), FILES)
    models.publish(a_manifest(), FILES)

    with pytest.raises(UnknownModelError):
        models.versions(name)
    with pytest.raises(UnknownModelError):
        models.manifest(name, 1)
    with pytest.raises(UnknownModelError):
        models.file(name, 1, "model.skops")


def test_a_version_that_appears_after_it_was_asked_for_is_found(models: ModelFiles, tmp_path: Path) -> None:
    models.publish(a_manifest(), FILES)
    with pytest.raises(UnknownVersionError):
        models.manifest("titanic", 2)

    ModelFiles(tmp_path).publish(a_manifest(job_id="job_2"), FILES)

    assert models.manifest("titanic", 2).job_id == "job_2"
