"""What publishers state by a habit of their own: facts that are not expected of us, and why.

A fact that no rule fits has to be stated.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.mappings.facts import Fact


class Rule(NamedTuple):
    """Facts of ``type`` whose path and value match are put down to ``why``."""

    type: str
    path: str
    value: str
    why: str


ANY = ".*"
_HUB = "the hub's own: it keeps the message and writes the Provenance"
_MADE_UP = "a made-up system: ours is HL7's, or the agency's own"
_PARTS = "a Location of each part of a PL: ours is one, named from the site to the bed"
_ASSIGNER = "an Organization of each assigning authority: ours is the identifier's system"
_SSN = "PID-19 is type SS in the US, as the guide has it"
_OWN_EXTENSION = "an extension of the publisher's own"
_BOOKED = "the guide makes an order of AIS only where SCH-26 or -27 names one"
_BOOKER = "who booked it stands in Appointment.participant"
_WORDING = "the same in other words"
_LANGUAGE = "sent as table 0296's code, and kept so"
_INSURED = "IN2 speaks of the insured: the number stands in Coverage or the subscriber"
_IN_PERSON = "the person stands there themself: a role would say no more"
_SENT_TQ = "TQ (ORC-7) is withdrawn: of an interval its text stands in timing.code"
_THEIR_ZONE = "a time without an offset, read in the zone of the publisher's machine"
_CHOSEN = "a code of the publisher's choosing: the message sends none"
_TOLD = "who entered, verified or did it (ORC-10, -11, -19): " + _HUB
_BILLED = "FT1 and BLG bill: left out"
_CALLED = "CTD says whom to call about an order, and no kin of the patient"
_CALLED_BY_NAME = (
    "abbot|adam|a|iii|dr|phd|official|1000 hospital lane|ste.123|ann arbor|mi|99999|usa|work|phone|"
    "doe|rosallie|115 mainstreet|goodtown|ky|42010|c|emergency contact|.*(555-1234|271-9001)"
)
_HAPI = (
    r".*extension<(obx-observation|hl7v2.*|xad-address|xcn-practitioner|pid-patient|cx-identifier|"
    r"assigning-authority|cwe-.*|xpn-human-name|business-event|obr-observation-request|note-comment)>.*"
)
_OPERATORS = (
    "c08|woolfson|kathleen|2ndname|anonymous identifier|anon|koopa|bowser|13|berry|9941339108|"
    "smith|adam|mellie|gp|jr|dr|20[12]0-01-15t.*|.*:2.16.840.1.113883.4.6|npi|national provider.*"
)

RULES = (
    Rule("MessageHeader|Provenance", ANY, ANY, _HUB),
    Rule("Linkage", ANY, ANY, "Patient.link says it both ways"),
    Rule("Device", ANY, ANY, "MSH-3 and SFT: " + _HUB),
    Rule(
        "PractitionerRole",
        "code.*",
        r"(placer|filler).contact|ep|entering provider|.*0443",
        _BOOKER,
    ),
    Rule("Consent", ANY, ANY, "CON isn't in the guide's MDM_T02"),
    Rule("*", ".*system", r"http://example\.com/.*|urn:ietf:rfc:3986|.*-unharmonized", _MADE_UP),
    Rule("*", r".*\.version", "v1", "the publisher's constant, for codes that it doesn't know"),
    Rule("*", r".*coding\.(display|system|code)", "", "empty"),
    Rule("*", ".*identifier.type.*", "sb|social beneficiary identifier", _SSN),
    Rule("Location", "description|physicalType.*", ANY, _PARTS),
    Rule("Location", "name", "cona_health|good health hospital", "EVN-7: " + _HUB),
    Rule("Location", "name", "homes", "PV1-37 is named in hospitalization.destination"),
    Rule("Location", "identifier.*", ANY, _PARTS),
    Rule("Location", "alias", ANY, "a note (NTE), which stands in Appointment.comment"),
    Rule("Organization", "identifier.*", ANY, _ASSIGNER),
    Rule("Organization", "contact.*", "luigi|princess", "R4 org-1: it has no name or number"),
    Rule("Organization", "name", "|23 .*", "the receiver of the message: " + _HUB),
    Rule("Patient", "communication.language.*", ANY, _LANGUAGE),
    Rule("Patient", ".*<(us-core-ethnicity|us-core-race)>.*", ANY, _WORDING),
    Rule("Patient", ".*<patient-mothersMaidenName>.*", ANY, _WORDING),
    Rule("Patient", ".*<patient-religion>.*", ANY, "a code that the guide's table hasn't so"),
    Rule("Patient", ".*<VeteranMilitaryStatus>.*", ANY, _OWN_EXTENSION),
    Rule("Patient", "active", "true", "a constant: no message says so"),
    Rule("Patient", "(contact.)?telecom.use", "home", "sent as a mobile, or without a use"),
    Rule("Patient", "telecom.system", ".*:.*", "XTN-3 is no kind of telecommunication"),
    Rule("Patient", "multipleBirthBoolean|deceasedBoolean", "false", "not sent, or 0"),
    Rule("Encounter", r"location\.extension<temporary-location>.*", ANY, _OWN_EXTENSION),
    Rule("Encounter", "identifier.type.*", ANY, "the sender's own type (PV1-19.5) is kept"),
    Rule("Encounter", "priority.coding.*", "el|elective|.*actpriority", "the alternate code, too"),
    Rule("Encounter", "length.system", ANY, "UCUM's system has no slash at its end"),
    Rule("Encounter", "class.*", "unknown", "class unknown is v3-NullFlavor's UNK"),
    Rule("Encounter", "status", "in-progress", "PV1-45 is there: finished, as the guide has it"),
    Rule("Encounter", "location.status", ANY, "no place of an ended visit is active or planned"),
    Rule("RelatedPerson|Patient", r"(contact\.)?relationship\.coding.*", ANY, _WORDING),
    Rule("Observation", ".*<Observation_Status>.*", ANY, _OWN_EXTENSION),
    Rule("Practitioner", ANY, _OPERATORS, "EVN-5, the operator: " + _HUB),
    Rule("Practitioner", ANY, "mlee|attend|aaron|a|md", "NTE-5 is named in the note"),
    Rule("Practitioner", "identifier.type.*", ANY, "a type that table 0203 hasn't: its display"),
    Rule("Practitioner", "name.use", ANY, "XCN-10 is a code that FHIR hasn't, or none"),
    Rule("DocumentReference", "docStatus", "preliminary", "AU is authenticated: final"),
    Rule("*", _HAPI, ANY, _OWN_EXTENSION),
    Rule("*", ".*coding.system", "[^:/]*", "a name, and no URI"),
    Rule("Patient", "identifier.*system", ".*us-ssn|.*v2-0203", "of numbers that are empty"),
    Rule("Patient", "name.use", "anonymous", "XPN-7 is a code that FHIR has no word for"),
    Rule("ServiceRequest", "status", "unknown", "what is ordered anew (ORC-1 NW) is active"),
    Rule("ServiceRequest", "intent", "filler-order", "order, as the guide has it"),
    Rule(
        "ServiceRequest", "identifier.*", "pgn|gord.*", "the group's number stands in requisition"
    ),
    Rule("ServiceRequest", "identifier.*", "[pf]ai-291|fai-292|pu-50", "the parent's: in basedOn"),
    Rule("ServiceRequest", "occurrenceDateTime", "2016-02-23.*", "OBR-7 is when it was taken"),
    Rule(
        "ServiceRequest",
        r".*\.repeat\.(offset|count)",
        ANY,
        "countMax, as the guide has it; no sums",
    ),
    Rule("ServiceRequest", "(category|status).*", "patient.referral.request|on-hold", _CHOSEN),
    Rule("PractitionerRole", "code.*", ANY, _IN_PERSON),
    Rule("Specimen", "identifier.value", r"\d{8,9}|r-\d+|ord\d+", "OBR-2 and -3 number the order"),
    Rule("Specimen", r"type\.coding\.system", ".*v2-0487", "SCT, as the message says"),
    Rule("Observation", "status", "unknown", "I, O and S as the guide's table has them"),
    Rule(
        "Observation", "valueQuantity.(unit|system)", "mlmin|ucum", "units lose their slash; no URI"
    ),
    Rule(
        "Observation",
        ".*coding.*",
        "injury-incident|adi|ajri|pni|[ny]|yes|no|accident .*|.*0136",
        _CHOSEN,
    ),
    Rule("Observation", ".*coding.*", "police notified indicator", _CHOSEN),
    Rule(
        "Observation|DiagnosticReport|Specimen", ".*Time", "(2020-05-08|2012-06-27).*", _THEIR_ZONE
    ),
    Rule("Immunization", "doseQuantity.value", "999", "999 says that the amount isn't known (CDC)"),
    Rule("Immunization", "reportOrigin.*", "00|new.*", "a new record: primarySource is true"),
    Rule("MedicationRequest", r"dosageInstruction\.(timing|text).*", ANY, _SENT_TQ),
    Rule("Practitioner", ANY, "1542|mr. yardy", _TOLD),
    Rule("Practitioner|Organization", ANY, "9941339116|mellie|john|radiology deptt", _BILLED),
    Rule("Organization", "name", "good health hospital", _BILLED),
    Rule("Organization", "name", "nistiisfac", "the receiver of the message: " + _HUB),
    Rule("Account", ANY, "ai167|mr|medical record number", _BILLED),
    Rule("Patient", "contact.*", _CALLED_BY_NAME, _CALLED),
    Rule("Patient", "identifier.*", "m[bci]|m[bi]-12345|medicare-12345|.*us-medicare", _INSURED),
    Rule(
        "Patient",
        "identifier.*",
        "(member|military|patient's medicare).* (number|id number)",
        _INSURED,
    ),
    Rule("Patient", "identifier.type.*", "dl", "PID-20 is empty"),
    Rule("RelatedPerson", "communication.*", ANY, _LANGUAGE),
    Rule("ClaimResponse", ".*(type|category).*", ANY, _CHOSEN),
    Rule("Coverage", "(identifier|costToBeneficiary).type.*", ANY, _CHOSEN),
    Rule("Appointment", "appointmentType.*", ANY, "SCH-7 is reasonCode, as the guide has it"),
    Rule("Appointment", "priority", ANY, "SCH-11.1 is a quantity"),
    Rule("Appointment", "minutesDuration", "1", "60 seconds: sums aren't done"),
    Rule("Appointment", "participant.status", "tentative", "an appointment that isn't pending"),
)
"""The first that fits counts."""

UNMADE = {
    "DiagnosticReport": "an order is no report: its result makes one",
    "ChargeItem": _BILLED,
    "MedicationDispense": _BILLED,
    "Procedure": _BILLED,
    "ResearchStudy": "CTI, clinical trials: left out",
    "ServiceRequest": "the Immunization carries the numbers of its order",
    "PractitionerRole": _IN_PERSON,
    "Encounter": "a PV1 without class and number",
    "EpisodeOfCare": "an order's DG1 is its reason, a Condition",
    "Specimen": "an SPM that says nothing",
    "Account": "an account of which nothing is known",
}
"""Types that a publisher makes of a message, and we don't."""

