"""The API's own documents: `/openapi.json`, made of the types that validate, and `/docs`, which needs no network."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, Response
from offapi import OpenAPITemplate
from spectree import Response as Responses
from spectree import SpecTree
from spectree.model_adapter import get_msgspec_model_adapter

from api.bodies import Problem
from api.responses import json_response

View = TypeVar("View", bound=Callable[..., Any])
DESCRIPTION = (
    "queuecast turns a trained scikit-learn model into an asynchronous service. Submit a job, get an id at once, "
    "and wait for or poll the result. Every error is an RFC 9457 problem document."
)


class Documents:
    """Collects what each route takes and answers. It validates nothing: views decode with the same types themselves."""

    def __init__(self, version: str) -> None:
        self._files: dict[str, list[str]] = {}
        self._tree = SpecTree(
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

    def route(
        self,
        *,
        tag: str,
        answers: dict[int, Any],
        json: Any = None,
        query: Any = None,
        form: Any = None,
        headers: Any = None,
        files: Iterable[str] = (),
    ) -> Callable[[View], View]:
        """Describes a view. answers: status -> type of the body, None for none; problems are Problem.

        files: media types of files that it answers too.
        """
        codes = {f"HTTP_{status}": body for status, body in answers.items()}

        def describe(view: View) -> View:
            self._files[f"{tag}_{view.__name__}"] = list(files)
            described = self._tree.validate(
                json=json,
                query=query,
                form=form,
                headers=headers,
                resp=Responses(**codes),
                tags=[tag],
                skip_validation=True,
                operation_id=f"{tag}_{view.__name__}",
                # The tree adds a problem of its own to each route; this one is there already.
                validation_error_status=next((status for status in answers if status >= 400), 500),
            )(view)

            # The tree finds its notes through __wrapped__; a call goes straight to the view.
            @wraps(described)
            def direct(*args: Any, **kwargs: Any) -> Any:
                return view(*args, **kwargs)

            return direct  # type: ignore[return-value]

        return describe

    def serve(self, app: Flask) -> None:
        """Adds the two routes. Call it once, after all others."""
        self._tree.app = app

        @app.get("/openapi.json")
        def openapi() -> Response:
            return json_response(_mended(self._tree.spec, self._files))

        page = OpenAPITemplate.SWAGGER.value.format(spec_url="/openapi.json", spec_path="docs")

        @app.get("/docs")
        def docs() -> str:
            return page


def _mended(spec: dict[str, Any], files: dict[str, list[str]]) -> dict[str, Any]:
    """Problems have a media type of their own, and files have several, which the tree cannot say."""
    for operations in spec["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status in ("200", "206"):
                    for media_type in files[operation["operationId"]]:
                        response.setdefault("content", {}).setdefault(media_type, {"schema": {}})
                if int(status) >= 400 and "application/json" in response.get("content", {}):
                    response["content"]["application/problem+json"] = response["content"].pop("application/json")
    return spec
