"""ORU^R01: a referral's outcome as a result that any v2 system files (chapter 7).

OBR-2 is the asker's own number of the referral (RF1-6), OBR-3 ours, OBR-4 what was asked for.
An OBX each says how it ended, what was done, on which day, and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.close.case import Case, escape
from gateway.close.served import services
from gateway.close.structure import (
    coded,
    finish,
    moment,
    originator,
    ours,
    patient,
    put,
    stamp,
    start,
    version,
)

STATUS: Final[Mapping[str, str]] = {"completed": "F", "failed": "X", "cancelled": "X"}
"""Task.status to OBR-25, table 0123: final, or not done. Others are preliminary."""

REFERRAL_NOTE: Final = "57133-1^Referral note^LN"
"""OBR-4 where the request has no code: what 360X sends."""

_LOCAL: Final = "99CAREGW"


def build(case: Case) -> bytes:
    """The ORU for the Task as it stands, unframed. Raises CloseError."""
    message = start(case, "ORU", "R01")
    old = version(case) == "2.3"
    result = message.add_group("ORU_R01_RESPONSE" if old else "ORU_R01_PATIENT_RESULT")
    patient(case, result.add_group("ORU_R01_PATIENT").pid)
    order = result.add_group("ORU_R01_ORDER_OBSERVATION")
    _order(case, order.obr)
    for number, (kind, name, value, day, part) in enumerate(_observations(case), 1):
        obx = order.add_group("ORU_R01_OBSERVATION").add_segment("OBX")
        put(obx, 1, str(number))
        put(obx, 2, kind)
        put(obx, 3, f"{name}^{name.replace('-', ' ').capitalize()}^{_LOCAL}")
        put(obx, 4, part)
        put(obx, 5, value)
        put(obx, 11, "F")
        put(obx, 14, day)
    return finish(message, case)


def _order(case: Case, obr: Any) -> None:
    put(obr, 1, "1")
    put(obr, 2, originator(case))
    put(obr, 3, ours(case))
    put(obr, 4, coded(case.request.get("code") or {}, REFERRAL_NOTE))
    put(obr, 7, next(filter(None, (_day(each.date) for each in services(case))), stamp(case.at)))
    put(obr, 22, stamp(case.at))
    put(obr, 25, STATUS.get(case.status, "P"))
    if version(case) == "2.3":
        put(obr, 27, "1")  # quantity/timing, required in 2.3 alone: once


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
