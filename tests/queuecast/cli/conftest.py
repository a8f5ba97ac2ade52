import pytest

from tests.queuecast.cli.command_line import PREDICT, PREDICTED, SCHEMA
from tests.queuecast.scripted_gateway import ScriptedGateway


@pytest.fixture
def titanic(gateway: ScriptedGateway) -> ScriptedGateway:
    properties = {
        "age": {"type": ["number", "null"]},
        "sibsp": {"type": "integer"},
        "ticket": {"type": "string"},
        "alone": {"type": ["boolean", "null"]},
        "port": {"type": ["string", "null"], "enum": ["S", "C", None]},
    }
    gateway.on(SCHEMA, {"type": "object", "properties": properties, "required": [], "examples": []})
    gateway.on(PREDICT, PREDICTED)
    return gateway
