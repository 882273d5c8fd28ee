"""The settings of a command: each is a flag of ``serve`` and ``demo``, and in the environment."""

from __future__ import annotations

import sys

import typer
from pydantic import ValidationError
from pydantic_settings import CliApp, SettingsConfigDict

from gateway.settings import Settings


class Flags(Settings):
    """Each setting is a flag here, and in the environment GATEWAY_ and its name in capitals."""

    model_config = SettingsConfigDict(
        cli_kebab_case=True, cli_implicit_flags=True, cli_prog_name="gateway serve | demo"
    )


def settings_from(arguments: list[str]) -> Settings:
    """The settings in force: flags before environment before defaults.

    Raises:
        typer.Exit: with 2, after a line that names the setting which can't be read.
    """
    try:
        return CliApp.run(Flags, cli_args=arguments)
    except ValidationError as error:
        for finding in error.errors(include_input=False, include_url=False):
            place = ".".join(str(part) for part in finding["loc"])
            print(f"GATEWAY_{place.upper()}: {finding['msg']}", file=sys.stderr)
        raise typer.Exit(2) from None
