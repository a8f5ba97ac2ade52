"""Puts the gateway together from its parts."""

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from api.dependencies import Dependencies
from api.http.errors import error_response, http_error_response, problem_response
from api.http.foreign_pages import ForeignPages
from api.http.incoming_files import StreamingRequest
from api.http.middleware import REQUEST_ID, RequestMiddleware
from api.http.minimal_flask import MinimalFlask
from api.openapi.description import ApiDescription
from api.routes.aliases import AliasRoutes
from api.routes.batches import BatchRoutes
from api.routes.deletions import DeletionRoutes
from api.routes.files import FileRoutes
from api.routes.health import HealthRoutes
from api.routes.job_events import JobEventRoutes
from api.routes.job_lists import JobListRoutes
from api.routes.jobs import JobRoutes
from api.routes.models import ModelRoutes
from api.routes.outputs.finished_rows import FinishedRowRoutes
from api.routes.outputs.job_reports import JobReportRoutes
from api.routes.outputs.live_outcomes import LiveOutcomeRoutes
from api.routes.predictions import PredictionRoutes
from api.routes.queues import QueueRoutes
from api.routes.shadows import ShadowRoutes
from api.routes.trainings import TrainingRoutes
from api.routes.version_evaluations import EvaluationRoutes
from api.schemas.requests import TIMEOUT_TITLES
from queuecast import __version__
from queuecast.domain.errors import QueuecastError
from queuecast.logs import get_logger

log = get_logger()
ROUTES = (
    PredictionRoutes,
    BatchRoutes,
    TrainingRoutes,
    EvaluationRoutes,
    ModelRoutes,
    AliasRoutes,
    ShadowRoutes,
    DeletionRoutes,
    JobRoutes,
    JobListRoutes,
    FinishedRowRoutes,
    JobReportRoutes,
    LiveOutcomeRoutes,
    JobEventRoutes,
    QueueRoutes,
    FileRoutes,
    HealthRoutes,
)


def create_app(dependencies: Dependencies) -> Flask:
    app = MinimalFlask("queuecast", static_folder=None)
    app.request_class = StreamingRequest
    guarded = ForeignPages(dependencies.hosts, app.wsgi_app)
    app.wsgi_app = RequestMiddleware(dependencies.limiter, guarded)  # type: ignore[method-assign]
    app.register_error_handler(QueuecastError, error_response)
    app.register_error_handler(HTTPException, http_error_response)
    app.register_error_handler(Exception, _unexpected)
    max_timeouts_s = dependencies.limits.max_timeouts_s
    description = ApiDescription(__version__, {TIMEOUT_TITLES[kind]: max_timeouts_s[kind] for kind in TIMEOUT_TITLES})
    for routes in ROUTES:
        description.add(app, routes(dependencies))
    description.serve(app)
    return app


def _unexpected(error: Exception) -> Response:
    log.exception("request_crashed", path=request.path, request_id=request.environ.get(REQUEST_ID))
    return problem_response("internal_error", "Internal Server Error", 500, f"{type(error).__name__}; it is in the log")
