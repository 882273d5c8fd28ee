"""How the tables change from release to release: Alembic's revisions, and who may use which.

A revision is a file in ``versions`` and a line in ``HISTORY``. It is of one of two kinds:

    expand    adds what programs before it needn't know: a table, a column that may be null or has a
              constant default, an index. They serve the database on.
    contract  takes away what they needed. Nobody before it may serve the database any more.

A start brings a database forward by all that expand; a contraction that nothing follows waits for
``gateway migrate``, when no program before it runs any more. A database that is ahead of a
program says itself which is the oldest revision whose programs may serve it (``hub.serves``).

This file doesn't import Alembic: a start that has nothing to migrate needn't pay for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import sqlalchemy as sa

from gateway.errors import SettingError

BEFORE: Final = "4"
"""What ``hub.schema`` says of every database that revisions can take up; it changes no more."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of the schema: its id, and what it does to those before it."""

    id: str
    kind: Literal["expand", "contract"]


@dataclass(frozen=True, slots=True)
class Scheme:
    """What a program knows: its revisions, the oldest first, and the folders that they lie in."""

    history: tuple[Revision, ...]
    folders: tuple[Path, ...]

    @property
    def newest(self) -> str:
        """The revision that the tables of this program are of."""
        return self.history[-1].id

    @property
    def ids(self) -> tuple[str, ...]:
        """Every revision that it knows, the oldest first."""
        return tuple(each.id for each in self.history)

    def at_start(self, revision: str | None) -> str | None:
        """How far a start brings a database of ``revision`` (None: from before the first).

        None: it is far enough, or has only a contraction before it.
        """
        first = 0 if revision is None else self.ids.index(revision) + 1
        ahead = list(self.history[first:])
        while ahead and ahead[-1].kind == "contract" and ahead[-1] is not self.history[0]:
            ahead.pop()
        return ahead[-1].id if ahead else None

    def serves(self, revision: str) -> str:
        """The oldest revision whose programs may use a database of ``revision``."""
        until = self.history[: self.ids.index(revision) + 1]
        return next(each.id for each in reversed(until) if each.kind == "contract")

    def check(self, revision: str, serves: str) -> None:
        """Raise ``SettingError`` where a newer release left the database so that this one can't
        serve it."""
        if revision not in self.ids and serves not in self.ids:
            raise SettingError(
                f"a newer release made the database (revision {revision}): "
                f"it takes a program of revision {serves} or later, and this one is of "
                f"{self.newest}",
                place="GATEWAY_DATABASE_URL",
            )


SHIPPED: Final = Scheme(
    (
        Revision("0001", "contract"),  # the tables of schema 4: nobody before it can use them
        Revision("0002", "expand"),  # messages that failed are found without reading the others
        Revision("0003", "expand"),  # processes that share a hub say that they live
    ),
    (Path(__file__).with_name("versions"),),
)

stamp: Final = sa.Table(  # as Alembic makes it
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def check_schema(said: str | None) -> None:
    """Raise ``SettingError`` for a database from before the revisions that none can take up."""
    if said != BEFORE:
        raise SettingError(
            f"the database has another schema ({said}), and this program takes {BEFORE}",
            place="GATEWAY_DATABASE_URL",
        )


def known(scheme: Scheme, revision: str) -> str:
    """A revision by its id, or by "head", the newest. Raises ``SettingError``."""
    if revision == "head":
        return scheme.newest
    if revision not in scheme.ids:
        raise SettingError(f"there is no such revision, but {_list(scheme.ids)}", place="--to")
    return revision


def _list(ids: Sequence[str]) -> str:
    return ", ".join(ids)
