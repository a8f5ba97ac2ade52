"""The command that sets, reads and ends the shadow of a model."""

import click

from queuecast.cli.job_output import json_option, show_document
from queuecast.cli.terminal import note, say
from queuecast.client import Client
from queuecast.client.transport import Body
from queuecast.plurals import counted


@click.command()
@click.argument("model")
@click.option("--version", type=click.IntRange(1), help="The version that answers the champion's jobs again.")
@click.option(
    "--sample", type=click.FloatRange(0, 1, min_open=True), help="The share of the jobs. With --version.  [default: 1]"
)
@click.option("--off", is_flag=True, help="End the shadow.")
@json_option
@click.pass_obj
def shadow(client: Client, *, model: str, version: int | None, sample: float | None, off: bool, as_json: bool) -> None:
    """Show how the shadow of MODEL compares with its champion, or set or end the shadow."""
    if off and version is not None:
        raise click.UsageError("--off ends the shadow; leave out --version")
    if sample is not None and version is None:
        raise click.UsageError("--sample needs --version")
    if off:
        client.end_shadow(model)
    if version is not None:
        client.set_shadow(model, version, 1.0 if sample is None else sample)
    body = client.shadow(model)
    show_document(body, lambda: _show_shadow(body), as_json=as_json)


def _show_shadow(body: Body) -> None:
    if body["state"] == "off":
        say(f"model {body['model']} has no shadow")
        return
    jobs = body["jobs"]
    say(f"version {body['version']} shadows champion {body['champion']} of {body['model']}: {body['state']}")
    counts = [f"{count} {name.replace('_', ' ')}" for name, count in jobs.items()]
    say(f"sample {body['sample']:g}; jobs: {', '.join(counts)}")
    if body["agreement"] is not None:
        say(f"{counted(body['rows'], 'row')} compared, agreement {body['agreement']:.4f}")
    if body["mean_absolute_difference"] is not None:
        say(f"mean absolute difference {body['mean_absolute_difference']:.6g}")
    for side in ("champion", "shadow"):
        if latency := body[f"{side}_row_ms"]:
            say(f"{side}: p50 {latency['p50']:g} ms, p99 {latency['p99']:g} ms a row")
    if body["failure"] is not None:
        note(f"last failure at {body['failure']['at']}: {body['failure']['detail']}")
