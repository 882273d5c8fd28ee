"""Referrals that the hub places, and the ledger of unmet needs, for the hub's administrators.

The entries name the referral's Task; the counts name nobody, and small ones are withheld.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from gateway.api import answers
from gateway.api.endpoint import Call, Docs, Endpoint
from gateway.api.examples import ID
from gateway.api.refusals import RequestError
from gateway.api.requests import query_pairs
from gateway.coordination.ledger import InHand
from gateway.fhir.meta import instant
from gateway.protect.policy import Policy
from gateway.store import Unmet

_JSON: Final = "application/json"
YEAR: Final = timedelta(days=365)


async def in_hand(call: Call) -> Response:
    """The referrals that the hub seeks somebody for, the oldest first."""
    if query_pairs(call.request):
        raise RequestError("nothing may be said", place="query")
    found = await call.read(call.api.pipeline.ledger.in_hand)
    told = {"referrals": [_sought(each) for each in found]}
    return Response(answers.as_json(told), media_type=_JSON)


async def needs(call: Call) -> Response:
    """The entries that are open; with ``status=all`` the closed ones too."""
    asked = dict(query_pairs(call.request))
    if asked not in ({}, {"status": "open"}, {"status": "all"}):
        raise RequestError("status is open or all", place="query")
    closed = asked.get("status") == "all"
    found = await call.read(lambda: call.api.pipeline.ledger.entries(closed=closed))
    told = {"unmet": [_line(each) for each in found]}
    return Response(answers.as_json(told), media_type=_JSON)


async def counts(call: Call) -> Response:
    """How many needs were opened in a time, by category, area, reason and outcome."""
    asked = dict(query_pairs(call.request))
    until = _moment(asked.pop("until", ""), "until", datetime.now(UTC))
    since = _moment(asked.pop("since", ""), "since", until - YEAR)
    if asked:
        raise RequestError("only since and until may be said", place="query")
    found = await call.read(lambda: call.api.pipeline.ledger.cells(since, until))
    cells = [
        {
            "category": each.category,
            "area": each.area,
            "reason": each.reason,
            "outcome": each.outcome or "open",
            "count": each.count,
        }
        for each in found
    ]
    told = {"since": instant(since), "until": instant(until), "counts": cells}
    return Response(answers.as_json(told), media_type=_JSON)


def _moment(text: str, name: str, otherwise: datetime) -> datetime:
    """A date or an instant; a date begins at midnight, UTC."""
    if not text:
        return otherwise
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise RequestError("a date, or an instant with its offset", place=name) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _sought(each: InHand) -> dict[str, Any]:
    due = each.next
    return {
        "task": f"Task/{each.pursuit.task}",
        "part": each.pursuit.part,
        "requester": each.pursuit.requester,
        "since": instant(each.pursuit.since),
        "stage": each.pursuit.stage,
        "asked": [
            {"agency": hop.agency, "at": instant(hop.at), "state": hop.state, "task": hop.task}
            for hop in each.hops
        ],
        "next": {"step": due.step, "due": instant(due.due)} if due else None,
    }


def _line(each: Unmet) -> dict[str, Any]:
    return {
        "task": f"Task/{each.task}",
        "category": each.category,
        "area": each.area,
        "reason": each.reason,
        "asked": each.asked,
        "opened": instant(each.opened),
        "closed": instant(each.closed) if each.closed else None,
        "outcome": each.outcome or "open",
    }


_IN_HAND: Final = {
    "task": f"Task/{ID}",
    "part": "",
    "requester": "northside",
    "since": "2026-03-02T15:04:05.123Z",
    "stage": "seeking",
    "asked": [
        {"agency": "family-haven", "at": "2026-03-02T15:04:05.223Z", "state": "asked", "task": ID}
    ],
    "next": {"step": "remind", "due": "2026-03-05T15:04:05.223Z"},
}
_ENTRY: Final = {
    "task": f"Task/{ID}",
    "category": "homelessness",
    "area": "52240",
    "reason": "no agency is left that could be asked",
    "asked": 2,
    "opened": "2026-03-02T15:04:05.123Z",
    "closed": None,
    "outcome": "open",
}
_CELL: Final = {
    "category": "homelessness",
    "area": "52240",
    "reason": "no agency is left that could be asked",
    "outcome": "open",
    "count": 12,
}
_COUNTS: Final = {
    "since": "2026-01-01T00:00:00.000Z",
    "until": "2026-04-01T00:00:00.000Z",
    "counts": [_CELL],
}

UNMET: Final = (
    Endpoint(
        "admin_referrals",
        "GET",
        "/admin/referrals",
        Policy.ADMIN,
        in_hand,
        Docs(
            "Admin",
            "Referrals that the hub places",
            "Those that aren't over, a line for each part: who was asked and what they said, and "
            "what is due next. `stage`: seeking, waiting (on a list), navigator.",
            response={_JSON: {"In hand": {"referrals": [_IN_HAND]}}},
        ),
    ),
    Endpoint(
        "admin_unmet_needs",
        "GET",
        "/admin/unmet-needs",
        Policy.ADMIN,
        needs,
        Docs(
            "Admin",
            "Needs that nobody meets",
            "Referrals that no agency took: since when, how many were asked, and why it ended with "
            "a navigator. `status=all` tells the closed ones, too.",
            parameters=("unmet_status",),
            response={_JSON: {"Open": {"unmet": [_ENTRY]}}},
        ),
    ),
    Endpoint(
        "admin_unmet_counts",
        "GET",
        "/admin/unmet-needs/counts",
        Policy.ADMIN,
        counts,
        Docs(
            "Admin",
            "Needs that nobody meets, counted",
            "By category, ZIP code, reason and outcome. Counts under five are withheld from their "
            "area (`area` is empty then); `count` is null where even all such are fewer.",
            parameters=("since_time", "until_time"),
            response={_JSON: {"Counts": _COUNTS}},
        ),
    ),
)