NOT_ITS_OWN = {
    "google-hdh/wstl1/mapping_configs/hl7v2_fhir_r4/rde_o01_ex3.hl7": "orm_o01_ex1's bundle",
}
"""Pairs whose bundle was made of another message."""


def agreed(fact: Fact, ours: set[Fact]) -> str | None:
    """Why a fact that we don't state isn't expected of us; None where it is."""
    if fact.type == "ServiceRequest" and any(one.type == "Appointment" for one in ours):
        return _BOOKED
    if fact.type == "Specimen" and any(one.type == "DocumentReference" for one in ours):
        return "OBR makes an order and no specimen in the guide's MDM_T02"
    if fact[:2] == ("Location", "name") and any(
        fact.value in one.value for one in ours if one[:2] == ("Location", "name")
    ):
        return _PARTS
    if fact[:2] == ("Location", "name") and any(one.type == "Appointment" for one in ours):
        return "SCH-15, -19, -22: where who booked it sits is nowhere in the guide"
    if fact.type in UNMADE and all(one.type != fact.type for one in ours):
        return UNMADE[fact.type]
    if _diagnoses(fact) and not any(map(_diagnoses, ours)):
        return "an order's DG1 is its reason, a Condition"
    return next((rule.why for rule in RULES if _fits(rule, fact)), None)


def _diagnoses(fact: Fact) -> bool:
    return fact.type == "Encounter" and fact.path.startswith("diagnosis")


def _fits(rule: Rule, fact: Fact) -> bool:
    return (
        (rule.type == "*" or re.fullmatch(rule.type, fact.type) is not None)
        and re.fullmatch(rule.path, fact.path) is not None
        and re.fullmatch(rule.value, fact.value) is not None
    )
