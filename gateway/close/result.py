"""A referral's outcome as an order and its results (chapter 7): in an ORU, and in an RRI's end.

OBR-2 is the asker's own number of the referral, OBR-3 ours, OBR-4 what was asked for. An OBX each
says how it ended, what was done, on which day, and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gateway.close.case import PERSON, Case, escape, field
from gateway.close.served import services
from gateway.close.standing import standing
from gateway.close.structure import coded, moment, ours, put, stamp, version

REFERRAL_NOTE: Final = "57133-1^Referral note^LN"
"""OBR-4 where the request has no code: what 360X sends."""

_LOCAL: Final = "99CAREGW"
_CONCEPT: Final = dict.fromkeys(range(1, 7), 1)


def order(case: Case, obr: Any) -> None:
    """Fill OBR: whose referral it is, what was asked for, when, and how far it is."""
    put(obr, 1, "1")
    put(obr, 2, case.originator)
    put(obr, 3, ours(case))
    put(obr, 4, asked(case))
    put(obr, 7, next(filter(None, (_day(each.date) for each in services(case))), stamp(case.at)))
    put(obr, 16, orderer(case))
    put(obr, 22, stamp(case.at))
    put(obr, 25, standing(case).result)
    if version(case) == "2.3":
        put(obr, 27, "1")  # quantity/timing, required in 2.3 alone: once


def results(case: Case, group: Any, name: str) -> None:
    """Add each observation to a group of an order, in a group of that ``name``."""
    for number, (kind, what, value, day, part) in enumerate(_observations(case), 1):
        obx = group.add_group(name).add_segment("OBX")
        put(obx, 1, str(number))
        put(obx, 2, kind)
        put(obx, 3, f"{what}^{what.replace('-', ' ').capitalize()}^{_LOCAL}")
        put(obx, 4, part)
        put(obx, 5, value)
        put(obx, 11, "F")
        put(obx, 14, day)
        put(obx, 15, f"^{escape(case.performer)}" if case.performer else "")


def asked(case: Case) -> str:
    """What was asked for: an order's own OBR-4, else the request's code."""
    own = field(case.order("OBR"), 4, _CONCEPT) if case.is_order else ""
    return own or coded(case.request.get("code") or {}, REFERRAL_NOTE)


def orderer(case: Case) -> str:
    """Who ordered, as the sender wrote it (ORC-12, else OBR-16); "" of a REF."""
    if not case.is_order:
        return ""
    return field(case.order("ORC"), 12, PERSON) or field(case.order("OBR"), 16, PERSON)


def _observations(case: Case) -> Iterator[tuple[str, str, str, str, str]]:
    """(OBX-2, name, OBX-5, OBX-14, OBX-4) of each observation; services share a number in OBX-4."""
    code = "CE" if version(case) < "2.6" else "CWE"
    status = f"{case.status}^{case.status.replace('-', ' ').capitalize()}^{_LOCAL}"
    yield code, "referral-status", status, stamp(case.at), "1"
    for number, each in enumerate(services(case), 1):
        value = coded(each.concept)
        if value:
            yield code, "service-delivered", value, _day(each.date), str(number)
        if each.date:
            yield "DT", "service-date", moment(each.date[:10]), _day(each.date), str(number)
    if case.reason:
        yield "TX", "reason", escape(case.reason), "", "1"


def _day(date: str) -> str:
    return moment(date) if date else ""
