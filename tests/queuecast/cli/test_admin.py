"""`queuecast admin` as an operator runs it: its output, its refusals, and the state of Redis afterwards."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

from queuecast.adapters.disk.audit import FILE, AuditFiles
from queuecast.adapters.disk.models import ModelFiles
from queuecast.adapters.redis.aliases import RedisAliases
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.cli.main import main
from queuecast.domain.job import JobType
from queuecast.domain.model import Aliases
from tests.queuecast.domain.records import NOW, a_job, a_manifest, a_move, work_of
from tests.redis_of_version import RedisOfVersion, info_of
from tests.redis_servers import redis_server_in
from worker.reaper.audit_export import AuditExport

MOVES = [a_move(1, 1), a_move(2, 2, previous=1), a_move(3, 2, "challenger")]
Admin = Callable[..., Result]


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as connected:
        yield connected


@pytest.fixture
def aliases(client: redis.Redis) -> RedisAliases:
    return RedisAliases(client)


@pytest.fixture
def audit_export(aliases: RedisAliases, tmp_path: Path) -> AuditExport:
    """Two models with two versions each, and the exported audit trail of titanic."""
    models = ModelFiles(tmp_path / "models")
    for number, name in enumerate(("titanic", "wine", "titanic", "wine")):
        models.publish(a_manifest(name, job_id=f"job_{number}"), {})
    for move in MOVES:
        aliases.move("titanic", move)
    trail = AuditExport(aliases, AuditFiles(tmp_path / "models"), models)
    trail.export()
    return trail


@pytest.fixture
def admin(redis_url: str, tmp_path: Path) -> Admin:
    def run(*words: str, **environ: str) -> Result:
        settings = {"QUEUECAST_REDIS_URL": redis_url, "QUEUECAST_DATA_DIR": str(tmp_path)}
        return CliRunner().invoke(main, ["admin", *words], env=settings | environ)

    return run


class TestWiring:
    def test_the_help_of_the_group_lists_its_commands(self, admin: Admin) -> None:
        shown = admin("--help")

        assert shown.exit_code == 0
        for name in ("backup", "restore", "rebuild-aliases", "verify-audit"):
            assert f"  {name} " in shown.output

    @pytest.mark.parametrize("name", ["backup", "restore", "rebuild-aliases", "verify-audit"])
    def test_every_command_has_help(self, admin: Admin, name: str) -> None:
        shown = admin(name, "--help")

        assert shown.exit_code == 0
        assert f"admin {name}" in shown.output

    def test_a_usage_error_exits_with_code_2(self, admin: Admin) -> None:
        assert [admin(*words).exit_code for words in (("backup",), ("restore",), ("nothing",))] == [2, 2, 2]

    def test_the_module_runs_without_rich_and_the_clients_http_library(self, repository: Path) -> None:
        code = (
            "import sys, runpy\n"
            "for name in ('rich', 'httpx2', 'stamina', 'flask', 'sklearn', 'pandas'): sys.modules[name] = None\n"
            "sys.argv = ['admin', '--help']\nrunpy.run_module('queuecast.cli.admin', run_name='__main__')"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, timeout=60, check=False
        )

        assert (ended.returncode, "rebuild-aliases" in ended.stdout) == (0, True), ended.stderr

    @pytest.mark.parametrize("words", [["admin", "verify-audit"], ["admin", "--help"]])
    def test_without_redis_py_one_line_says_how_to_install_it(self, repository: Path, words: list[str]) -> None:
        ended = _cli_without_redis(repository, words)

        assert ended.returncode == 1
        assert ended.stderr.splitlines() == [
            "Error: the package redis is not installed; install it with pip install 'redis>=6', or run "
            "python -m queuecast.cli.admin where the workers run"
        ]

    def test_without_redis_py_the_other_commands_still_work(self, repository: Path) -> None:
        ended = _cli_without_redis(repository, ["--help"])

        assert (ended.returncode, ended.stderr) == (0, "")
        assert "admin " in ended.stdout

    def test_an_image_contains_every_module_that_the_operators_commands_import(self, repository: Path) -> None:
        code = (
            "import sys, queuecast.cli.admin\n"
            "print(*(m.__file__ for n, m in sys.modules.items() if n[:9] == 'queuecast'))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, timeout=60, check=True
        )

        loaded = [Path(path).relative_to(repository).as_posix() for path in ended.stdout.split()]

        assert "queuecast/adapters/redis/backup.py" in loaded
        assert "queuecast/cli/errors.py" in loaded
        assert [path for path in loaded if not is_in_an_image(repository, path)] == []
        assert not is_in_an_image(repository, "queuecast/cli/main.py")
        assert not is_in_an_image(repository, "queuecast/client/client.py")


def is_in_an_image(repository: Path, path: str) -> bool:
    """Reads .dockerignore as Docker does: the last pattern that matches the path or a folder of it decides."""
    names = {path, *map(str, Path(path).parents)}
    is_in = True
    for line in (repository / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if pattern and not pattern.startswith("#") and any(fnmatch(name, pattern) for name in names):
            is_in = line.startswith("!")
    return is_in


def _cli_without_redis(repository: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    code = f"import sys\nsys.modules['redis'] = None\nfrom queuecast.cli.main import main\nmain({words!r})"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.redis
class TestBackupAndRestore:
    def test_a_backup_prints_a_summary_and_can_be_restored(
        self, admin: Admin, client: redis.Redis, tmp_path: Path
    ) -> None:
        jobs, aliases = RedisJobs(client), RedisAliases(client)
        made = [a_job() for _ in range(3)]
        for job in made:
            jobs.create(job, work_of(JobType.PREDICTION), b"[]")
        jobs.replace(made[0].cancel_requested(NOW, 3600.0))
        aliases.move("titanic", MOVES[0])
        file = tmp_path / "backup.jsonl"

        saved = admin("backup", str(file))
        client.flushall()
        restored = admin("restore", str(file))

        assert saved.output.startswith(f"{file}: 3 jobs, aliases of 1 model, ")
        assert saved.output.endswith(f", {file.stat().st_size} bytes\n")
        assert ", 3 of them jobs; 0 already present, 0 expired; 2 jobs to run" in restored.output
        assert [jobs.read(job.id).is_final for job in made] == [True, False, False]
        assert (aliases.read("titanic"), aliases.history("titanic")) == (Aliases(1, {"champion": 1}), MOVES[:1])

    def test_a_restore_into_a_redis_that_is_not_empty_needs_force(
        self, admin: Admin, client: redis.Redis, tmp_path: Path
    ) -> None:
        file = str(tmp_path / "backup.jsonl")
        client.hset("qc:job:job_1", "state", "failed")
        admin("backup", file)

        refused, forced = admin("restore", file), admin("restore", file, "--force")

        assert (refused.exit_code, forced.exit_code) == (1, 0)
        assert refused.output.splitlines() == [
            "Error: this Redis is not empty: it has qc:job:job_1; --force adds only keys that are missing"
        ]
        assert "1 already present" in forced.output

    def test_a_damaged_backup_is_refused_and_nothing_is_written(
        self, admin: Admin, client: redis.Redis, tmp_path: Path
    ) -> None:
        file = tmp_path / "backup.jsonl"
        client.hset("qc:job:job_1", "state", "failed")
        admin("backup", str(file))
        client.flushall()
        file.write_bytes(file.read_bytes().replace(b"failed", b"queued"))

        refused = admin("restore", str(file))

        assert refused.exit_code == 1
        assert len(refused.output.splitlines()) == 1
        assert "is damaged" in refused.output
        assert client.dbsize() == 0

    def test_a_long_backup_reports_its_progress(
        self, admin: Admin, client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import queuecast.cli.admin  # noqa: PLC0415

        monkeypatch.setattr(queuecast.cli.admin, "PROGRESS_EVERY_S", 0.0)
        client.hset("qc:job:job_1", "state", "failed")

        assert "1 record written ..." in admin("backup", str(tmp_path / "b")).stderr

    @pytest.mark.parametrize(
        ("words", "error"),
        [
            (["restore", "{tmp}/none.jsonl"], "{tmp}/none.jsonl: No such file or directory"),
            (["restore", "{tmp}"], "{tmp}: Is a directory"),
            (["backup", "{tmp}/none/b.jsonl"], "No such file or directory"),
            (["backup", "{tmp}"], "Is a directory"),
        ],
    )
    def test_a_file_that_cannot_be_opened_is_a_one_line_error(
        self, admin: Admin, tmp_path: Path, words: list[str], error: str
    ) -> None:
        refused = admin(*[word.format(tmp=tmp_path) for word in words])

        assert refused.exit_code == 1
        assert len(refused.output.splitlines()) == 1
        assert error.format(tmp=tmp_path) in refused.output
        assert not [path for path in tmp_path.iterdir() if path.is_file()]

    def test_the_embedded_redis_of_make_run_is_found(self, admin: Admin, tmp_path: Path) -> None:
        server = redis_server_in(tmp_path / "redis")
        server.start()
        try:
            with connect(server.url) as embedded:
                embedded.hset("qc:job:job_1", "state", "failed")
            saved = admin("backup", str(tmp_path / "b.jsonl"), QUEUECAST_REDIS_URL="")
        finally:
            server.stop()

        assert "1 job," in saved.output


def test_a_redis_that_is_too_old_is_named_with_what_is_expected(admin: Admin, tmp_path: Path) -> None:
    with RedisOfVersion(info_of("6.2.5")) as old:
        refused = admin("backup", str(tmp_path / "b.jsonl"), QUEUECAST_REDIS_URL=old.url)

    assert refused.exit_code == 1
    assert refused.output == (
        f"Error: this Redis cannot be used: found Redis 6.2.5 at 127.0.0.1:{old.port}, "
        "expected Redis 7.0 or later, or Valkey\n"
    )


@pytest.mark.redis
@pytest.mark.parametrize(
    ("environ", "error"),
    [
        ({"QUEUECAST_REDIS_URL": "redis://:secret@127.0.0.1:1/0"}, "Redis does not answer at 127.0.0.1:1 "),
        ({"QUEUECAST_REDIS_URL": "http://127.0.0.1"}, "Redis URL must specify one of the following schemes"),
        ({"QUEUECAST_REDIS_PASSWORD_FILE": "/none"}, "QUEUECAST_REDIS_PASSWORD_FILE"),
        (
            {"QUEUECAST_DATA_DIR": "/none"},
            "no folder /none/models; set QUEUECAST_DATA_DIR to the folder",
        ),
        ({"QUEUECAST_API_PORT": "x"}, "QUEUECAST_API_PORT is 'x', expected a whole number"),
    ],
)
def test_a_wrong_setting_is_a_one_line_error(
    admin: Admin, audit_export: AuditExport, environ: dict[str, str], error: str
) -> None:
    refused = admin("rebuild-aliases", **environ)

    assert refused.exit_code == 1
    assert len(refused.output.splitlines()) == 1
    assert error in refused.output
    assert "secret" not in refused.output


@pytest.mark.redis
class TestRebuildAliases:
    def test_a_rebuild_restores_aliases_and_history_of_a_lost_redis(
        self, admin: Admin, audit_export: AuditExport, aliases: RedisAliases, client: redis.Redis
    ) -> None:
        client.flushall()

        done = admin("rebuild-aliases")

        assert done.output == (
            "titanic: 3 moves restored, generation 3: challenger is version 2, champion is version 2\n"
        )
        assert (aliases.read("titanic"), aliases.history("titanic")) == (
            Aliases(3, {"champion": 2, "challenger": 2}),
            MOVES,
        )

    def test_a_rebuild_restores_the_last_moves_that_redis_lost(
        self, admin: Admin, audit_export: AuditExport, aliases: RedisAliases, client: redis.Redis
    ) -> None:
        client.flushall()
        aliases.move("titanic", MOVES[0])

        assert admin("rebuild-aliases").output.startswith("titanic: 2 moves restored, generation 3")
        assert aliases.history("titanic") == MOVES

    def test_a_rebuild_without_losses_changes_nothing(
        self, admin: Admin, audit_export: AuditExport, aliases: RedisAliases
    ) -> None:
        done = admin("rebuild-aliases")

        assert (done.exit_code, done.output[:22]) == (0, "titanic: nothing to do")

    def test_moves_that_are_only_in_redis_are_discarded_with_force_only(
        self, admin: Admin, audit_export: AuditExport, aliases: RedisAliases
    ) -> None:
        aliases.move("titanic", a_move(4, 1))

        refused = admin("rebuild-aliases", "--model", "titanic")
        still = aliases.read("titanic")
        forced = admin("rebuild-aliases", "--model", "titanic", "--force")

        assert refused.exit_code == 1
        assert refused.output == (
            "Error: titanic: Redis is at generation 4, the audit file at 3; 1 move is only in Redis, "
            "the first one champion to version 1; --force discards the moves that are only in Redis\n"
        )
        assert still == Aliases(4, {"champion": 1, "challenger": 2})
        assert forced.output.startswith("titanic: 0 moves restored, 1 discarded, generation 3")
        assert aliases.history("titanic") == MOVES

    def test_a_redis_whose_history_diverged_is_replaced_with_force_and_never_merged(
        self, admin: Admin, audit_export: AuditExport, aliases: RedisAliases, client: redis.Redis
    ) -> None:
        client.flushall()
        aliases.move("titanic", a_move(1, 1, reason="since"))
        audit_export.export()

        refused = admin("rebuild-aliases")
        forced = admin("rebuild-aliases", "--force")

        assert (refused.exit_code, forced.exit_code) == (1, 0)
        assert aliases.history("titanic") == MOVES
        assert audit_export.export() == 0

    def test_an_alias_to_a_missing_version_is_refused(
        self, admin: Admin, aliases: RedisAliases, audit_export: AuditExport, client: redis.Redis
    ) -> None:
        aliases.move("wine", a_move(1, 3))
        audit_export.export()
        client.flushall()

        done = admin("rebuild-aliases", "--force")

        assert done.exit_code == 1
        assert done.stderr == (
            "Error: wine: champion would be version 3, which is not in the file store; restore its folder first\n"
        )
        assert aliases.read("wine") == Aliases()
        assert aliases.read("titanic").generation == 3

    def test_a_rebuild_restores_deletions(
        self, admin: Admin, audit_export: AuditExport, aliases: RedisAliases, client: redis.Redis
    ) -> None:
        aliases.delete("titanic", a_move(4, 1, "", "delete_version"))
        aliases.move("wine", a_move(1, 2))
        aliases.delete("wine", a_move(2, 2, "", "delete_model"))
        audit_export.export()
        before = aliases.read("titanic"), aliases.read("wine")
        client.flushall()

        done = admin("rebuild-aliases")

        assert done.output == (
            "titanic: 4 moves restored, generation 4: challenger is version 2, champion is version 2, "
            "1 deleted version\nwine: 2 moves restored, generation 2: no aliases, 2 deleted versions\n"
        )
        assert (aliases.read("titanic"), aliases.read("wine")) == before
        assert admin("verify-audit").exit_code == 0

    def test_a_deletion_that_is_only_in_redis_is_discarded_with_force_only(
        self, admin: Admin, audit_export: AuditExport, aliases: RedisAliases
    ) -> None:
        aliases.delete("titanic", a_move(4, 1, "", "delete_version"))

        refused = admin("rebuild-aliases", "--model", "titanic")
        forced = admin("rebuild-aliases", "--model", "titanic", "--force")

        assert "the first one deletes version 1;" in refused.output
        assert forced.exit_code == 0
        assert aliases.read("titanic").deleted == frozenset()

    def test_an_edited_trail_is_refused(
        self, admin: Admin, audit_export: AuditExport, aliases: RedisAliases, client: redis.Redis, tmp_path: Path
    ) -> None:
        client.flushall()
        path = tmp_path / "models/titanic" / FILE
        path.write_bytes(path.read_bytes().replace(b'"version":2', b'"version":1', 1))

        refused = admin("rebuild-aliases", "--force")

        assert refused.exit_code == 1
        assert "line 2: not as it was written" in refused.output
        assert aliases.read("titanic") == Aliases()

    @pytest.mark.parametrize("model", ["wine", "none", "../x"])
    def test_a_model_without_a_trail_is_refused(self, admin: Admin, audit_export: AuditExport, model: str) -> None:
        refused = admin("rebuild-aliases", "--model", model)

        assert (refused.exit_code, refused.output) == (
            1,
            f"Error: {model}: the file store has no audit trail of {model}\n",
        )


@pytest.mark.redis
class TestVerifyAudit:
    def test_an_intact_trail_agrees_with_redis(self, admin: Admin, audit_export: AuditExport) -> None:
        done = admin("verify-audit")

        assert (done.exit_code, done.output) == (
            0,
            "titanic: 3 moves, the hash chain is intact, Redis has the same 3\n",
        )

    def test_moves_that_are_not_exported_yet_are_no_loss(
        self, admin: Admin, audit_export: AuditExport, aliases: RedisAliases
    ) -> None:
        aliases.move("titanic", a_move(4, 1))

        done = admin("verify-audit")

        assert (done.exit_code, done.output) == (
            0,
            "titanic: 3 moves, the hash chain is intact, Redis has 1 more, which the reaper will append\n",
        )

    def test_lines_cut_off_at_the_end_of_a_trail_are_detected(
        self, admin: Admin, audit_export: AuditExport, tmp_path: Path
    ) -> None:
        path = tmp_path / "models/titanic" / FILE
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))

        refused = admin("verify-audit")

        assert refused.exit_code == 1
        assert "Redis has 1 move more: the end of the audit file is missing" in refused.output

    def test_a_lost_redis_is_detected(self, admin: Admin, audit_export: AuditExport, client: redis.Redis) -> None:
        client.flushall()

        refused = admin("verify-audit")

        assert refused.exit_code == 1
        assert "the audit file has 3 moves and Redis 0, of which the first 0 agree" in refused.output

    def test_an_edited_trail_does_not_stop_the_check_of_the_others(
        self, admin: Admin, audit_export: AuditExport, aliases: RedisAliases, tmp_path: Path
    ) -> None:
        aliases.move("wine", a_move(1, 1))
        audit_export.export()
        path = tmp_path / "models/titanic" / FILE
        path.write_bytes(path.read_bytes().replace(b'"version":2', b'"version":1', 1))

        refused = admin("verify-audit")

        assert refused.exit_code == 1
        assert "line 2: not as it was written" in refused.stderr
        assert refused.stdout == "wine: 1 move, the hash chain is intact, Redis has the same 1\n"

    def test_the_hash_chains_are_checked_without_redis_too(self, admin: Admin, audit_export: AuditExport) -> None:
        done = admin("verify-audit", QUEUECAST_REDIS_URL="redis://127.0.0.1:1/0")

        assert (done.exit_code, done.stdout) == (0, "titanic: 3 moves, the hash chain is intact\n")
        assert "lines cut off at the end of a trail go undetected" in done.stderr


@pytest.mark.redis
def test_a_backup_during_writes_has_no_torn_record(admin: Admin, redis_url: str, tmp_path: Path) -> None:
    """Another process writes as fast as it can. Every record in the backup is complete."""
    file, code = tmp_path / "b.jsonl", (
        "import os\nfrom queuecast.adapters.redis.connection import connect\n"
        "from queuecast.adapters.redis.jobs import RedisJobs\n"
        "from queuecast.domain.job import JobType\nfrom tests.queuecast.domain.records import a_job, work_of\n"
        "jobs = RedisJobs(connect(os.environ['QUEUECAST_REDIS_URL']))\nwork = work_of(JobType.PREDICTION)\n"
        "print('ready', flush=True)\n"
        "while True:\n  job = a_job()\n  jobs.create(job, work, b'[]')\n"
        "  jobs.replace(job.cancel_requested(job.created_at, 3600.0))\n"
    )  # fmt: skip
    writer = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "QUEUECAST_REDIS_URL": redis_url}, stdout=subprocess.PIPE
    )
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        with connect(redis_url) as client:
            deadline = time.monotonic() + 20
            while client.zcard("qc:jobs") < 300 and time.monotonic() < deadline:
                continue
        saved = admin("backup", str(file))
    finally:
        writer.kill()
        writer.communicate()
    with connect(redis_url) as client:
        client.flushall()
        restored = admin("restore", str(file))
        keys = [key.decode().removeprefix("qc:job:") for key in client.scan_iter("qc:job:*")]
        jobs = {name: RedisJobs(client).read(name) for name in keys}
        has_end = {name: client.pexpiretime(f"qc:job:{name}") > 0 for name in keys}

    assert (saved.exit_code, restored.exit_code) == (0, 0)
    assert len(jobs) >= 300
    assert {name: job.is_final for name, job in jobs.items()} == has_end
