"""A group of commands that is imported when it is called, so that the others do not carry what only it needs."""

import importlib
from typing import Any, cast

import click


class LazyGroup(click.Group):
    """Stands for the group `main` of `module`. needs: a sentence for a machine on which that cannot be imported."""

    def __init__(self, *args: Any, module: str, needs: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._module = module
        self._needs = needs

    def list_commands(self, ctx: click.Context) -> list[str]:
        return self._group().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self._group().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        return self._group().invoke(ctx)  # which has its own answers to errors

    def _group(self) -> click.Group:
        try:
            return cast(click.Group, importlib.import_module(self._module).main)
        except ModuleNotFoundError as error:
            raise click.ClickException(f"the package {error.name} is not installed; {self._needs}") from None
