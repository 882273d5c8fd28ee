"""Which of our tables implements which of the guide's code maps, and how its rows are compared."""

from __future__ import annotations

import re

from tests.mappings.ig.tables import Code

KEPT = {
    "AddressType[Type]": "address-type",
    "AddressType[Use]": "address-use",
    "AdministrativeSex": "administrative-sex",
    "AdmissionType": "admission-type",
    "AllergenType[AllergyIntoleranceCategory]": "allergy-category",
    "AllergySeverity[AllergyIntolerance.criticality]": "allergy-criticality",
    "AllergySeverity[AllergyIntolerance.reaction.severity]": "allergy-severity",
    "AllergyType": "allergy-type",
    "AmbulatoryStatus": "ambulatory-status",
    "AppointmentReasonCodes": "appointment-reason",
    "AppointmentTypeCodes": "appointment-type",
    "BedStatus": "bed-status",
    "ContactRole": "contact-role",
    "DegreeLicenseCertificate": "degree",
    "DiagnosisType": "diagnosis-role",
    "DiagnosticServiceSectionID": "diagnostic-section",
    "EncounterPriority": "encounter-priority",
    "ExtendedPriorityCodes": "request-priority",
    "FillerStatusCodes[Appointment]": "appointment-status",
    "HospitalService": "hospital-service",
    "IdentifierType": "identifier-type",
    "InterpretationCodes": "interpretation",
    "MaritalStatus": "marital-status",
    "NameType": "name-use",
    "ObservationResultStatusCodesInterpretation": "observation-status",
    "OrderControlCode[ServiceRequest.status]": "order-control",
    "OrderStatus": "order-status",
    "PatientClass[EncounterClass]": "encounter-class",
    "PatientClass[EncounterStatus]": "encounter-status",
    "PractitionerIDNumberType": "practitioner-identifier-type",
    "Relationship": "relationship",
    "Religion": "religion",
    "ResultStatus[Non-Queries]": "report-status",
    "TelecommunicationEquipmentType": "telecom-system",
    "TelecommunicationUseCode": "telecom-use",
    "YesNoIndicator[AvailabilityStatus]": "specimen-status",
}
"""Tables kept by hand: they say more than the guide (see mappings/hl7v2/NOTICE)."""

_RENAMED = {
    "AllergenType[AllergyIntoleranceOriginalCategory]": "allergen-type",
    "AllergySeverity[AllergyIntolerance.criticality-original]": "allergy-severity-original",
    "ConfidentialityCode": "confidentiality",
    "Event[EncounterStatus]": "event-encounter-status",
}
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def table_name(code_map: str) -> str:
    """``BodySite`` is ``body-site``, where we say nothing else."""
    known = KEPT.get(code_map) or _RENAMED.get(code_map)
    return known or _CAPITAL.sub("-", code_map).lower()


def implied(system: str) -> bool:
    """Whether a system is R4's own: those of codes in required bindings, which name none."""
    return system.startswith("http://hl7.org/fhir/") and "/sid/" not in system


def agrees(row: Code, target: str, system: str) -> bool:
    """Whether our table's row says what the guide's says."""
    of_code = not system and implied(row.system)
    return target == row.target and (system == row.system or of_code)
