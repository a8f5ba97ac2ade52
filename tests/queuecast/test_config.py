"""Every setting is read from its variable, and an invalid value is reported with its variable."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from queuecast.config import DURABILITIES, SettingError, Settings, read_settings, variable

NUMBERS = {field.name: field.metadata["minimum"] for field in fields(Settings) if isinstance(field.default, int)}
WORDS = [field.name for field in fields(Settings) if isinstance(field.default, str)]
FREE_WORDS = [name for name in WORDS if name != "durability"]
PATHS = [field.name for field in fields(Settings) if isinstance(field.default, Path)]


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == Settings()


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_has_a_default_and_a_reason(field: Any) -> None:
    assert field.metadata["reason"]
    assert isinstance(field.default, int | str | Path)


def test_every_setting_is_a_number_a_word_or_a_path() -> None:
    assert sorted([*NUMBERS, *WORDS, *PATHS]) == sorted(field.name for field in fields(Settings))


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_read_from_its_variable(name: str) -> None:
    assert getattr(read_settings({variable(name): "123456"}), name) == 123456


@pytest.mark.parametrize("name", FREE_WORDS)
def test_a_word_is_read_from_its_variable(name: str) -> None:
    assert getattr(read_settings({variable(name): "a word"}), name) == "a word"


@pytest.mark.parametrize("name", PATHS)
def test_a_path_is_read_from_its_variable(name: str) -> None:
    assert getattr(read_settings({variable(name): "/some/where"}), name) == Path("/some/where")


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_only_its_own_variable_sets_a_setting(name: str) -> None:
    others = {variable(each.name): "123456" for each in fields(Settings) if each.name != name}
    others |= {variable("durability"): "fsync"} if name != "durability" else {}

    assert getattr(read_settings(others | {name: "9", name.upper(): "9"}), name) == getattr(Settings(), name)


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_an_empty_variable_counts_as_unset(name: str) -> None:
    assert read_settings({variable(name): ""}) == Settings()


@pytest.mark.parametrize("text", ["many", "1.5", "1e3", "0x10", "1s", "-", "true"])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_of_the_wrong_kind_names_the_variable(name: str, text: str) -> None:
    with pytest.raises(SettingError) as caught:
        read_settings({variable(name): text})

    assert str(caught.value) == f"{variable(name)} is {text!r}, expected a whole number"


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_below_its_minimum_names_the_variable(name: str) -> None:
    least = NUMBERS[name]

    with pytest.raises(SettingError) as caught:
        read_settings({variable(name): str(least - 1)})

    assert str(caught.value) == f"{variable(name)} is {least - 1}, expected at least {least}"


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_at_its_minimum_is_accepted(name: str) -> None:
    assert getattr(read_settings({variable(name): str(NUMBERS[name])}), name) == NUMBERS[name]


@pytest.mark.parametrize("name", NUMBERS)
def test_every_default_is_at_least_the_minimum(name: str) -> None:
    assert getattr(Settings(), name) >= NUMBERS[name]


@pytest.mark.parametrize("word", DURABILITIES)
def test_a_durability_is_one_of_two_words(word: str) -> None:
    assert read_settings({variable("durability"): word}).durability == word


@pytest.mark.parametrize("word", ["always", "FSYNC", "no", "123456", " fsync"])
def test_any_other_durability_names_the_variable_and_both_words(word: str) -> None:
    with pytest.raises(SettingError) as caught:
        read_settings({variable("durability"): word})

    assert str(caught.value) == f"QUEUECAST_DURABILITY is {word!r}, expected everysec or fsync"


# The password file


@pytest.mark.parametrize(
    ("url", "password", "expected"),
    [
        ("redis://redis:6379/0", "s3cret", "redis://:s3cret@redis:6379/0"),
        ("redis://redis:6379/0", "s3cret\n", "redis://:s3cret@redis:6379/0"),
        ("redis://worker@redis:6379/2", "s3cret", "redis://worker:s3cret@redis:6379/2"),
        ("redis://redis", "a/b@c:d#e?f%", "redis://:a%2Fb%40c%3Ad%23e%3Ff%25@redis"),
        ("rediss://[::1]:6380/0?ssl_cert_reqs=required", "x", "rediss://:x@[::1]:6380/0?ssl_cert_reqs=required"),
    ],
)
def test_the_password_in_the_file_is_put_into_the_url(tmp_path: Path, url: str, password: str, expected: str) -> None:
    file = tmp_path / "password"
    file.write_text(password)

    assert Settings(redis_url=url, redis_password_file=str(file)).redis_url_with_password == expected


@pytest.mark.parametrize("url", ["redis://redis:6379/0", "redis://:s3cret@redis:6379/0"])
def test_the_url_is_unchanged_without_a_password_file(url: str) -> None:
    assert Settings(redis_url=url).redis_url_with_password == url


def test_a_password_in_both_places_is_refused_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret")
    settings = Settings(redis_url="redis://:0ther@redis:6379/0", redis_password_file=str(file))

    with pytest.raises(SettingError, match="QUEUECAST_REDIS_PASSWORD_FILE") as caught:
        _ = settings.redis_url_with_password

    assert "QUEUECAST_REDIS_URL" in str(caught.value)
    assert not any(secret in str(caught.value) for secret in ("s3cret", "0ther"))


def test_a_missing_password_file_names_the_variable(tmp_path: Path) -> None:
    settings = Settings(redis_password_file=str(tmp_path / "missing"))

    with pytest.raises(SettingError, match="QUEUECAST_REDIS_PASSWORD_FILE"):
        _ = settings.redis_url_with_password


# The names of the gateway


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {"127.0.0.1"}),
        ({"QUEUECAST_API_HOST": "0.0.0.0"}, set()),
        ({"QUEUECAST_API_HOST": "::"}, set()),
        ({"QUEUECAST_API_HOST": "192.168.1.5"}, {"192.168.1.5"}),
        ({"QUEUECAST_API_HOSTS": "api,"}, {"127.0.0.1", "api"}),
        ({"QUEUECAST_API_HOSTS": " api , models.example.com,::1 "}, {"127.0.0.1", "api", "models.example.com", "::1"}),
    ],
)
def test_the_names_of_the_gateway_are_its_address_and_the_listed_ones(
    environ: dict[str, str], expected: set[str]
) -> None:
    assert read_settings(environ).own_hosts == expected


@pytest.mark.parametrize("hosts", ["http://api", "api:8000", "a b", "*", "api/x", "[::1]", "user@host"])
def test_a_listed_name_with_more_than_the_name_is_refused(hosts: str) -> None:
    with pytest.raises(SettingError, match="QUEUECAST_API_HOSTS has"):
        _ = read_settings({"QUEUECAST_API_HOSTS": hosts}).own_hosts
