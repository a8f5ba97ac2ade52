"""Every Lua script is used, takes its arguments by name, and gets its keys from one place."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import redis

from queuecast.adapters.redis import keys, script_loader
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.script_loader import FOLDER, Script, argument_names, source

ADAPTERS = FOLDER.parent
SHARED = {"lane"}
SCRIPTS = sorted({path.stem for path in FOLDER.glob("*.lua")} - SHARED)
GROUPED = r"local ([\w\s,]+?) = unpack\(ARGV, at, at \+ (\d+)\)"


def lua(name: str) -> str:
    return (FOLDER / f"{name}.lua").read_text()


def python_files() -> list[Path]:
    return sorted(ADAPTERS.rglob("*.py"))


def calls_of_scripts(path: Path) -> list[tuple[str, set[str]]]:
    """The script and the named arguments of each call in a module, as in `call(self._renew, lane=lane)`."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    scripts = {
        ast.unparse(node.targets[0]): ast.literal_eval(node.value.args[1])
        for node in nodes
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == "Script"
    }
    calls = [node for node in nodes if isinstance(node, ast.Call) and node.keywords]
    named = [(_called(node), {keyword.arg or "**" for keyword in node.keywords}) for node in calls]
    return [(scripts[name], arguments) for name, arguments in named if name in scripts]


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute) and node.func.attr == "args":
        return ast.unparse(node.func.value)
    return ast.unparse(node.args[0]) if node.args else ""


def test_every_script_is_used_by_one_adapter() -> None:
    used = [name for path in python_files() for name in re.findall(r'Script\(\w+, "(\w+)"\)', path.read_text())]

    assert sorted(used) == SCRIPTS


def test_every_call_names_the_arguments_of_its_script() -> None:
    calls = [found for path in python_files() for found in calls_of_scripts(path)]

    assert {name: arguments for name, arguments in calls if arguments != set(argument_names(name)[0])} == {}
    assert {name for name, _ in calls} == {name for name in SCRIPTS if argument_names(name)[0]}


def test_the_package_contains_the_scripts(repository: Path) -> None:
    configuration = tomllib.loads((repository / "pyproject.toml").read_text())

    assert configuration["tool"]["setuptools"]["package-data"]["queuecast.adapters.redis"] == ["scripts/*.lua"]


def test_every_shared_file_is_needed_by_a_script() -> None:
    needed = {name for script in SCRIPTS for name in re.findall(r"^-- needs (\w+)\.lua$", lua(script), re.MULTILINE)}

    assert needed == SHARED


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_says_what_it_does_and_names_its_arguments(name: str) -> None:
    lines = [line for line in lua(name).splitlines() if not line.startswith("#!")]

    assert lines[0].startswith("-- ")
    assert any(argument_names(name))
    assert "ARGV[" not in lua(name)


@pytest.mark.parametrize("name", [name for name in SCRIPTS if re.search(GROUPED, lua(name))])
def test_a_script_of_many_items_steps_by_the_number_of_their_arguments(name: str) -> None:
    ((names, last),) = re.findall(GROUPED, lua(name))
    ((first, step),) = re.findall(r"for at = (\d+), #ARGV, (\d+) do", lua(name))
    single, item = argument_names(name)

    assert re.findall(r"\w+", names) == list(item)
    assert (int(step), int(last) + 1, int(first)) == (len(item), len(item), len(single) + 1)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_that_takes_more_than_its_named_arguments_unpacks_only_those(name: str) -> None:
    # Lua's stack holds some thousand values, and `unpack(ARGV)` would put all of them there.
    single, _ = argument_names(name)
    bounded = re.findall(r"unpack\(ARGV, 1, (\d+)\)", lua(name))
    takes_more = "#ARGV" in lua(name)

    assert bounded == ([str(len(single))] if takes_more and single else [])


def test_no_key_is_written_out_in_a_script_or_an_adapter() -> None:
    texts = {path.name: path.read_text() for path in [*FOLDER.glob("*.lua"), *python_files()] if path.name != "keys.py"}

    assert [name for name, text in texts.items() if keys.PREFIX in text] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_gets_the_keys_that_it_names_and_no_global_variable(name: str) -> None:
    text = re.sub(r"--.*|'[^']*'", "", source(name).partition("\n")[2] if lua(name).startswith("#!") else source(name))
    named = set(re.findall(r"\b[A-Z_]{2,}\b", text)) - {"ARGV", "KEYS"}

    assert named <= script_loader.KEYS.keys()
    assert all(f"'{script_loader.KEYS[key]}'" in source(name) for key in named)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_flags_of_a_script_are_its_first_line(name: str) -> None:
    assert source(name).startswith("#!lua flags=allow-oom\n") == lua(name).startswith("#!")
    assert "#!" not in source(name)[2:]


@pytest.mark.redis
@pytest.mark.parametrize("name", SCRIPTS)
def test_redis_compiles_the_script(redis_url: str, name: str) -> None:
    with connect(redis_url) as client:
        assert client.script_load(source(name)) == Script(client, name).registered.sha


@pytest.mark.parametrize("given", [{}, {"lane": "a"}, {"lane": "a", "worker": "b", "entry": "c"}])
def test_arguments_that_a_script_does_not_take_are_refused(given: dict[str, str]) -> None:
    script = Script(redis.Redis(), "detach")

    with pytest.raises(TypeError, match="lane, worker"):
        script.args(**given)


def test_arguments_are_put_into_the_order_of_the_script() -> None:
    assert Script(redis.Redis(), "detach").args(worker="host:7", lane="training") == ["training", "host:7"]


@pytest.mark.parametrize("item", [("lane", "1-1", "job_1"), ("lane", "1-1", "job_1", "host:7", "")])
def test_an_item_with_another_number_of_values_is_refused(item: tuple[str, ...]) -> None:
    with pytest.raises(TypeError, match="lane, entry, id, worker"):
        Script(redis.Redis(), "renew").args([item])
