"""Why a publisher's fact isn't expected of us. No rule names what a sample says: the values are
codes and constants, and what a rule claims of the message or of HL7's tables it looks up.
"""

from __future__ import annotations

from tests.mappings.conditions import (
    Rule,
    always,
    booked,
    collected_in_an_order,
    empty,
    kind_of_universal_id,
    no_category,
    none_and_unsent,
    not_,
    not_in,
    not_sent_in,
    only_called,
    ours,
    sent,
    sent_in,
    smaller,
    unmade,
    unsent,
    unsent_in_accident,
    untabled,
    untyped,
    worded,
)

ANY = ".*"
_NUMBER = r"identifier\.(type\.coding\.(code|system)|system)"
_ORDERS = "ServiceRequest|DiagnosticReport|Observation"
_TELECOM = ("phone", "fax", "email", "pager", "url", "sms", "other")
_NAME_USE = ("usual", "official", "temp", "nickname", "anonymous", "old", "maiden")
_ENVELOPE = "MessageHeader|Bundle"
_ENVELOPE_FIELDS = (
    *(f"MSH-{number}" for number in (3, 5, 6, 23, 24, 25)),
    *("SFT", "ORC-10", "ORC-11", "ORC-19"),
)

_TABLED = (
    ("Encounter", "status", [("encounter-status", "PV1-2"), ("event-encounter-status", "MSH-9")]),
    ("ServiceRequest", "status", [("order-control", "ORC-1"), ("order-status", "ORC-5")]),
    ("Observation", "status", [("observation-status", "OBX-11")]),
    ("DiagnosticReport", "status", [("report-status", "OBR-25")]),
    ("DocumentReference", "docStatus", [("document-status", "TXA-17")]),
    ("Condition", r"verificationStatus\.coding\.code", [("diagnosis-verification", "DG1-6")]),
    ("Patient", r"name\.use", [("name-use", "PID-5"), ("name-use", "PID-9")]),
)
"""Codes that HL7's concept maps alone give."""

INVENTED_RULES = (
    Rule("ServiceRequest", r"category\..*", ANY, unsent, "a constant: code says it"),
    Rule(ANY, ANY, "", always, "empty"),
    Rule(ANY, ".*system", r"http://example\.com/.*|.*-unharmonized", always, "a made-up system"),
    Rule(ANY, ".*<own .*", ANY, always, "an extension of the publisher's own"),
    Rule(ANY, r".*\.version", ANY, unsent, "a version that isn't sent"),
    Rule("Patient", "active", ANY, always, "a constant"),
    Rule("Patient", "multipleBirthBoolean", "false", not_(sent("PID", 24, "n")), "a constant"),
    Rule("Patient", "deceasedBoolean", "false", not_(sent("PID", 30, "n")), "a constant"),
    Rule("Account", ".*onHold", ANY, unsent, "a constant"),
    Rule("Location", "description", ".*--.*", unsent, "a PL, joined: PL.9 alone describes a place"),
    Rule("Patient", _NUMBER, "sb|.*us-ssn", empty("PID", 19), "of a number not sent"),
    Rule("Patient", _NUMBER, ".*v2-0203", untyped("PID-3"), "of a number not sent"),
    Rule(
        "RelatedPerson", _NUMBER, ".*v2-0203", untyped("NK1-12", "NK1-33"), "of a number not sent"
    ),
    Rule("Patient", _NUMBER, "dl", empty("PID", 20), "of a number not sent"),
    Rule("Encounter", r"identifier\.type\..*", ANY, empty("PV1", 19), "of a number not sent"),
    Rule("RelatedPerson", _NUMBER, "sb|.*us-ssn", empty("NK1", 37), "of a number not sent"),
    Rule("Encounter", "class.*|status|location.status", ANY, none_and_unsent, "a constant"),
    Rule("Location", "physicalType.*", ANY, smaller, "of a part of a place that isn't sent"),
    Rule(
        "Coverage|ClaimResponse",
        r"(identifier\.|costToBeneficiary\.)?type\.coding\..*|.*category\.coding\..*",
        ANY,
        unsent,
        "a code not sent",
    ),
    Rule(
        "Observation",
        r"(component\.)?code\.coding\..*",
        ANY,
        unsent_in_accident,
        "a code not sent",
    ),
    Rule(
        "Patient|RelatedPerson",
        r"(contact\.)?relationship\.coding\..*",
        "c|e|.*v2-0131",
        empty("NK1", 7),
        "a role that isn't sent",
    ),
    Rule(
        "PractitionerRole",
        "code.*",
        r"(?!mdir|medical director|responsible).*",
        unsent,
        "the part that an element's name says",
    ),
    Rule(ANY, r".*\.(display|text|valueString)", ANY, worded, "wording that isn't sent"),
    Rule("Patient", r"contact\.telecom\.use", "home", unsent, "a use that isn't sent"),
)

