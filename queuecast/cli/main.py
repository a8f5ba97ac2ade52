"""The `queuecast` command: the group of all commands and its connection to the gateway.

Results go to stdout, everything else to stderr, an error as one line. `queuecast.client` makes the requests.
"""

import warnings

import click
import stamina.instrumentation
from stamina.instrumentation import RetryDetails

from queuecast import __version__
from queuecast.cli.errors import OneLineErrors
from queuecast.cli.job_commands import dead_letters, jobs, queues, report, retry, show
from queuecast.cli.lazy_group import LazyGroup
from queuecast.cli.model_commands import delete, history, models, promote, push, rollback, train
from queuecast.cli.predict_command import predict
from queuecast.cli.terminal import note
from queuecast.cli.versions.outcome_command import outcomes
from queuecast.cli.versions.score_command import score
from queuecast.cli.versions.shadow_command import shadow
from queuecast.cli.versions.version_commands import diff, prune
from queuecast.client import ApiError, Client, IgnoredColumnsWarning, JobFailed
from queuecast.client.transport import error_text


@click.group(
    cls=OneLineErrors, expected=(ApiError, JobFailed), context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--url", metavar="URL", help="Gateway address (default: $QUEUECAST_URL, or http://127.0.0.1:8000).")
@click.version_option(__version__, prog_name="queuecast")
@click.pass_context
def main(ctx: click.Context, url: str | None) -> None:
    """Queue predictions and retrainings of scikit-learn models on a queuecast gateway."""
    stamina.instrumentation.set_on_retry_hooks([_note_retry])  # the default hook may print on stdout
    warnings.simplefilter("ignore", IgnoredColumnsWarning)  # a note says it
    ctx.obj = ctx.with_resource(Client(url))


def _note_retry(details: RetryDetails) -> None:
    if details.wait_for >= 0.5:  # a shorter pause ends before the note is read
        note(f"{error_text(details.caused_by)}; retrying in {details.wait_for:.1f} s")


for command in (
    *(push, predict, train, score, report, models, diff, history, promote, rollback, shadow, outcomes, delete, prune),
    *(jobs, retry, queues, dead_letters),
):
    main.add_command(command)
main.add_command(show, "job")
main.add_command(
    LazyGroup(
        "admin",
        help="Back up, restore and repair the data in Redis.\n\n"
        "For operators, on a machine that reaches Redis and the file store: these commands do not use the gateway. "
        "They read QUEUECAST_REDIS_URL, QUEUECAST_REDIS_PASSWORD_FILE and QUEUECAST_DATA_DIR.",
        module="queuecast.cli.admin",
        hint="install it with pip install 'redis>=6', or run python -m queuecast.cli.admin where the workers run",
    )
)


if __name__ == "__main__":
    main()
