"""The least that a Flask route can cost: nothing is read, nothing is looked up."""

from flask import Flask, Response

app = Flask(__name__)


@app.get("/")
def nothing() -> Response:
    return Response(b"{}", mimetype="application/json")
