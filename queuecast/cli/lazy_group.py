"""A group of commands whose module is imported only when the group is used."""

import importlib
from typing import Any, cast

import click


class LazyGroup(click.Group):
    """Forwards to the group `main` of `module`. hint: advice for a machine where the import fails."""

    def __init__(self, *args: Any, module: str, hint: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._module = module
        self._hint = hint

    def list_commands(self, ctx: click.Context) -> list[str]:
        return self._group().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self._group().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        return self._group().invoke(ctx)  # the group handles its errors itself

    def _group(self) -> click.Group:
        try:
            return cast(click.Group, importlib.import_module(self._module).main)
        except ModuleNotFoundError as error:
            raise click.ClickException(f"the package {error.name} is not installed; {self._hint}") from None
