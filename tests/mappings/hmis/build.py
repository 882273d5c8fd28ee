"""Writes the HMIS tables: HUD's code lists as codings, and the columns of every file by year.

``python -m tests.mappings.hmis.build [REFERENCE]`` reads ``hmis-codes.json`` and
``hmis-columns.json`` (HUD's FY2024 and FY2026 HMIS CSV specifications) in REFERENCE, by default
``shared/reference`` beside the checkout, and writes ``mappings/hmis/tables/<list>.csv`` and
``mappings/hmis/columns.csv``. Tables that ``WRITTEN`` doesn't name are kept by hand.

A list of both years is one table: a code that one year lacks means the same in the other (checked
here). Answers that are none (doesn't know, prefers not to answer, not collected) get no target:
the maps make a dataAbsentReason of them.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[3]
REFERENCE: Final = ROOT.parent / "shared" / "reference"
HMIS: Final = ROOT / "mappings" / "hmis"
SYSTEM: Final = "https://care-gateway.example/fhir/CodeSystem/hmis-"
YEARS: Final = ("FY2024", "FY2026")
NO_ANSWER: Final = {
    "8": "Client doesn't know",
    "9": "Client prefers not to answer",
    "99": "Data not collected",
}

WRITTEN: Final[Mapping[str, str]] = {
    "aftercare-provided": "R20.2 AftercareProvided",
    "annual-percent-ami": "V7.B AnnualPercentAMI",
    "assessment-level": "4.19.4 AssessmentLevel",
    "assessment-type": "4.19.3 AssessmentType",
    "availability": "2.07.6 Availability",
    "bed-type": "2.07.5 BedType",
    "cm-exit-reason": "V9.1 CmExitReason",
    "count-exchange-for-sex": "R15.B CountExchangeForSex",
    "current-ed-status": "C3.B CurrentEdStatus",
    "current-living-situation": "4.12 CurrentLivingSituation",
    "current-school-attended": "C3.2 CurrentSchoolAttended",
    "data-collection-stage": "5.03.1 DataCollectionStage",
    "dependent-under-6": "V7.O DependentUnder6",
    "destination": "3.12 Destination",
    "disability-response": "4.10.2 DisabilityResponse",
    "disability-type": "1.3 DisabilityType",
    "discharge-status": "V1.12 DischargeStatus",
    "dob-data-quality": "3.03.2 DOBDataQuality",
    "early-exit-reason": "R17.A EarlyExitReason",
    "employment-type": "R6.A EmploymentType",
    "event-type": "4.20.2 EventType",
    "eviction-history": "V7.G EvictionHistory",
    "expelled-reason": "R17.A ExpelledReason",
    "funding-source": "2.06.1 FundingSource",
    "geography-type": "2.03.4 GeographyType",
    "health-status": "R7.1 HealthStatus",
    "hmis-participation-type": "2.08.1 HMISParticipationType",
    "hopwa-financial-assistance": "V2.3 HOPWAFinancialAssistance",
    "hopwa-services": "W1.2 HOPWAServices",
    "household-type": "2.07.4 HouseholdType",
    "housing-assessment-at-exit": "W5.1 HousingAssessmentAtExit",
    "housing-type": "2.02.D HousingType",
    "incarcerated-adult": "V7.I IncarceratedAdult",
    "last-grade-completed": "R4.1 LastGradeCompleted",
    "length-of-stay": "3.917.2 ResidencePriorLengthOfStay",
    "literal-homeless-history": "V7.C LiteralHomelessHistory",
    "living-situation": "3.917 PriorLivingSituation",
    "mental-health-consultation": "V10 MentalHealthConsultation",
    "military-branch": "V1.11 MilitaryBranch",
    "months-homeless": "3.917.5 MonthsHomelessPastThreeYears",
    "most-recent-ed-status": "C3.A MostRecentEdStatus",
    "moving-on-assistance": "C2.2 MovingOnAssistance",
    "name-data-quality": "3.01.5 NameDataQuality",
    "no-assistance-reason": "W3 NoAssistanceReason",
    "not-employed-reason": "R6.B NotEmployedReason",
    "path-referral": "P2.2 PATHReferral",
    "path-referral-outcome": "P2.A PATHReferralOutcome",
    "path-services": "P1.2 PATHServices",
    "percent-ami": "V4.1 PercentAMI",
    "preferred-language": "C4.A PreferredLanguage",
    "prioritization-status": "4.19.7 PrioritizationStatus",
    "project-completion-status": "R17.1 ProjectCompletionStatus",
    "project-type": "2.02.6 ProjectType",
    "reason-no-services": "R2.A ReasonNoServices",
    "reason-not-enrolled": "P3.A ReasonNotEnrolled",
    "reason-not-insured": "4.04.A ReasonNotInsured",
    "record-type": "1.4 RecordType",
    "referral-result": "4.20.D ReferralResult",
    "referral-source": "R1.1 ReferralSource",
    "relationship-to-hoh": "3.15.1 RelationshipToHoH",
    "rental-subsidy-type": "3.12.A RentalSubsidyType",
    "rhy-number-of-years": "R11.A RHYNumberofYears",
    "rhy-services": "R14.2 RHYServices",
    "rrh-sub-type": "2.02.A RRHSubType",
    "school-status": "R5.1 SchoolStatus",
    "sexual-orientation": "R3.1 SexualOrientation",
    "source-type": "1.9 SourceType",
    "ssn-data-quality": "3.02.2 SSNDataQuality",
    "ssvf-financial-assistance": "V3.3 SSVFFinancialAssistance",
    "ssvf-services": "V2.2 SSVFServices",
    "ssvf-sub-type-3": "V2.A SSVFSubType3",
    "ssvf-sub-type-4": "V2.B SSVFSubType4",
    "ssvf-sub-type-5": "V2.C SSVFSubType5",
    "subsidy-information": "W5.AB SubsidyInformation",
    "t-cell-source-viral-load-source": "W4.B TCellSourceViralLoadSource",
    "target-population": "2.02.7 TargetPopulation",
    "time-to-housing-loss": "V7.A TimeToHousingLoss",
    "times-homeless": "3.917.4 TimesHomelessPastThreeYears",
    "vamc-station": "V6.1 VamcStationNumber",
    "viral-load-available": "W4.3 ViralLoadAvailable",
    "voucher-tracking": "V8.1 VoucherTracking",
    "when-dv-occurred": "4.11.A WhenDVOccurred",
    "worker-response": "R19.A WorkerResponse",
}
"""The tables that are generated, and HUD's number and name for each list."""


