"""The decorator of a route's method: its path, and its description for the OpenAPI document."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import msgspec

from api.http.errors import FAILURE_TITLES, STATUSES, TITLES
from api.openapi import response_parts
from api.openapi.error_groups import EVERY_REQUEST
from api.openapi.response_parts import Header, Link
from api.schemas.examples import Example
from queuecast.domain.errors import QueuecastError

View = TypeVar("View", bound=Callable[..., Any])
_PATH_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


class Refusal(NamedTuple):
    """One way in which an operation refuses."""

    status: int
    title: str
    code: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no refusal.

    content: media type -> a msgspec type, a JSON Schema, or a tuple of them of which any may hold; None for bytes that
    have no schema.
    """

    description: str
    content: Mapping[str, Any] = field(default_factory=dict)
    headers: tuple[Header, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request. content: as in `Answer`; encoding: the media types of a form's parts."""

    content: Mapping[str, Any]
    examples: Mapping[str, Example] = field(default_factory=dict)
    encoding: Mapping[str, str] = field(default_factory=dict)
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a path. path: as Flask writes it, `/v1/jobs/<job_id>`; name: the operationId, which begins with the
    tag; parameters: types whose fields are headers, or query parameters if the type is named `...Query`."""

    method: str
    path: str
    name: str
    summary: str
    description: str
    answers: Mapping[int, Answer]
    refusals: tuple[Refusal, ...]
    body: Body | None
    parameters: tuple[type[msgspec.Struct], ...]

    @property
    def tag(self) -> str:
        return self.name.partition("_")[0]

    @property
    def path_template(self) -> str:
        """The path as OpenAPI writes it, `/v1/jobs/{job_id}`."""
        return _PATH_PARAMETER.sub(r"{\1}", self.path)

    @property
    def path_parameters(self) -> list[str]:
        return _PATH_PARAMETER.findall(self.path)


def json_answer(description: str, body: Any, headers: tuple[Header, ...] = (), links: tuple[Link, ...] = ()) -> Answer:
    return Answer(description, {"application/json": body}, headers, links)


def submit_answers(job: Any, links: tuple[Link, ...] = (), *, takes_key: bool = True) -> dict[int, Answer]:
    """takes_key: whether the operation reads an `Idempotency-Key`."""
    replayed = (response_parts.IDEMPOTENCY_REPLAYED,) if takes_key else ()
    applied = (response_parts.PREFERENCE_APPLIED, *replayed)
    ended_links = (response_parts.READ_JOB, response_parts.READ_RESULT, response_parts.DELETE_JOB, *links)
    open_links = (*response_parts.SUBMIT_LINKS, *links)
    return {
        200: json_answer(
            "The ended job; only with `Prefer: wait`.", job, (response_parts.JOB_TAG, *applied), ended_links
        ),
        202: json_answer("The job is accepted.", job, (*response_parts.JOB_HEADERS, *applied), open_links),
    }


def json_request(body: Any, examples: Mapping[str, Example], *, is_required: bool = True) -> Body:
    return Body({"application/json": body}, examples, is_required=is_required)


def refusal(error: type[QueuecastError], code: str = "") -> Refusal:
    """code: where the error is raised with another code than its own."""
    status = STATUSES[error]
    return Refusal(status, TITLES[status], code or error.code)


def job_failure(code: str) -> Refusal:
    """The result of a job that failed with this code."""
    return Refusal(409, FAILURE_TITLES.get(code, "The job failed"), code)


def operation(
    method: str,
    path: str,
    name: str,
    *,
    answers: Mapping[int, Answer],
    refusals: tuple[type[QueuecastError] | Refusal, ...] = (),
    body: Body | None = None,
    parameters: tuple[type[msgspec.Struct], ...] = (),
) -> Callable[[View], View]:
    """Describes a view. The first line of its docstring is the summary, the rest the description."""

    def describe(view: View) -> View:
        summary, _, description = inspect.cleandoc(view.__doc__ or "").partition("\n\n")
        all_refusals = tuple(
            each if isinstance(each, Refusal) else refusal(each) for each in (*refusals, *EVERY_REQUEST)
        )
        view.operation = Operation(  # type: ignore[attr-defined]
            method, path, name, summary, " ".join(description.split()), answers, all_refusals, body, parameters
        )
        return view

    return describe


def operations(routes: object) -> Iterator[tuple[Operation, Callable[..., Any]]]:
    """The described views of an object, in the order of their definition."""
    for name, method in vars(type(routes)).items():
        if hasattr(method, "operation"):
            yield method.operation, getattr(routes, name)
