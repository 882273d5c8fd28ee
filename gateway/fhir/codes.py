"""The code systems, profiles and extensions that the gateway names itself.

R4's own, HL7 terminology's, SDOH Clinical Care 3.0's and this gateway's. What agencies send keeps
the system that their maps give it.
"""

from __future__ import annotations

from typing import Final

BASE: Final = "https://care-gateway.example/fhir/"
"""The base of what the gateway defines itself; a name, not an address."""

# --- this gateway's ------------------------------------------------------------------------------

LOOP_DELIVERED: Final = BASE + "StructureDefinition/loop-delivered"
"""Extension of Task: which message the asker's system acknowledged, and when (``close.loop``)."""

WEBHOOK_SECRET: Final = BASE + "StructureDefinition/webhook-secret"
"""Extension of Subscription: what its notifications are signed with (string, ``whsec_…``)."""

MESSAGE_IDENTIFIER: Final = BASE + "NamingSystem/message"
"""Identifier system of stored raw messages."""

AGENCY_IDENTIFIER: Final = BASE + "NamingSystem/agency"
"""Identifier system of member agencies."""

TASK_KIND: Final = BASE + "CodeSystem/task"
"""What the gateway itself asks for by a Task: ``complete-table``, a code that a table lacks."""

TASK_PART: Final = BASE + "CodeSystem/task-part"
"""The inputs and outputs of such Tasks."""

TABLE_MAP: Final = BASE + "ConceptMap/"
"""The base of the ConceptMaps that mapping tables go by: the table's name follows."""

# --- R4 and HL7 terminology ----------------------------------------------------------------------

TASK_STATUS: Final = "http://hl7.org/fhir/task-status"
TASK_CODE: Final = "http://hl7.org/fhir/CodeSystem/task-code"
PARTICIPANT_TYPE: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
CURRENCY: Final = "urn:iso:std:iso:4217"
SNOMED: Final = "http://snomed.info/sct"

# --- SDOH Clinical Care 3.0.0 --------------------------------------------------------------------

SDOH: Final = "http://hl7.org/fhir/us/sdoh-clinicalcare/"
