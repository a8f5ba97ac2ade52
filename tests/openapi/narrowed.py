"""Narrows the document to one model and one file, so that every request that fits it must be accepted."""

import json
from pathlib import Path
from typing import Any

import httpx2

SKOPS = "application/vnd.queuecast.skops"
"""Only in the narrowed document: the media type whose generated value is a real model file."""


def narrowed(document: Path, url: str, model: str, table: Path, target: str) -> str:
    """JSON. Rows are those of the model's own schema, and files the one that is uploaded here."""
    spec = json.loads(document.read_text())
    schemas = spec["components"]["schemas"]
    with httpx2.Client(base_url=url) as http, table.open("rb") as file:
        row = http.get(f"/v1/models/{model}/schema").raise_for_status().json()
        methods = http.get(f"/v1/models/{model}/versions/1").raise_for_status().json()["signature"]["methods"]
        stored = http.post("/v1/files", files={"file": (table.name, file, "text/csv")}).raise_for_status().json()
    columns = list(row["properties"])
    rows = [example for example in row.pop("examples") if example]
    row |= {"additionalProperties": False}  # `extra_columns: refuse` refuses them
    schemas["Rows"] |= {"items": row | {"examples": rows}, "examples": [rows]}
    for name in ("PredictionRequest", "BatchOfFile", "BatchOfRows"):
        schemas[name]["properties"]["method"] = _one_of(methods)
    for name in ("BatchOfFile", "BatchOfRows"):
        schemas[name]["properties"]["id_column"] = {"anyOf": [_one_of(columns), {"type": "null"}]}
    for name in ("TrainingRequest", "EvaluationRequest", "BatchOfFile"):
        schemas[name]["properties"]["file_id"] = _one_of([stored["id"]])
    _narrow_training(schemas, target)
    for path, operations in spec["paths"].items():
        for operation in operations.values():
            if operation["operationId"] == "models_delete_model":  # every other request would get 410 from then on
                _narrow(operation, "model-that-is-not-here", is_push=False)
                continue
            _narrow(operation, model, is_push=operation["operationId"] == "models_push")
            for media in operation.get("requestBody", {}).get("content", {}).values():
                if path.startswith("/v1/models/"):
                    media.pop("examples", None)  # they name files and columns that do not exist here
    return json.dumps(spec)


def _narrow_training(schemas: dict[str, Any], target: str) -> None:
    """Only fields whose every value fits the one model: other columns, files, metrics and parameters are refused."""
    training = schemas["TrainingRequest"]
    training["properties"]["target"] = _one_of([target])
    training["required"] = ["file_id", "target"]
    columns = ("weight_column", "group_column", "time_column", "id_column")
    for name in ("file_ids", *columns, "mode", "search"):
        training["properties"].pop(name)
    for name in ("metric", "guards", "margins", "floors"):
        schemas["GateRequest"]["properties"].pop(name)
    for name in ("min_rows", "min_class_rows"):  # 2e15 is an integer of JSON Schema, and none of a strict decoder
        schemas["GateRequest"]["properties"][name] = {"type": "integer", "enum": [2, 100]}
    schemas["PushForm"]["properties"].pop("held_out")  # it needs a target with the same name
    evaluation = schemas["EvaluationRequest"]
    evaluation["properties"]["target"] = _one_of([target])
    one = {"minItems": 1, "maxItems": 1}
    evaluation["properties"]["versions"] = {"type": "array", "items": _one_of(["champion"]), **one}
    evaluation["required"] = ["file_id", "target"]
    for name in ("file_ids", "weight_column", "metric"):
        evaluation["properties"].pop(name)


def _narrow(operation: dict[str, Any], model: str, *, is_push: bool) -> None:
    if is_push:
        form = operation["requestBody"]["content"]["multipart/form-data"]
        form["encoding"]["model"]["contentType"] = SKOPS
        form["encoding"]["example"]["contentType"] = "text/csv"
        return  # any name will do
    for parameter in operation["parameters"]:
        if (parameter["name"], parameter["in"]) == ("model", "path"):
            parameter["schema"] = {"anyOf": [_one_of([model]), parameter["schema"]]}  # half of the generated names
        if (parameter["name"], parameter["in"]) == ("metadata", "query"):
            parameter["schema"] = _one_of(["{}", '{"run": "nightly"}'])  # no schema says that a text is a JSON object


def _one_of(values: list[str]) -> dict[str, Any]:
    return {"type": "string", "enum": values}
