"""Puts the gateway together from its parts. Which adapters they use is decided in `api.main`."""

from dataclasses import dataclass

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from api.documents import Documents
from api.http.errors import error_response, http_error_response, problem_response
from api.http.incoming_files import StreamingRequest, Uploads
from api.http.middleware import REQUEST_ID, RequestMiddleware
from api.http.minimal_flask import MinimalFlask
from api.routes.batches import BatchResults, batches_blueprint
from api.routes.files import files_blueprint
from api.routes.health import health_blueprint
from api.routes.jobs import jobs_blueprint
from api.routes.models import ModelViews, models_blueprint
from api.routes.predictions import predictions_blueprint
from api.routes.queues import queues_blueprint
from api.routes.trainings import trainings_blueprint
from api.schemas.responses import LimitBody
from api.services.concurrency import FairLimiter
from api.services.job_watcher import JobWatcher
from api.services.queue_position import QueuePositions
from api.services.submission import Submission
from queuecast import __version__
from queuecast.domain.errors import QueuecastError
from queuecast.logs import get_logger
from queuecast.ports.aliases import AliasStore
from queuecast.ports.batches import BatchFiles
from queuecast.ports.clock import Clock
from queuecast.ports.files import FileStore
from queuecast.ports.jobs import JobStore
from queuecast.ports.lanes import Lanes
from queuecast.ports.models import ModelRegistry
from queuecast.ports.workers import WorkerList

log = get_logger()
CONCURRENT_REQUESTS = 16  # a request waits for Redis half of its time, and for its disk with durability `fsync`


@dataclass(frozen=True, slots=True)
class Limits:
    max_body_bytes: int
    max_upload_bytes: int
    max_rows: int
    max_waiters: int
    max_lane_jobs: int
    max_result_bytes: int
    max_files_bytes: int

    def standing(self) -> dict[str, LimitBody]:
        """As `/v1/queues` shows them. What a single request or result may have has no fill."""
        return {
            "body": LimitBody(None, self.max_body_bytes, "bytes", "too_large"),
            "upload": LimitBody(None, self.max_upload_bytes, "bytes", "too_large"),
            "rows": LimitBody(None, self.max_rows, "rows", "invalid_input"),
            "result": LimitBody(None, self.max_result_bytes, "bytes", "result_too_large"),
            "waiters": LimitBody(None, self.max_waiters, "requests", "too_many_waiters"),
            "files": LimitBody(None, self.max_files_bytes, "bytes", "files_full"),
        }


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the gateway is made of."""

    jobs: JobStore
    lanes: Lanes
    models: ModelRegistry
    aliases: AliasStore
    files: FileStore
    batches: BatchFiles
    workers: WorkerList
    submission: Submission
    clock: Clock
    limits: Limits


def create_app(parts: Dependencies) -> Flask:
    app = MinimalFlask("queuecast", static_folder=None)
    app.request_class = StreamingRequest
    limiter = FairLimiter(CONCURRENT_REQUESTS)
    app.wsgi_app = RequestMiddleware(limiter, app.wsgi_app)  # type: ignore[method-assign]
    documents = Documents(__version__)
    limits = parts.limits
    waiting = JobWatcher(parts.jobs, limits.max_waiters, limiter)
    uploads = Uploads(parts.files, limits.max_upload_bytes)
    views = ModelViews(parts.models, parts.aliases, parts.clock)
    app.teardown_request(uploads.end)
    for blueprint in (
        predictions_blueprint(
            parts.submission,
            waiting,
            documents,
            max_body_bytes=limits.max_body_bytes,
            max_rows=limits.max_rows,
        ),
        trainings_blueprint(parts.submission, parts.files, documents, max_body_bytes=limits.max_body_bytes),
        batches_blueprint(parts.submission, parts.files, documents, max_body_bytes=limits.max_body_bytes),
        models_blueprint(views, parts.submission, uploads, parts.files, documents),
        jobs_blueprint(
            parts.jobs,
            parts.submission,
            waiting,
            BatchResults(parts.batches),
            QueuePositions(parts.lanes, parts.clock),
            documents,
        ),
        queues_blueprint(
            parts.jobs,
            parts.lanes,
            parts.files,
            parts.submission,
            parts.clock,
            documents,
            limits.standing(),
            limits.max_lane_jobs,
            lambda: waiting.count,
        ),
        files_blueprint(parts.files, uploads, documents),
        health_blueprint(parts.jobs, parts.workers, documents),
    ):
        app.register_blueprint(blueprint)
    documents.serve(app)
    app.register_error_handler(QueuecastError, error_response)
    app.register_error_handler(HTTPException, http_error_response)
    app.register_error_handler(Exception, _unexpected)
    return app


def _unexpected(error: Exception) -> Response:
    log.exception("request_crashed", path=request.path, request_id=request.environ.get(REQUEST_ID))
    return problem_response("internal_error", "Internal Server Error", 500, f"{type(error).__name__}; it is in the log")
