"""Aliases survive the loss of Redis: rebuilt from the audit files, they are unchanged and can move again."""

from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from queuecast.adapters.disk.audit import AuditFiles
from queuecast.adapters.redis.aliases import RedisAliases
from queuecast.adapters.redis.connection import connect
from queuecast.cli.main import main
from tests.api.conftest import Gateway
from worker.reaper.audit_export import AuditExport

pytestmark = pytest.mark.redis


def read_aliases(http: FlaskClient) -> dict[str, Any]:
    """The model's aliases as a user sees them."""
    model = http.get("/v1/models/titanic")
    history = http.get("/v1/models/titanic/history").json
    return {"model": model.json, "etag": model.headers["ETag"], "history": history}


def put_alias(http: FlaskClient, alias: str, version: int) -> None:
    etag = http.get("/v1/models/titanic").headers["ETag"]
    body = {"version": version, "reason": f"{alias} {version}"}
    assert http.put(f"/v1/models/titanic/aliases/{alias}", json=body, headers={"If-Match": etag}).status_code == 200


def test_aliases_generation_and_history_survive_the_loss_of_redis_and_a_rollback_works(
    gateway: Gateway, redis_url: str
) -> None:
    with connect(redis_url) as client:
        gateway.aliases = RedisAliases(client)
        http = gateway.app().test_client()
        audit = AuditExport(gateway.aliases, AuditFiles(gateway.folder / "models"), gateway.models)
        for number in range(2):
            gateway.publish(job_id=f"job_{number}")
        put_alias(http, "champion", 2)
        put_alias(http, "canary", 1)
        put_alias(http, "champion", 3)
        audit.export()
        before = read_aliases(http)
        client.flushall()
        assert read_aliases(http) != before

        settings = {"QUEUECAST_REDIS_URL": redis_url, "QUEUECAST_DATA_DIR": str(gateway.folder)}
        rebuilt = CliRunner().invoke(main, ["admin", "rebuild-aliases"], env=settings)

        assert rebuilt.exit_code == 0, rebuilt.output
        assert read_aliases(http) == before
        assert http.post("/v1/models/titanic/rollback").json["aliases"]["champion"] == 2
        assert (audit.export(), audit.export_all()) == (1, 0)
        assert AuditFiles(gateway.folder / "models").read("titanic") == gateway.aliases.history("titanic")
