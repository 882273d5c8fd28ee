"""Messages that came late to the library, and what senders write otherwise than HL7 says."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import TranslateError
from gateway.fhir.gates import check
from gateway.model import Translation
from gateway.translate import Library
from tests.mappings import said
from tests.mappings.said import PATIENT, made

PANEL = "OBR|1||F1^LAB|24323-8^Panel^LN|||202601010800|||||||||||||||||F"


def message(library: Library, event: str, *segments: str) -> Translation:
    told = said.message(library, event, *segments)
    for entry in told.entries:
        check(entry.resource)
    return told


def observed(library: Library, line: str) -> dict[str, Any]:
    (one,) = made(message(library, "ORU^R01", PATIENT, PANEL, line), "Observation")
    return one


@pytest.mark.parametrize(
    ("event", "segments"),
    [
        ("ORU^R01", ("OBR|1||F1|A", "OBX|1|ST|1^a||b")),
        ("OML^O21", ("ORC|NW|O1", "OBR|1|O1||A")),
        ("VXU^V04", ("ORC|RE", "RXA|0|1|20260101||08^Hep B^CVX|1")),
        ("PPR^PC1", ("PRB|AD|20260101|I10^Hypertension^I10",)),
    ],
)
def test_what_is_told_of_somebody_without_a_number_is_taken_with_a_warning(
    library: Library, event: str, segments: tuple[str, ...]
) -> None:
    told = message(library, event, "PID|1||||Doe^Jo", *segments)
    (patient,) = made(told, "Patient")
    assert patient["name"] == [{"family": "Doe", "given": ["Jo"]}]
    assert [(one.place, one.condition) for one in told.warnings] == [("PID-3", "101")]
    other = message(library, event, "PID|1||||Doe^Ann", *segments)
    assert made(other, "Patient")[0]["id"] != patient["id"]


@pytest.mark.parametrize("event", ["ADT^A04", "REF^I12", "SIU^S12", "DFT^P03"])
def test_what_is_about_the_record_itself_must_say_whose_it_is(library: Library, event: str) -> None:
    with pytest.raises(TranslateError, match="nothing says which Patient"):
        message(library, event, "PID|1||||Doe^Jo")


def test_orders_by_specimen_keep_each_to_its_own(library: Library) -> None:
    blood = ("SPM|1|S1||BLD", "SAC|||C1", "ORC|NW|1", "TQ1|1||BID", "OBR|1|1||A", "ORC|NW|2")
    urine = ("SPM|2|S2||UR", "ORC|NW|3", "OBR|1|3||C")
    told = message(library, "OML^O33", PATIENT, *blood, "OBR|2|2||B", *urine)
    first, second = (f"Specimen/{one['id']}" for one in made(told, "Specimen"))
    asked = [(one["code"], one["specimen"]) for one in made(told, "ServiceRequest")]
    assert [code["coding"][0]["code"] for code, _ in asked] == ["A", "B", "C"]
    assert [one[0]["reference"] for _, one in asked] == [first, first, second]


def test_results_by_specimen_keep_each_to_its_own(library: Library) -> None:
    segments = (
        "SPM|1|S1||BLD",
        "OBX|1|NM|3094-0^Volume^LN||5|mL",
        "OBR|1|P1|F1|A|||2026",
        "ORC|RE|P1|F1",
        "OBX|1|NM|X||7||||||F",
        "SPM|2|S2||UR",
        "OBR|1|P2|F2|B",
        "OBX|1|ST|Y||clear||||||F",
    )
    told = message(library, "OUL^R22", PATIENT, *segments)
    first, second = (f"Specimen/{one['id']}" for one in made(told, "Specimen"))
    seen = [one["specimen"]["reference"] for one in made(told, "Observation")]
    assert seen == [first, first, second]
    reports = made(told, "DiagnosticReport")
    assert [one["specimen"][0]["reference"] for one in reports] == [first, second]
    assert [len(one["result"]) for one in reports] == [1, 1]


def test_results_by_order_take_the_order_that_follows_its_request(library: Library) -> None:
    told = message(library, "OUL^R24", PATIENT, "OBR|1|P1|F1|A", "ORC|RE|P1|F1", "SPM|1|S1||BLD")
    (report,), (specimen,) = made(told, "DiagnosticReport"), made(told, "Specimen")
    assert report["specimen"] == [{"reference": f"Specimen/{specimen['id']}"}]


def test_a_charge_is_a_charge_and_a_payment_is_none(library: Library) -> None:
    charge = "FT1|1|T1||20260102|20260103|CG|99213^Office visit^C4|||2"
    told = message(library, "DFT^P03", PATIENT, charge, "FT1|2|T2||20260102||PY|CASH")
    (item,) = made(told, "ChargeItem")
    assert item["code"]["coding"][0]["system"] == "http://www.ama-assn.org/go/cpt"
    assert (item["occurrenceDateTime"], item["status"]) == ("2026-01-02", "billable")
    assert str(item["quantity"]["value"]) == "2"


PROBLEM = "PRB|AD|20260101|I10^Hypertension^I10|PR1^C"
GOAL = "GOL|AD|20260101|312^Improve^LOC|G1^C||1|20260101|20260601"
PATHWAY = "PTH|AD|CP1^Stroke pathway^LOC|P1^C|20260101|on-hold"


@pytest.mark.parametrize(
    ("event", "segments"),
    [
        ("PPR^PC1", (PROBLEM, PATHWAY, GOAL)),
        ("PPG^PCG", (PATHWAY, GOAL, PROBLEM)),
        ("PPP^PCB", (PATHWAY, PROBLEM, GOAL)),
    ],
)
def test_a_plan_a_problem_and_a_goal_know_each_other_whichever_comes_first(
    library: Library, event: str, segments: tuple[str, ...]
) -> None:
    seen = "OBX|1|ST|A^x||y||||||F"
    told = message(library, event, PATIENT, *segments, seen)
    (plan,), (problem,), (goal,) = (made(told, x) for x in ("CarePlan", "Condition", "Goal"))
    assert (plan["status"], plan["title"]) == ("on-hold", "Stroke pathway")
    assert plan["addresses"] == goal["addresses"] == [{"reference": f"Condition/{problem['id']}"}]
    assert plan["goal"] == [{"reference": f"Goal/{goal['id']}"}]
    assert ("evidence" in problem) == (event == "PPR^PC1")
    assert made(told, "Observation")
    goals = message(library, "PGL^PC6", PATIENT, GOAL, PROBLEM)
    assert made(goals, "Goal") == [goal]
    mended = message(library, "PPR^PC3", PATIENT, PROBLEM.replace("AD", "DE"))
    (gone,) = made(mended, "Condition")
    assert (gone["id"], "clinicalStatus" in gone) == (problem["id"], False)


@pytest.mark.parametrize(
    ("segments", "status"),
    [
        (("OBR|1||F1^LAB|24323-8^Panel^LN" + "|" * 21 + "F",), "completed"),
        (("OBR|1||F1^LAB|24323-8^Panel^LN" + "|" * 21 + "P",), "active"),
        (("OBR|1||F1^LAB|24323-8^Panel^LN" + "|" * 21 + "X",), "revoked"),
        (("OBR|1||F1^LAB|24323-8^Panel^LN",), "unknown"),
        (("ORC|RE", "OBR|1||F1^LAB|24323-8^Panel^LN"), "active"),
    ],
)
def test_a_result_tells_of_its_order_though_no_orc_does(
    library: Library, segments: tuple[str, ...], status: str
) -> None:
    told = message(library, "ORU^R01", PATIENT, *segments, "OBX|1|ST|A||x")
    (asked,), (report,) = made(told, "ServiceRequest"), made(told, "DiagnosticReport")
    assert report["basedOn"] == [{"reference": f"ServiceRequest/{asked['id']}"}]
    assert (asked["status"], asked["intent"]) == (status, "order")
    assert asked["code"]["text"] == "Panel"
    assert [one["value"] for one in asked["identifier"]] == ["F1"]


def test_an_obr_that_says_nothing_of_an_order_makes_none(library: Library) -> None:
    told = message(library, "ORU^R01", PATIENT, "OBR|1||||||2026", "OBX|1|ST|A||x")
    assert not made(told, "ServiceRequest")


def test_what_was_dispensed_names_its_prescription(library: Library) -> None:
    order = ("ORC|NW|1", "TQ1|1||TID", "RXO|115^Doxycycline^NDC|1", "RXR|IV")
    encoded = ("RXE||115^Doxycycline^NDC|1", "TQ1|1||TID", "RXR|PO")
    gave = "RXD|1|115^Doxycycline^NDC|20260102|10|TAB^Tablet"
    told = message(library, "RDS^O13", PATIENT, *order, *encoded, gave)
    (prescription,), (dispense,) = made(told, "MedicationRequest"), made(told, "MedicationDispense")
    named = [{"reference": f"MedicationRequest/{prescription['id']}"}]
    assert dispense["authorizingPrescription"] == named
    assert (dispense["whenHandedOver"], dispense["quantity"]["unit"]) == ("2026-01-02", "Tablet")
    assert not made(told, "ServiceRequest")


def test_what_was_given_is_an_administration(library: Library) -> None:
    gave = "RXA|0|1|202601021000|202601021030|1191^Aspirin^RXNORM|100|mg|||||||||||||CP"
    told = message(library, "RAS^O17", PATIENT, "ORC|RE|1", gave, "RXR|PO")
    (one,) = made(told, "MedicationAdministration")
    assert (one["status"], one["dosage"]["dose"]["unit"]) == ("completed", "mg")
    assert one["effectivePeriod"]["end"] == "2026-01-02T10:30:00-06:00"


def test_an_account_that_becomes_another_is_closed_and_part_of_it(library: Library) -> None:
    told = message(library, "ADT^A41", f"{PATIENT}||||||||||A2", "MRG|77^^^CLINIC^MR||A1")
    stands, closed = made(told, "Account")
    assert (stands["status"], closed["status"]) == ("active", "inactive")
    assert closed["partOf"] == {"reference": f"Account/{stands['id']}"}


def test_a_visit_that_moves_is_the_other_patients(library: Library) -> None:
    visit = "PV1|1|I|||||||||||||||||V1^^^CLINIC"
    before = message(library, "ADT^A01", "PID|1||66^^^CLINIC^MR", visit)
    after = message(library, "ADT^A45", PATIENT, "MRG|66^^^CLINIC^MR||||V1^^^CLINIC", visit)
    (held,), (moved,) = made(before, "Encounter"), made(after, "Encounter")
    assert moved["id"] == held["id"]
    assert moved["subject"] != held["subject"]


def test_a_visits_old_number_stays_with_it_and_the_old_record_is_an_error(library: Library) -> None:
    visit = "PV1|1|I|||||||||||||||||V2"
    told = message(library, "ADT^A50", PATIENT, "MRG|77^^^CLINIC^MR||||V1", visit)
    stands, old = made(told, "Encounter")
    assert {"value": "V1", "use": "old"} in stands["identifier"]
    assert (old["status"], old["identifier"]) == ("entered-in-error", [{"value": "V1"}])


def test_a_patients_new_numbers_need_not_name_the_old(library: Library) -> None:
    (alone,) = made(message(library, "ADT^A47", PATIENT), "Patient")
    assert "link" not in alone
    told = message(library, "ADT^A47", PATIENT, "MRG|66^^^CLINIC^MR")
    assert [one["active"] for one in made(told, "Patient") if "active" in one] == [False]


@pytest.mark.parametrize(
    ("event", "status"), [("A21", "onleave"), ("A22", "in-progress"), ("A53", "onleave")]
)
def test_a_leave_is_no_end_of_a_visit(library: Library, event: str, status: str) -> None:
    (visit,) = made(message(library, f"ADT^{event}", PATIENT, "PV1|1|I"), "Encounter")
    assert visit["status"] == status


def test_purged_accounts_are_inactive(library: Library) -> None:
    told = message(library, "BAR^P02", f"{PATIENT}||||||||||A1", "PID|2||66^^^CLINIC^MR")
    assert [one["status"] for one in made(told, "Account")] == ["inactive"]
    assert len(made(told, "Patient")) == 2


@pytest.mark.parametrize(
    ("line", "element", "value"),
    [
        ("OBX|1|TX|X||PA & lateral ^ two", "valueString", "PA & lateral ^ two"),
        (r"OBX|1|TX|X||R\T\D & a^", "valueString", "R&D & a"),
        ("OBX|1|NM|X||1,200|mg", "valueString", "1,200 mg"),
        ("OBX|1|NA|X||5^10~1^2", "valueString", "5^10\n1^2"),
        ("OBX|1||X||POS^Positive", "valueString", "POS^Positive"),
    ],
)
def test_no_text_is_lost_for_what_a_sender_left_bare(
    library: Library, line: str, element: str, value: str
) -> None:
    assert observed(library, line)[element] == value


def test_blanks_around_a_number_change_nothing(library: Library) -> None:
    assert str(observed(library, "OBX|1|NM|X|| 5 |mg")["valueQuantity"]["value"]) == "5"
    below = observed(library, "OBX|1|NM|X||< 5|mg")["valueQuantity"]
    assert (below["comparator"], str(below["value"])) == ("<", "5")


def test_a_range_has_its_units(library: Library) -> None:
    both = observed(library, "OBX|1|NR|X||5^10|mg")["valueRange"]
    assert [both[end]["unit"] for end in ("low", "high")] == ["mg", "mg"]


def test_a_coded_text_keeps_its_ampersand(library: Library) -> None:
    code = observed(library, "OBX|1|ST|8251-1^Nausea & vomiting^LN||x")["code"]
    assert code["text"] == code["coding"][0]["display"] == "Nausea & vomiting"


def test_a_document_without_an_encoding_is_base64_and_one_without_anything_is_none(
    library: Library,
) -> None:
    embedded = "OBX|1|ED|18842-5^Summary^LN||^application^PDF^^JVBERg=="
    told = message(library, "ORU^R01", PATIENT, PANEL, embedded, "OBX||ED|||App^NS^x^Base64|")
    (document,) = made(told, "DocumentReference")
    assert document["content"][0]["attachment"]["data"] == "JVBERg=="


def test_kin_without_a_name_are_kin(library: Library) -> None:
    kin = ("NK1|1||MTH|1 Main St^^Town", "NK1|2||FTH||555-1234")
    first, second = made(message(library, "ADT^A04", PATIENT, *kin), "RelatedPerson")
    assert first["address"][0]["city"] == "Town"
    assert second["telecom"][0]["value"] == "555-1234"


def test_before_24_a_field_of_its_own_names_a_diagnosis_coding_system(library: Library) -> None:
    (one,) = made(message(library, "ADT^A01", PATIENT, "DG1|1|I9C|250.00|Diabetes"), "Condition")
    assert one["code"]["coding"][0]["system"] == "http://hl7.org/fhir/sid/icd-9-cm"


def test_a_year_of_two_digits_is_no_year_8001(library: Library) -> None:
    told = message(library, "ADT^A04", "PID|1||77^^^CLINIC^MR||Doe^Jo||800102")
    assert "birthDate" not in made(told, "Patient")[0]
    assert "PID-7" in [one.place for one in told.warnings]


def test_a_result_that_names_no_event_is_the_only_one_there_was(library: Library) -> None:
    assert made(message(library, "ORU", PATIENT, PANEL), "DiagnosticReport")
    with pytest.raises(TranslateError, match="no map serves this event"):
        message(library, "ADT", PATIENT)


def test_a_segment_that_nobody_expects_among_results_parts_none_from_its_patient(
    library: Library,
) -> None:
    told = message(library, "ORU^R01", PATIENT, PANEL, "OBX|1|ST|A||x", "TXA|1", "OBX|2|ST|B||y")
    (patient,) = made(told, "Patient")
    subjects = {one["subject"]["reference"] for one in made(told, "Observation")}
    assert subjects == {f"Patient/{patient['id']}"}
