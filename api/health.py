"""`/livez` and `/readyz`: whether the process runs, and whether it can do its work now."""

from flask import Blueprint

from api.answers import Answer
from api.bodies import LiveBody, Problem, ReadyBody
from api.documents import Documents
from api.responses import json_response
from queuecast.ports import JobStore, WorkerList


def health_blueprint(jobs: JobStore, workers: WorkerList, documents: Documents) -> Blueprint:
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/livez")
    @documents.route(tag="health", answers={200: LiveBody})
    def live() -> Answer:
        """Whether the gateway runs"""
        return json_response(LiveBody("ok"))

    @blueprint.get("/readyz")
    @documents.route(tag="health", answers={200: ReadyBody, 503: Problem})
    def ready() -> Answer:
        """Whether jobs can be accepted

        The gateway and Redis decide; workers are only reported, for a queue without workers still accepts.
        """
        jobs.ping()
        return json_response(ReadyBody("ready", "ok", workers.count_by_queue()))

    return blueprint
