"""``Patient/[id]/$purge`` (HL7 FHIR R6, operation Patient-purge): a person let go for good."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.responses import Response

from gateway.api.operation import R4, Asked, Operation, answered
from gateway.fhir.outcome import outcome
from gateway.operations.purging import Purged


async def purge(asked: Asked) -> Response:
    """Do it, and say what of it isn't done or stays."""
    run, context = asked.call.api.pipeline.operations.purge, asked.call.context
    # On a thread of its own: it may take seconds, and others' reads don't wait for it.
    purged = await asyncio.to_thread(run, context, asked.id or "")
    return answered(outcome(purged.issues()))


PURGE: Final = Operation(
    "purge",
    R4 + "Patient-purge",
    ("instance",),
    purge,
    "Let go of a person",
    "For the Patient's owner, and for administrators. All versions of the Patient, of the owner's "
    "Patients that are linked with it and of what is about them are removed for good, with search "
    "rows, rights, and the messages and rows that said so. What is left answers 410. What another "
    "agency recorded stays that agency's; what is about other persons as well stays, and the "
    "OperationOutcome names it. 409 while others have a referral of the person in hand, or "
    "haven't heard how it ended. `incomplete`: it takes longer and goes on by itself. Asking "
    "again changes nothing more.",
    types=("Patient",),
    affects=True,
    response={
        "Done": outcome(Purged(done=True).issues()),
        "Under way": outcome(Purged(done=False).issues()),
    },
    errors=(409,),
)
