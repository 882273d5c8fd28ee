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
"""Extension of Task: when the asker's system took the outcome (dateTime)."""

WEBHOOK_SECRET: Final = BASE + "StructureDefinition/webhook-secret"
"""Extension of Subscription: what its notifications are signed with (string, ``whsec_…``)."""

MESSAGE_IDENTIFIER: Final = BASE + "NamingSystem/message"
"""Identifier system of stored raw messages."""

AGENCY_IDENTIFIER: Final = BASE + "NamingSystem/agency"
"""Identifier system of member agencies."""

# --- R4 and HL7 terminology ----------------------------------------------------------------------

TASK_STATUS: Final = "http://hl7.org/fhir/task-status"
TASK_CODE: Final = "http://hl7.org/fhir/CodeSystem/task-code"
REQUEST_STATUS: Final = "http://hl7.org/fhir/request-status"
PARTICIPANT_TYPE: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
IDENTIFIER_TYPE: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
MESSAGE_EVENT: Final = "http://terminology.hl7.org/CodeSystem/v2-0003"
ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
SECURITY_SERVICE: Final = "http://terminology.hl7.org/CodeSystem/restful-security-service"
SUBSCRIPTION_TAG: Final = "http://terminology.hl7.org/CodeSystem/subscription-tag"
CURRENCY: Final = "urn:iso:std:iso:4217"
URI: Final = "urn:ietf:rfc:3986"
LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"
UCUM: Final = "http://unitsofmeasure.org"

# --- SDOH Clinical Care 3.0.0 --------------------------------------------------------------------

SDOH: Final = "http://hl7.org/fhir/us/sdoh-clinicalcare/"
SDOH_CODES: Final = SDOH + "CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
SDOH_TASK: Final = SDOH + "StructureDefinition/SDOHCC-TaskForReferralManagement"
SDOH_SERVICE_REQUEST: Final = SDOH + "StructureDefinition/SDOHCC-ServiceRequest"
