"""The gateway as a tutorial writes it: `delay` answers an id, and `AsyncResult` is asked until it is ready.

Sends the task by name, which spares the gateway the imports of scikit-learn and pandas; a tutorial imports them.
"""

import os
from typing import Any

from celery import Celery
from celery.result import AsyncResult
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

app = Flask(__name__)
celery = Celery("tutorial", broker=os.environ["TUTORIAL_REDIS_URL"], backend=os.environ["TUTORIAL_REDIS_URL"])
predict = celery.signature("tutorial.predict")


@app.post("/predict")
def submit() -> ResponseReturnValue:
    job = predict.delay(request.get_json()["inputs"])
    return jsonify(id=job.id), 202


@app.get("/result/<job_id>")
def result(job_id: str) -> ResponseReturnValue:
    job: AsyncResult[Any] = AsyncResult(job_id, app=celery)
    if not job.ready():
        return jsonify(state=job.state), 202
    return jsonify(state=job.state, probabilities=job.result)
