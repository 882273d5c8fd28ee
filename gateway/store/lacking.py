"""Codes that tables lack: for each the Task that asks for it, and the messages that wait for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from gateway.model import Context
from gateway.store.link import Statement, insert_into
from gateway.store.messages import KEPT, Kept, kept
from gateway.store.search.index import clean
from gateway.store.session import Session
from gateway.store.tables import lacking, message, waiting


@dataclass(frozen=True, slots=True)
class Lacking:
    """A code of an agency that its table ``name`` lacks; ``task`` is the id of the Task for it."""

    key: int
    agency: str
    name: str
    code: str = field(repr=False)
    task: str


_ALL: Final = Statement(sa.select(*lacking.c).order_by(lacking.c.key))
_ONE: Final = Statement(
    sa.select(*lacking.c).where(
        lacking.c.agency == sa.bindparam("of"),
        lacking.c.name == sa.bindparam("called"),
        lacking.c.code == sa.bindparam("sent"),
    )
)
_COUNT: Final = Statement(
    sa.select(sa.func.count()).where(
        lacking.c.agency == sa.bindparam("of"), lacking.c.name == sa.bindparam("called")
    )
)
_WAITING: Final = Statement(
    sa.select(waiting.c.lacking, waiting.c.message)
    .where(waiting.c.outcome == sa.literal_column("''"), waiting.c.message == message.c.id)
    .order_by(message.c.key)
)
_OF_TASK: Final = Statement(
    sa.select(*KEPT)
    .where(
        lacking.c.task == sa.bindparam("task"),
        waiting.c.lacking == lacking.c.key,
        waiting.c.outcome == sa.literal_column("''"),
        message.c.id == waiting.c.message,
        sa.or_(message.c.agency == sa.bindparam("me"), sa.bindparam("admin", type_=sa.Boolean())),
    )
    .order_by(message.c.key.desc())
    .limit(sa.bindparam("count"))
)
_OF_MESSAGE: Final = Statement(
    sa.select(waiting.c.lacking).where(waiting.c.message == sa.bindparam("id"))
)
_OUTCOMES: Final = Statement(
    sa.select(waiting.c.outcome, sa.func.count())
    .where(waiting.c.lacking == sa.bindparam("of"))
    .group_by(waiting.c.outcome)
)
_ADD: Final = insert_into(lacking, lacking.c.key)
_ASK_ANEW: Final = Statement(
    lacking.update().where(lacking.c.key == sa.bindparam("of")).values(task=sa.bindparam("by"))
)
_WAIT: Final = insert_into(waiting)
_TRIED: Final = Statement(
    waiting.update()
    .where(waiting.c.lacking == sa.bindparam("of"), waiting.c.message == sa.bindparam("id"))
    .values(outcome=sa.bindparam("became"))
)
_FORGET_WAITING: Final = Statement(waiting.delete().where(waiting.c.lacking == sa.bindparam("of")))
_FORGET: Final = Statement(lacking.delete().where(lacking.c.key == sa.bindparam("of")))


class Lackings(Session):
    """Reading what lacks, and what waits."""

    def lacking(self) -> list[Lacking]:
        """All codes that were asked for, in the order in which they were first met."""
        return [Lacking(*row) for row in self.link.all(_ALL, {})]

    def lack(self, agency: str, name: str, code: str) -> Lacking | None:
        """One of them."""
        row = self.link.one(_ONE, {"of": agency, "called": name, "sent": clean(code)})
        return None if row is None else Lacking(*row)

    def lacks(self, agency: str, name: str) -> int:
        """How many codes of a table were asked for."""
        row = self.link.one(_COUNT, {"of": agency, "called": name})
        return int(row[0]) if row else 0

    def waiting_for(self, keys: Collection[int]) -> list[str]:
        """The ids of the messages that wait for one of these, in the order in which they came."""
        rows = self.link.all(_WAITING, {})
        return list(dict.fromkeys(row[1] for row in rows if row[0] in keys))

    def waiting_messages(self, context: Context, task: str, *, count: int = 100) -> Sequence[Kept]:
        """Those that wait for what a Task asks for and the caller may see, newest first."""
        values = {**self.who(context), "task": task, "count": count}
        return [kept(row) for row in self.link.all(_OF_TASK, values)]

    def outcomes(self, key: int) -> dict[str, int]:
        """Of the messages that held a code: how many are "accepted", "failed", and "" (waiting)."""
        return {row[0]: row[1] for row in self.link.all(_OUTCOMES, {"of": key})}


class Awaiting(Lackings):
    """Keeps account of it."""

    def add_lack(self, agency: str, name: str, code: str, task: str) -> None:
        """A code is asked for by a Task."""
        self.link.many(_ADD, [(agency, name, clean(code), task)])

    def ask_anew(self, key: int, task: str) -> None:
        """Another Task asks for it."""
        self.link.run(_ASK_ANEW, {"of": key, "by": task})

    def waits(self, message_id: str, keys: Iterable[int], outcome: str) -> None:
        """A message was tried and lacks these; of what it no longer lacks this is its outcome."""
        known = {int(row[0]) for row in self.link.all(_OF_MESSAGE, {"id": message_id})}
        wanted = set(keys)
        for key in sorted(known):
            became = "" if key in wanted else outcome
            self.link.run(_TRIED, {"of": key, "id": message_id, "became": became})
        self.link.many(_WAIT, [(key, message_id, "") for key in sorted(wanted - known)])

    def forget_lack(self, key: int) -> None:
        """The table has the code: nothing waits for it."""
        self.link.run(_FORGET_WAITING, {"of": key})
        self.link.run(_FORGET, {"of": key})
