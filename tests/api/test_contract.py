"""Generated requests to the gateway, by its own OpenAPI document: no 5xx, and responses as described."""

import tempfile
from pathlib import Path

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.conftest import Gateway

folder = tempfile.TemporaryDirectory(prefix="contract-")  # removed when the interpreter ends
gateway = Gateway(Path(folder.name))
gateway.publish()
schema = schemathesis.openapi.from_wsgi("/openapi.json", gateway.app())
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@schema.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_responses_match_the_document(case: schemathesis.Case) -> None:
    if "champion" not in gateway.aliases.read("titanic").versions:  # a request has deleted the model
        gateway.publish()
    case.call_and_validate(checks=CHECKS)
