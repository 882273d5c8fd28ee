"""The command line: ``gateway serve | demo | agency | key | map | load | export | replay
| migrate | backup | restore | openapi``.

Every command reads the settings (environment, prefix ``GATEWAY_``); ``serve`` and ``demo`` take
each of them as a flag too, after its name: ``gateway serve --port 9000``.

Commands import ``gateway.app`` themselves: the processes that translate import this module too, as
Python's ``spawn`` has it, and need none of what ``app`` brings along.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gateway.commands.export import export_cli
from gateway.commands.flags import settings_from
from gateway.commands.keeping import backup, migrate, purge, restore
from gateway.commands.load import load
from gateway.commands.map import map_cli
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from gateway.pipeline import Pipeline

cli = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
agency_cli = typer.Typer(no_args_is_help=True, help="The members of the community.")
key_cli = typer.Typer(no_args_is_help=True, help="The keys that calls bear.")
cli.add_typer(agency_cli, name="agency")
cli.add_typer(key_cli, name="key")
cli.add_typer(map_cli, name="map")
for each in (load, migrate, backup, restore, purge):
    cli.command()(each)
cli.add_typer(export_cli, name="export")

LITTER: Final = 50_000
"""Objects made before the garbage collector looks: maps are made of half a million that stay, and
looking through them as they are made was a quarter of every command."""

FLAGS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@cli.command(context_settings=FLAGS)
def serve(context: typer.Context) -> None:
    """Run the gateway: HTTP and MLLP, until SIGTERM; then drain and stop."""
    from gateway import app

    app.serve(settings_from(context.args))


@cli.command(context_settings=FLAGS)
def demo(context: typer.Context) -> None:
    """Run the gateway with Cedar County around it: simulated agencies that speak real protocols.

    With --once (or GATEWAY_DEMO_ONCE=1) plays its scenes, prints how each referral closed, and
    exits 0 only if every loop closed.
    """
    from gateway import app

    arguments = ["--demo-once" if word == "--once" else word for word in context.args]
    raise typer.Exit(app.demo(settings_from(arguments)))


@agency_cli.command("add")
def agency_add(
    id: Annotated[str, typer.Argument(help="its id, as in mappings/agencies/<id>")],
    folder: Annotated[Path | None, typer.Option(help="a folder with its agency.yaml")] = None,
    name: Annotated[str, typer.Option(help="its name, where no agency.yaml gives one")] = "",
) -> None:
    """Make ID a member, with what its agency.yaml says, and give it its entry in the directory.

    Without --folder the agency.yaml is sought as agencies/ID in GATEWAY_MAPPINGS, then among the
    shipped ones; an agency that only speaks FHIR needs none. Adding it again renews it.
    """
    from gateway import app

    with app.opened(settings_from([])) as pipeline:
        agency = pipeline.add_agency(id, folder.resolve() if folder else None, name)
    print(f"{agency.name} is a member: {agency.organization}")


@agency_cli.command("list")
def agency_list() -> None:
    """Print the members, a line each."""
    from gateway import app

    with app.opened(settings_from([])) as pipeline:
        for agency in pipeline.members:
            print(f"{agency.id}\t{agency.name}")


@key_cli.command("create")
def key_create(
    agency: Annotated[str, typer.Argument(help="the member that bears the key")] = "",
    admin: Annotated[bool, typer.Option("--admin", help="a key of the gateway's keeper")] = False,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="a key that reads /metrics and nothing else")
    ] = False,
    scope: Annotated[
        list[str] | None, typer.Option(help="SMART v2 system scope; default system/*.cruds")
    ] = None,
) -> None:
    """Create a key and print it, once, as the last word. Only its hash is stored."""
    from gateway import app

    if [bool(agency), admin, metrics].count(True) != 1 or (metrics and scope):
        print("name an agency, or say --admin or --metrics", file=sys.stderr)
        raise typer.Exit(2)
    with app.opened(settings_from([])) as pipeline:
        if metrics:
            secret = pipeline.members.add_metrics_key()
        else:
            secret = pipeline.members.add_key(agency, admin=admin, granted=frozenset(scope or ()))
    whose = "admin" if admin else "metrics" if metrics else agency
    print(f"{whose} key, shown this once: {secret}")


@key_cli.command("list")
def key_list() -> None:
    """Print the keys, a line each: id, whose, what it opens, when it was made. Never the key."""
    from gateway import app

    with app.opened(settings_from([])) as pipeline:
        for each in pipeline.members.listed_keys():
            key = each.key
            opens = "admin" if key.admin else " ".join(sorted(key.scopes))
            print(f"{key.id}\t{key.agency}\t{opens}\t{each.created:%Y-%m-%dT%H:%M:%SZ}")


@key_cli.command("revoke")
def key_revoke(
    id: Annotated[str, typer.Argument(help="its id, as key list has it: cg_<id>_…")],
) -> None:
    """Take a key away: a running gateway refuses it within seconds, and closes its websockets."""
    from gateway import app

    with app.opened(settings_from([])) as pipeline:
        pipeline.members.revoke_key(id)


@cli.command()
def replay(
    id: Annotated[str, typer.Argument(help="a message's id; without one, what failed")] = "",
    all_: Annotated[bool, typer.Option("--all", help="all that failed, oldest first")] = False,
    agency: Annotated[str, typer.Option(help="of this agency only")] = "",
    as_: Annotated[str, typer.Option("--as", help="whose ID is, if its sender was nobody")] = "",
    body: Annotated[Path | None, typer.Option(help="a mended message; both are kept")] = None,
) -> None:
    """Try kept messages again, by the maps and tables as they are now.

    Without ID and --all prints what failed: id, agency, when, stage, place, reason. Else prints
    how each went, and exits with 1 if one failed again.
    """
    from gateway import app

    if (id and (all_ or agency)) or (not id and (as_ or body)):
        print("--as and --body go with an ID, --agency with a list or --all", file=sys.stderr)
        raise typer.Exit(2)
    raw = body.read_bytes() if body else None
    with app.opened(settings_from([])) as pipeline:
        if not id and not all_:
            for kept in pipeline.replay.failed(agency):
                came, when = kept.message, f"{kept.message.received:%Y-%m-%dT%H:%M:%SZ}"
                print("\t".join((came.id, came.agency, when, kept.stage, kept.place, kept.reason)))
            return
        ids = [id] if id else [kept.message.id for kept in pipeline.replay.failed(agency)]
        went = [_replayed(pipeline, each, raw, as_) for each in ids]
    raise typer.Exit(0 if all(went) else 1)


def _replayed(pipeline: Pipeline, id: str, body: bytes | None, agency: str) -> bool:
    """Try one message again and print how it went; whether it is in now."""
    from gateway.members import KEEPER

    try:
        receipt = pipeline.replay(KEEPER, id, body=body, agency=agency).result()
    except GatewayError as error:
        code, issues = "", error.issues
    else:
        code, issues = receipt.acknowledgement, receipt.issues
    first = issues[0] if issues else None
    why = (first.place or "", first.text) if first else ("", "")
    print("\t".join((id, code, *why)))
    return code == "AA"


@cli.command()
def openapi(
    out: Annotated[Path | None, typer.Option(help="the file to write; default stdout")] = None,
) -> None:
    """Print the OpenAPI document that the running gateway serves."""
    from gateway import app

    document = app.openapi()
    if out:
        out.write_text(document, encoding="utf-8")
    else:
        print(document, end="")


def main() -> Any:
    """Run the command line; a refusal is one line on stderr and exit code 1."""
    gc.set_threshold(LITTER, 20, 100)
    try:
        cli()
    except GatewayError as error:
        print(f"gateway: {error}" + (f" ({error.place})" if error.place else ""), file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        if error.filename is None:  # not about a file that somebody named
            raise
        print(f"gateway: {error.strerror} ({error.filename})", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
