"""Descriptions of routes -> an OpenAPI 3.1 document, and the page that shows it. Loaded when first asked for."""

from typing import Any

import msgspec
from flask import Flask
from offapi import OpenAPITemplate
from spectree import Response as Responses
from spectree import SpecTree
from spectree.model_adapter import get_msgspec_model_adapter

from api.documents import Description
from api.schemas.responses import Problem

DESCRIPTION = (
    "queuecast turns a trained scikit-learn model into an asynchronous service. Submit a job, get an id at once, "
    "and wait for or poll the result. Every error is an RFC 9457 problem document."
)


def openapi_document(descriptions: list[Description], app: Flask, version: str) -> bytes:
    """JSON. descriptions: in the order of their routes' registration; app: knows the routes."""
    tree = SpecTree(
        "flask",
        model_adapter=get_msgspec_model_adapter(),
        title="queuecast",
        description=DESCRIPTION,
        version=version,
        mode="strict",
        annotations=False,
        naming_strategy=lambda model: getattr(model, "__name__", str(model)),
        nested_naming_strategy=lambda _parent, child: child,
        validation_error_model=Problem,
    )
    described = {each.view: _described(tree, each) for each in descriptions}
    # The tree finds its notes at the views of an application: one that has the same routes and is never called.
    shown = Flask("documents", static_folder=None)
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        shown.add_url_rule(rule.rule, rule.endpoint, described.get(view, view), methods=rule.methods)
    tree.app = shown
    with shown.app_context():
        return msgspec.json.encode(_mended(tree.spec, descriptions))


def openapi_page() -> bytes:
    """HTML that holds all of its scripts."""
    page: str = OpenAPITemplate.SWAGGER.value.format(spec_url="/openapi.json", spec_path="docs")
    return page.encode()


def _described(tree: SpecTree, description: Description) -> Any:
    answers = description.answers
    bodies = {f"HTTP_{status}": None if isinstance(body, str) else body for status, body in answers.items()}
    return tree.validate(
        json=description.json,
        query=description.query,
        form=description.form,
        headers=description.headers,
        resp=Responses(**bodies),
        tags=[description.tag],
        skip_validation=True,
        operation_id=_operation_id(description),
        # The tree adds a problem of its own to each route; this one is there already.
        validation_error_status=next((status for status in answers if status >= 400), 500),
    )(description.view)


def _operation_id(description: Description) -> str:
    return f"{description.tag}_{description.view.__name__}"


def _mended(spec: dict[str, Any], descriptions: list[Description]) -> dict[str, Any]:
    """Problems have a media type of their own, and some answers are no JSON: the tree can say neither."""
    described = {_operation_id(each): each for each in descriptions}
    for operations in spec["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                description = described[operation["operationId"]]
                body = description.answers.get(int(status))
                if isinstance(body, str):
                    media_type, _, words = body.partition(": ")
                    response["content"] = {media_type: {"schema": {"type": "string", "description": words}}}
                if status in ("200", "206"):
                    for media_type in description.files:
                        response.setdefault("content", {}).setdefault(media_type, {"schema": {}})
                if int(status) >= 400 and "application/json" in response.get("content", {}):
                    response["content"]["application/problem+json"] = response["content"].pop("application/json")
    return spec
