"""Microseconds a resource: the gates, beside orjson.loads as the floor. Prints, asserts nothing.

``python -m tests.bench.gates``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import orjson

from gateway.fhir.gates import check
from gateway.fhir.json import dumps, loads
from gateway.fhir.search_parameters import extract

TASK = b"""{"resourceType":"Task","id":"6f9e2a51","meta":{"profile":["http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-TaskForReferralManagement"]},
"identifier":[{"system":"urn:oid:2.16.840.1.113883.3.9999.1","value":"R-1001"}],"status":"requested","intent":"order","priority":"routine",
"code":{"coding":[{"system":"http://hl7.org/fhir/CodeSystem/task-code","code":"fulfill"}]},"focus":{"reference":"ServiceRequest/1"},
"for":{"reference":"Patient/1","display":"Ada Rivera"},"authoredOn":"2024-03-01T10:00:00-06:00",
"lastModified":"2024-03-01T10:00:00-06:00","requester":{"reference":"Organization/cedar-general"},"owner":{"reference":"Organization/harbor-shelter"}}"""

PATIENT = b"""{"resourceType":"Patient","id":"1","identifier":[{"system":"urn:oid:1","value":"42","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]}}],
"name":[{"use":"official","family":"Rivera","given":["Ada","Maria"]}],"gender":"female","birthDate":"1984-07-19",
"telecom":[{"system":"phone","value":"555-0100","use":"home"},{"system":"email","value":"ada@example.org"}],
"address":[{"line":["1 Main St"],"city":"Iowa City","state":"IA","postalCode":"52240"}],
"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex","valueCode":"F"}],"managingOrganization":{"reference":"Organization/cedar-general"}}"""

OBSERVATION = b"""{"resourceType":"Observation","id":"1","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],
"code":{"coding":[{"system":"http://loinc.org","code":"29463-7"}],"text":"Weight"},"subject":{"reference":"Patient/1"},"effectiveDateTime":"2024-03-01T10:00:00Z",
"valueQuantity":{"value":72.50,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}"""


def micros(work: Callable[[], object], times: int) -> float:
    """CPU time of the best of five rounds: the machine may be busy."""
    work()
    best = float("inf")
    for _ in range(5):
        start = time.process_time_ns()
        for _ in range(times):
            work()
        best = min(best, (time.process_time_ns() - start) / times / 1000)
    return best


def main() -> None:
    print(
        f"{'':12} {'bytes':>6} {'orjson':>7} {'loads':>7} {'dumps':>7} {'gate 1':>7} "
        f"{'gate 1+2':>8} {'extract':>8}"
    )
    for name, raw in (("Task", TASK), ("Patient", PATIENT), ("Observation", OBSERVATION)):
        resource = loads(raw)
        figures = (
            micros(lambda raw=raw: orjson.loads(raw), 5000),
            micros(lambda raw=raw: loads(raw), 2000),
            micros(lambda resource=resource: dumps(resource), 5000),
            micros(lambda resource=resource: check(resource, models=False), 3000),
            micros(lambda resource=resource: check(resource), 200),
            micros(lambda resource=resource: extract(resource), 1000),
        )
        print(f"{name:12} {len(raw):6} " + " ".join(f"{figure:7.1f}" for figure in figures))


if __name__ == "__main__":
    main()
