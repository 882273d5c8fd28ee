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

SSN_HASH: Final = BASE + "NamingSystem/hmis-ssn-hash"
"""Identifier system of hashed social security numbers (HMIS): nothing to match a person by, as
salts and what was hashed differ, and some exports hash everybody's alike."""

DATA_QUALITY: Final = BASE + "StructureDefinition/data-quality"
"""Extension of a birth date that is approximate or partial (HMIS's DOBDataQuality 2)."""

TABLE_MAP: Final = BASE + "ConceptMap/"
"""The base of the ConceptMaps that mapping tables go by: the table's name follows."""

ROUTE: Final = BASE + "StructureDefinition/"
"""The extensions by which a HealthcareService says what routing goes by (``route.services``)."""

ELIGIBILITY: Final = BASE + "CodeSystem/eligibility"
"""Whom a service takes: ``veterans``, ``women``, ``men``, and the households of HMIS."""

ACCESSIBILITY: Final = BASE + "CodeSystem/accessibility"
"""How a service can be reached and used (HealthcareService.characteristic), and what somebody needs
of that: ``wheelchair``, ``sign-language``, ``hearing-loop``, ``braille``, ``easy-language``,
``service-animal``."""

FLAG: Final = BASE + "CodeSystem/flag"
"""What a Flag says of a person: ``barred``, its agency doesn't take them."""

# --- R4 and HL7 terminology ----------------------------------------------------------------------

TASK_STATUS: Final = "http://hl7.org/fhir/task-status"
TASK_CODE: Final = "http://hl7.org/fhir/CodeSystem/task-code"
PARTICIPANT_TYPE: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
CURRENCY: Final = "urn:iso:std:iso:4217"
SNOMED: Final = "http://snomed.info/sct"
CORE_CATEGORY: Final = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"

# --- SDOH Clinical Care 3.0.0 --------------------------------------------------------------------

SDOH: Final = "http://hl7.org/fhir/us/sdoh-clinicalcare/"
SDOH_CODES: Final = SDOH + "CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
CAPACITY_STATUS: Final = (
    SDOH + "StructureDefinition/SDOHCC-ExtensionHealthcareServiceCapacityStatus"
)
"""Extension of HealthcareService: whether it has room."""
