"""`/livez` and `/readyz`: whether the process runs, and whether it can do its work now."""

from flask import Blueprint

from api.documents import Documents
from api.http.json_response import JsonResponse
from api.http.rendering import json_response
from api.schemas.responses import LiveBody, Problem, ReadyBody
from queuecast.ports.jobs import JobStore
from queuecast.ports.workers import WorkerList


def health_blueprint(jobs: JobStore, workers: WorkerList, documents: Documents) -> Blueprint:
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/livez")
    @documents.route(tag="health", answers={200: LiveBody})
    def live() -> JsonResponse:
        """Whether the gateway runs"""
        return json_response(LiveBody("ok"))

    @blueprint.get("/readyz")
    @documents.route(tag="health", answers={200: ReadyBody, 503: Problem})
    def ready() -> JsonResponse:
        """Whether jobs can be accepted

        The gateway and Redis decide; workers are only reported, for a queue without workers still accepts.
        """
        jobs.ping()
        return json_response(ReadyBody("ready", "ok", workers.count_by_queue()))

    return blueprint