WRONG_RULES = (
    Rule(ANY, r".*(coding|value\w+)\.system", "[^:/]*", always, "R4: a system is a URI"),
    Rule(ANY, r".*telecom\.system", ANY, not_in(*_TELECOM), "R4: no kind of telecommunication"),
    Rule(ANY, r".*name\.use", ANY, not_in(*_NAME_USE), "R4: no use of a name"),
    Rule("Patient|RelatedPerson", _NUMBER, "sb", ours(ANY, _NUMBER, "ss"), "PID-19: SS in the US"),
    Rule(
        "Patient",
        r"telecom\.use",
        "home",
        ours("Patient", r"telecom\.use", "mobile"),
        "XTN.3 CP: mobile, and R4 takes one use",
    ),
    Rule("Encounter", "status", "in-progress", sent("PV1", 45), "PV1-45: finished"),
    *(
        Rule(type_, path, ANY, untabled(*tables), f"by HL7's tables: {tables[0][0]}")
        for type_, path, tables in _TABLED
    ),
    Rule(
        "Patient",
        r"telecom\.system",
        "phone",
        ours("Patient", r"telecom\.system", "email"),
        "XTN.4: email",
    ),
    Rule("DiagnosticReport", ANY, ANY, unmade, "an order is no report: ORM_O01, OML_O21, MDM_T02"),
    Rule("EpisodeOfCare", ANY, ANY, unmade, "DG1 of an order: its reason, and PV1-54 is empty"),
    Rule(
        "Specimen",
        "collection.collected.*",
        ANY,
        collected_in_an_order,
        "OBR-7 of an order: SPM-17 says when",
    ),
    Rule(
        "ServiceRequest",
        r"identifier\..*",
        ANY,
        sent_in("OBR-29", "OBR-50"),
        "left open in the guide where OBR-50 is",
    ),
    Rule(
        "Encounter",
        r"location\.status",
        "active|planned",
        sent("PV1", 45),
        "PV1-45: of an ended visit no place is active or planned",
    ),
    Rule(
        "Encounter",
        r"class\..*",
        ANY,
        untabled(("encounter-class", "PV1-2")),
        "by HL7's tables: encounter-class",
    ),
    Rule(
        ANY,
        r"(.*\.)?(valueQuantity|length)\.system",
        "ucum|urn:iso:.*|.*unitsofmeasure.*/",
        always,
        "UCUM's URI is http://unitsofmeasure.org",
    ),
    Rule(
        "ServiceRequest",
        "intent",
        "filler-order",
        ours("ServiceRequest", "intent", "order"),
        "ORC: order",
    ),
    Rule(
        "Appointment",
        r"appointmentType\..*",
        ANY,
        ours("Appointment", "reasonCode.*"),
        "SCH-7 of table 0276: reasonCode",
    ),
    Rule(
        "Appointment", "priority", ANY, sent("SCH", 11), "SCH-11.6 isn't mapped, and 11.1 is none"
    ),
    Rule(
        "Patient",
        ".*<patient-religion>.*",
        ANY,
        untabled(("religion", "PID-17")),
        "by HL7's tables: religion",
    ),
    Rule(
        "Patient",
        ".*<ombCategory>.*",
        ANY,
        no_category,
        "no category of OMB's, or not its display",
    ),
    Rule(
        ANY,
        r"diagnosis\.(use|role)\..*",
        ANY,
        sent("DG1", 6, "f", "w"),
        "table 0052: F and W have no target",
    ),
    Rule(
        "Encounter",
        "diagnosis.*",
        ANY,
        not_(sent("MSH", 9, "adt")),
        "DG1 beside an order or a booking is a Condition, and no part of the visit",
    ),
    Rule(
        "AllergyIntolerance",
        r"reaction\.onset",
        ANY,
        ours("AllergyIntolerance", "onset.*"),
        "AL1-6: onsetDateTime",
    ),
)

APART_RULES = (
    Rule(
        "Linkage", ANY, ANY, ours("Patient", r"link\.type"), "A40: Patient.link says it both ways"
    ),
    Rule(
        "Provenance",
        ANY,
        ANY,
        not_sent_in("EVN", "PID-33", "TXA", "SCH"),
        "the envelope: of MSH the gateway writes its own Provenance",
    ),
    Rule(
        _ENVELOPE,
        ANY,
        ANY,
        always,
        "the envelope: the gateway keeps the message, its own Provenance",
    ),
    Rule(
        "Device|Organization|Location|Practitioner",
        ANY,
        ANY,
        sent_in(*_ENVELOPE_FIELDS),
        "of the envelope: who sent, received, entered and verified it",
    ),
    Rule(
        "Device",
        ANY,
        ANY,
        not_sent_in("OBX-18", "PRT", "AIG"),
        "of the envelope: MSH-3, MSH-5 and SFT",
    ),
    Rule("Consent", ANY, ANY, sent("CON", 1), "the guide makes nothing of CON"),
    Rule(
        "ServiceRequest",
        ANY,
        ANY,
        booked,
        "the guide makes an order of AIS where SCH-26 or -27 is",
    ),
    Rule("Patient", r"contact\..*", ANY, only_called, "CTD beside an order: no map, and no kin"),
    Rule(
        "Organization",
        r"identifier\.type\..*",
        ANY,
        kind_of_universal_id,
        "an assigner is no resource: CX.4 is a system, as the guide lets one choose",
    ),
    Rule(
        ANY,
        ANY,
        ANY,
        sent_in("FT1", "BLG", "CTI", "CON", "DRG", "UB1", "UB2"),
        "no map in the guide",
    ),
    Rule(
        "Location",
        ANY,
        ANY,
        sent_in("SCH-15", "SCH-19", "SCH-22"),
        "the guide maps SCH-15, -19, -22 nowhere",
    ),
)
