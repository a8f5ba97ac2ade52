"""Parts of a route's description -> parts of the OpenAPI document."""

from collections.abc import Mapping
from typing import Any

from api.http.errors import PROBLEM_TYPE
from api.openapi.components import SchemaComponents
from api.openapi.operations import Answer, Body, Operation, Refusal
from api.openapi.response_parts import REQUEST_ID, RETRY_AFTER, UNSATISFIED_RANGE, Header, Link
from api.schemas.fields import FILE_ID, JOB_ID, NAME
from api.schemas.problems import Problem

PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "model": {
        "description": "The name of the model.",
        "schema": {"type": "string", "pattern": NAME},
        "example": "titanic",
    },
    "version": {
        "description": "The number of the version.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "alias": {
        "description": "The name of the alias.",
        "schema": {"type": "string", "pattern": "^([a-z]|[0-9]+[a-z_-])[a-z0-9_-]*$", "maxLength": 64},
        "example": "challenger",
    },
    "job_id": {"description": "The id of the job.", "schema": {"type": "string", "pattern": JOB_ID}},
    "file_id": {"description": "The id of the file.", "schema": {"type": "string", "pattern": FILE_ID}},
}


def operation_element(operation: Operation, schemas: SchemaComponents) -> dict[str, Any]:
    responses = {status: _answer(answer, schemas) for status, answer in operation.answers.items()}
    by_status: dict[int, list[Refusal]] = {}
    for refusal in operation.refusals:
        by_status.setdefault(refusal.status, []).append(refusal)
    responses |= {status: _problem(status, refusals, schemas) for status, refusals in by_status.items()}
    element = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": operation.description,
        "tags": [operation.tag],
        "parameters": _parameters(operation, schemas),
        "responses": {str(status): responses[status] for status in sorted(responses)},
    }
    return element if operation.body is None else element | {"requestBody": _request_body(operation.body, schemas)}


def header_elements(headers: tuple[Header, ...]) -> dict[str, Any]:
    """The components; `_header_references` refers to them."""
    return {
        header.component: {
            "description": header.description,
            **({"required": True} if header.is_required else {}),
            "schema": header.schema,
        }
        for header in headers
    }


def link_elements(links: tuple[Link, ...]) -> dict[str, Any]:
    return {
        link.name: {
            "operationId": link.operation,
            "description": link.description,
            "parameters": link.parameters,
            **({} if link.body is None else {"requestBody": link.body}),
        }
        for link in links
    }


def _parameters(operation: Operation, schemas: SchemaComponents) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True} | PATH_PARAMETERS[name] for name in operation.path_parameters
    ]
    for kind in operation.parameters:
        fields = schemas.schemas[kind.__name__]
        place = "query" if kind.__name__.endswith("Query") else "header"
        for name, schema in fields["properties"].items():
            found.append(
                {
                    "name": name,
                    "in": place,
                    "required": name in fields["required"],
                    "description": schema["description"],
                    "schema": {key: value for key, value in schema.items() if key != "description"},
                }
            )
    return found


def _request_body(body: Body, schemas: SchemaComponents) -> dict[str, Any]:
    content = _content(body.content, schemas)
    if body.examples:
        examples = {name: {"summary": each.summary, "value": each.value} for name, each in body.examples.items()}
        content["application/json"]["examples"] = examples
    if body.encoding:
        encoding = {part: {"contentType": media_type} for part, media_type in body.encoding.items()}
        content["multipart/form-data"]["encoding"] = encoding
    return {"required": body.is_required, "content": content}


def _answer(answer: Answer, schemas: SchemaComponents) -> dict[str, Any]:
    element: dict[str, Any] = {
        "description": answer.description,
        "headers": _header_references(REQUEST_ID, *answer.headers),
    }
    if answer.content:
        element["content"] = _content(answer.content, schemas)
    if answer.links:
        element["links"] = {link.name: {"$ref": f"#/components/links/{link.name}"} for link in answer.links}
    return element


def _problem(status: int, refusals: list[Refusal], schemas: SchemaComponents) -> dict[str, Any]:
    """Codes are examples: an enumeration would break generated clients with each code that is added."""
    codes: dict[str, list[str]] = {}
    for refusal in refusals:
        codes.setdefault(refusal.title, []).append(f"`{refusal.code}`")
    headers = [REQUEST_ID]
    headers += [RETRY_AFTER] if status == 503 else []
    headers += [UNSATISFIED_RANGE] if status == 416 else []
    return {
        "description": "; ".join(f"{title}: {', '.join(of_title)}" for title, of_title in codes.items()),
        "headers": _header_references(*headers),
        "content": {
            "application/problem+json": {
                "schema": schemas.of(Problem),
                "examples": {refusal.code: {"value": _example_problem(refusal)} for refusal in refusals},
            }
        },
    }


def _example_problem(refusal: Refusal) -> dict[str, Any]:
    return {
        "type": PROBLEM_TYPE + refusal.code,
        "title": refusal.title,
        "status": refusal.status,
        "detail": "The value that was found, and the one that was expected.",
        "code": refusal.code,
        "instance": "/v1/...",
        "request_id": "5f0c1a5e6b7d4c0e9a8b7c6d5e4f3a2b",
    }


def _header_references(*headers: Header) -> dict[str, Any]:
    return {header.name: {"$ref": f"#/components/headers/{header.component}"} for header in headers}


def _content(content: Mapping[str, Any], schemas: SchemaComponents) -> dict[str, Any]:
    return {media_type: {} if body is None else {"schema": schemas.of(body)} for media_type, body in content.items()}
