"""ORU^R01: a referral's outcome as a result that any v2 system files (chapter 7)."""

from __future__ import annotations

from gateway.close.case import Case
from gateway.close.result import order, results
from gateway.close.structure import finish, patient, start, version


def build(case: Case) -> bytes:
    """The ORU for the Task as it stands, unframed. Raises CloseError."""
    message = start(case, "ORU", "R01")
    old = version(case) == "2.3"
    result = message.add_group("ORU_R01_RESPONSE" if old else "ORU_R01_PATIENT_RESULT")
    patient(case, result.add_group("ORU_R01_PATIENT").pid)
    observed = result.add_group("ORU_R01_ORDER_OBSERVATION")
    order(case, observed.obr)
    results(case, observed, "ORU_R01_OBSERVATION")
    return finish(message, case)
