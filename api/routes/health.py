"""`/livez` and `/readyz`: whether the process runs, and whether it can do its work now."""

from api.dependencies import Dependencies
from api.http.json_response import JsonResponse
from api.http.rendering import json_response
from api.openapi.operations import json_answer, operation
from api.schemas.responses import Live, Ready
from queuecast.domain.errors import UnavailableError


class HealthRoutes:
    """Probes for orchestrators and load balancers."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._jobs = dependencies.jobs
        self._workers = dependencies.workers

    @operation("GET", "/livez", "health_live", answers={200: json_answer("It runs.", Live)})
    def live(self) -> JsonResponse:
        """Whether the gateway runs

        Asks neither Redis nor a worker.
        """
        return json_response(Live("ok"))

    @operation(
        "GET",
        "/readyz",
        "health_ready",
        answers={200: json_answer("Jobs can be accepted.", Ready)},
        refusals=(UnavailableError,),
    )
    def ready(self) -> JsonResponse:
        """Whether jobs can be accepted

        This depends on the gateway and on Redis. Workers are only counted: without any, jobs are still accepted.
        """
        self._jobs.ping()
        return json_response(Ready("ready", "ok", self._workers.count_by_queue()))
