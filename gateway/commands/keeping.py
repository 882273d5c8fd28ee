"""``gateway migrate | purge | backup | restore``: the keeper's commands for the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.commands.flags import settings_from

if TYPE_CHECKING:
    from gateway.store.backup import Backup


def migrate(
    to: Annotated[str, typer.Option(help="the revision to go to, forward or back")] = "head",
    sql: Annotated[
        bool, typer.Option("--sql", help="print what it would do, and do nothing")
    ] = False,
) -> None:
    """Bring the hub's tables to a revision, while gateways may be running.

    A start does that by itself as far as the programs before it can go on; this does the rest,
    once none of them runs any more, and goes back before an older release takes over. Which
    revision takes which program stands in gateway/store/README.md.
    """
    from gateway.store.engine import open_engine
    from gateway.store.migrations import run

    engine = open_engine(settings_from([]).database)
    try:
        if sql:
            typer.echo(run.sql(engine, to), nl=False)
            return
        was, now = run.move(engine, to)
    finally:
        engine.close()
    typer.echo(f"the tables are of revision {now}" + (f", were of {was}" if was != now else ""))


def purge(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="tell what would go, and let nothing go")
    ] = False,
) -> None:
    """Let go now of what is older than GATEWAY_KEEP_MESSAGES, _FAILED, _AUDIT, _DELIVERIES and
    _HISTORY say, in days. A gateway that runs does so by itself, every hour.
    """
    from gateway import app

    with app.opened(settings_from([])) as pipeline:
        told = pipeline.purge(dry=dry_run)
    for name, count in told.items():
        typer.echo(f"{name}\t{count}")
    if not told:
        typer.echo("all is kept for ever: no GATEWAY_KEEP_ setting says otherwise")


def backup(
    out: Annotated[Path, typer.Argument(help="a folder that isn't there yet", metavar="OUT")],
) -> None:
    """Copy an embedded hub to a folder, while it runs: all that was acknowledged until now.

    It holds what people told: only its owner may read it (mode 700).
    """
    from gateway.store.backup import back_up

    settings = settings_from([])
    _tell("backed up", back_up(settings.database, settings.data_dir, out.resolve()))


def restore(
    source: Annotated[Path, typer.Argument(help="the folder of a backup", metavar="BACKUP")],
    replace: Annotated[
        bool, typer.Option("--replace", help="put a hub that is there aside")
    ] = False,
) -> None:
    """Make the hub of the settings out of a backup. The gateway must not be running."""
    from gateway.store.backup import restore as restored

    settings = settings_from([])
    made = restored(source.resolve(), settings.database, settings.data_dir, replace=replace)
    _tell("restored", made)


def _tell(what: str, backup: Backup) -> None:
    typer.echo(
        f"{what}: {len(backup.files)} files, {backup.size:,} bytes, "
        f"as of {backup.begun}, revision {backup.revision}; sound"
    )
