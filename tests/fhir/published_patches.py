"""FHIRPath Patch: HL7's published cases (FHIR/fhir-test-cases, r4/patch), written as JSON.

Each is (name, resource before, operations, resource after or None where it must be refused). The
corpora hold only the XML Patch cases, so these are told here in our own words: the same resources
and operations. Its last case, "Consecutive operations", isn't among them: it expects an extension
to change that no operation names.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def op(type: str, path: str, **parts: Any) -> Json:
    """One operation; a part's value is (value[x], JSON)."""
    named = [{"name": "type", "valueCode": type}, {"name": "path", "valueString": path}]
    for name, value in parts.items():
        named.append({"name": name, **value})
    return {"name": "operation", "part": named}


def named(name: str, kind: str, value: Any) -> Json:
    return {"name": {"valueString": name}, "value": {kind: value}}


def at(number: int) -> Json:
    return {"valueInteger": number}


def patient(**more: Any) -> Json:
    return {"resourceType": "Patient", **more}


def ids(*numbers: int) -> Json:
    return patient(
        identifier=[{"system": "http://example.org", "value": f"value {n}"} for n in numbers]
    )


def move(source: int, destination: int) -> Json:
    return op("move", "Patient.identifier", source=at(source), destination=at(destination))


BORN = patient(birthDate="1920-01-01")
CONTACT = {"name": {"text": "a name"}, "gender": "male"}
THIRD = {"valueIdentifier": {"system": "http://example.org", "value": "value 3"}}
BIRTH_TIME = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
            "valueDateTime": "1974-12-25T14:35:45-05:00",
        }
    ]
}
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">Peter James <b>Chalmers{}</b></div>'


def full(family: str, suffix: str) -> Json:
    return patient(
        id="example",
        text={"status": "generated", "div": DIV.format(suffix)},
        active=True,
        name=[
            {"use": "official", "family": family, "given": ["Peter", "James"]},
            {"use": "usual", "given": ["Jim"]},
        ],
        birthDate="1974-12-25",
        _birthDate=BIRTH_TIME,
        contact=[{"name": {"family": "du Marché", "_family": {"id": "f"}}}],
    )


CASES: list[tuple[str, Json, list[Json], Json | None]] = [
    ("No Difference", BORN, [], BORN),
    (
        "Replace Primitive",
        BORN,
        [op("replace", "Patient.birthDate", value={"valueDate": "1930-01-01"})],
        patient(birthDate="1930-01-01"),
    ),
    ("Delete Primitive", BORN, [op("delete", "Patient.birthDate")], patient()),
    (
        "Add Primitive",
        patient(),
        [op("add", "Patient", **named("birthDate", "valueDate", "1930-01-01"))],
        patient(birthDate="1930-01-01"),
    ),
    (
        "Replace Nested Primitive #1",
        patient(contact=[CONTACT]),
        [op("replace", "Patient.contact[0].gender", value={"valueCode": "female"})],
        patient(contact=[CONTACT | {"gender": "female"}]),
    ),
    (
        "Replace Nested Primitive #2",
        patient(contact=[CONTACT]),
        [op("replace", "Patient.contact[0].name.text", value={"valueString": "the name"})],
        patient(contact=[CONTACT | {"name": {"text": "the name"}}]),
    ),
    (
        "Delete Nested Primitive #1",
        patient(contact=[CONTACT]),
        [op("delete", "Patient.contact[0].gender")],
        patient(contact=[{"name": {"text": "a name"}}]),
    ),
    (
        "Delete Nested Primitive #2",
        patient(contact=[CONTACT]),
        [op("delete", "Patient.contact[0].name.text")],
        patient(contact=[{"gender": "male"}]),
    ),
    (
        "Add Nested Primitive",
        patient(contact=[{"name": {"text": "a name"}}]),
        [op("add", "Patient.contact[0]", **named("gender", "valueCode", "male"))],
        patient(contact=[CONTACT]),
    ),
    (
        "Add Complex",
        patient(),
        [op("add", "Patient", **named("maritalStatus", "valueCodeableConcept", {"text": "m"}))],
        patient(maritalStatus={"text": "m"}),
    ),
    (
        "Replace Complex",
        patient(maritalStatus={"id": "1", "text": "married"}),
        [
            op(
                "replace",
                "Patient.maritalStatus",
                value={"valueCodeableConcept": {"id": "2", "text": "not married"}},
            )
        ],
        patient(maritalStatus={"id": "2", "text": "not married"}),
    ),
    (
        "Delete Complex",
        patient(maritalStatus={"text": "married"}),
        [op("delete", "Patient.maritalStatus")],
        patient(),
    ),
    (
        "Add Anonymous Type",
        patient(),
        [
            op(
                "add",
                "Patient",
                name={"valueString": "contact"},
                value={"part": [{"name": "name", "valueHumanName": {"text": "a name"}}]},
            )
        ],
        patient(contact=[{"name": {"text": "a name"}}]),
    ),
    (
        "Delete Anonymous Type",
        patient(contact=[{"name": {"text": "a name"}}]),
        [op("delete", "Patient.contact[0]")],
        patient(),
    ),
    ("List unchanged", ids(1, 2), [], ids(1, 2)),
    (
        "List unchanged, contents changed",
        patient(identifier=[{"id": "a", "value": "value 1"}, {"id": "b", "value": "value 2"}]),
        [
            op("replace", "Patient.identifier[0].value", value={"valueString": "value 2"}),
            op("replace", "Patient.identifier[1].value", value={"valueString": "value 1"}),
        ],
        patient(identifier=[{"id": "a", "value": "value 2"}, {"id": "b", "value": "value 1"}]),
    ),
    *(
        (
            name,
            ids(1, 2),
            [op("insert", "Patient.identifier", index=at(index), value=THIRD)],
            after,
        )
        for name, index, after in (
            ("Add to list", 2, ids(1, 2, 3)),
            ("Insert in list #1", 1, ids(1, 3, 2)),
            ("Insert in list #2", 0, ids(3, 1, 2)),
        )
    ),
    *(
        (
            f"Delete from List #{n + 1}",
            ids(1, 2, 3),
            [op("delete", f"Patient.identifier[{n}]")],
            ids(*({1, 2, 3} - {n + 1})),
        )
        for n in range(3)
    ),
    *(
        (f"Reorder List #{n}", ids(1, 2, 3, 4), [move(*each) for each in moves], ids(*after))
        for n, moves, after in (
            (1, [(3, 1)], (1, 4, 2, 3)),
            (2, [(3, 0)], (4, 1, 2, 3)),
            (3, [(3, 2)], (1, 2, 4, 3)),
            (4, [(0, 3)], (2, 3, 4, 1)),
            (5, [(1, 0), (2, 1)], (2, 3, 1, 4)),
            (6, [(3, 0), (3, 1), (3, 2)], (4, 3, 2, 1)),
        )
    ),
    (
        "Operation on missing element",
        patient(identifier=[{"use": "official", "value": "123"}]),
        [
            op(
                "add",
                "Patient.identifier.where(use = 'official').period",
                **named("end", "valueDate", "2021-12-01"),
            )
        ],
        None,
    ),
    (
        "Operation on missing element #2",
        patient(),
        [op("add", "Patient", name={"valueString": "identifier"}, value=THIRD)],
        ids(3),
    ),
    (
        "Full Resource",
        full("Chalmers", ""),
        [
            op("replace", "Patient.text.div", value={"valueString": DIV.format("1")}),
            op("replace", "Patient.name[0].family", value={"valueString": "Chalmers1"}),
        ],
        full("Chalmers1", "1"),
    ),
]
