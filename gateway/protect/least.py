"""What a caller is shown of a resource that isn't its own (DESIGN, section 7).

Of a Patient it is the least: no social security number, race, religion, marital status,
photograph or account of the rest of their life (``fhir.least``). A search can't ask for what isn't
shown: its rows are filed apart.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.fhir import json
from gateway.fhir.least import PATIENT, least
from gateway.model import Context, Stored

__all__ = ["PATIENT", "least", "narrowed", "shown"]


def narrowed(context: Context, stored: Stored) -> bool:
    """Whether the caller sees less than the whole: a Patient that isn't its own."""
    return stored.type == "Patient" and stored.owner != context.agency and not context.admin


def shown(context: Context, stored: Stored) -> Stored:
    """A version as the caller may see it."""
    if not narrowed(context, stored) or stored.deleted:
        return stored
    whole = json.loads(stored.body)
    part = least(whole)
    return stored if part == whole else replace(stored, body=json.dumps(part))
