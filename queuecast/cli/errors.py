"""Errors of the command line: one line on stderr and an exit code.

The operator's commands use this module in the worker image, so it needs neither rich nor the client.
"""

from typing import Any

import click

from queuecast.domain.errors import QueuecastError

INTERRUPTED = 130  # the exit code that a shell gives to a program that Ctrl-C ended


class OneLineErrors(click.Group):
    """Prints an expected error as one line on stderr and exits with code 1.

    expected: the kinds of errors to print besides QueuecastError, OSError and ValueError.
    """

    def __init__(self, *args: Any, expected: tuple[type[Exception], ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._expected: tuple[type[Exception], ...] = (QueuecastError, OSError, ValueError, *expected)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # `| head` has read enough; click exits quietly
            raise
        except KeyboardInterrupt:  # click would exit with code 1
            click.secho("interrupted", dim=True, err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except self._expected as error:
            raise click.ClickException(" ".join(_text(error).split())) from error


def _text(error: Exception) -> str:
    if isinstance(error, QueuecastError):
        return error.detail
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