def merged(codes: Mapping[str, Any], name: str) -> dict[str, str]:
    """The codes of a list in both years. ValueError where the years disagree about one."""
    total: dict[str, str] = {}
    for year in YEARS:
        for code, text in codes[year].get(name, {}).items():
            if _bare(total.setdefault(code, text)) != _bare(text):
                raise ValueError(f"{name}: {code} differs between the years")
    return total


def _bare(text: str) -> str:
    """A text without the note that a code is on its way out."""
    return text.removesuffix(" [Deprecated]")


def table(name: str, codes: Mapping[str, str]) -> str:
    """A mapping table: each code as a coding of the list's own system."""
    rows = (
        (code, "", "", text)
        if NO_ANSWER.get(code) == text
        else (code, code, f"{SYSTEM}{name}", _bare(text))
        for code, text in codes.items()
    )
    return _csv(("code", "target", "system", "display"), rows)


def columns(layout: Mapping[str, Mapping[str, list[str]]]) -> str:
    """Every column of every file: year, file, its place from 1, name."""
    rows = (
        (year, file.removesuffix(".csv"), str(number), name)
        for year in YEARS
        for file, names in layout[year].items()
        for number, name in enumerate(names, 1)
    )
    return _csv(("year", "file", "number", "column"), rows)


def files(reference: Path) -> Iterator[tuple[Path, str]]:
    """Every file that is written from the reference, and its text."""
    codes = json.loads((reference / "hmis-codes.json").read_text(encoding="utf-8"))
    for name, listed in WRITTEN.items():
        yield HMIS / "tables" / f"{name}.csv", table(name, merged(codes, listed))
    layout = json.loads((reference / "hmis-columns.json").read_text(encoding="utf-8"))
    yield HMIS / "columns.csv", columns(layout)


def _csv(head: tuple[str, ...], rows: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def main() -> None:
    """Write them all."""
    reference = Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE
    for path, text in files(reference):
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
