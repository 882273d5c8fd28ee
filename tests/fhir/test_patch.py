"""The three kinds of patch, against what is published of each."""

from __future__ import annotations

import contextlib
import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InvalidResource, PatchError
from gateway.fhir import gates
from gateway.fhir.json import dumps, loads
from gateway.fhir.patch import merge_patch, read
from tests.corpora import CORPORA, needs_corpora
from tests.fhir import xml_patches
from tests.fhir.published_patches import CASES, at, named, op, patient

JSON_PATCH = "application/json-patch+json"


def fhirpath(resource: dict[str, Any], *operations: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"resourceType": "Parameters"}
    if operations:
        body["parameter"] = list(operations)
    return read("application/fhir+json", dumps(body))(resource)


def jsonpatch(resource: dict[str, Any], *operations: dict[str, Any]) -> dict[str, Any]:
    return read(JSON_PATCH, dumps(list(operations)))(resource)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "before", "operations", "after"), CASES, ids=[c[0] for c in CASES]
)
def test_every_published_fhirpath_patch_does_what_it_says(
    name: str, before: Any, operations: list[Any], after: Any
) -> None:
    kept = copy.deepcopy(before)
    if after is None:
        with pytest.raises(PatchError):
            fhirpath(before, *operations)
    else:
        assert fhirpath(before, *operations) == after
        gates.check(after)
    assert before == kept, "the resource itself must stay as it was"


WEIGHT = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "weight"},
    "valueQuantity": {"value": Decimal("72.50"), "unit": "kg"},
}
NAMES = patient(
    name=[{"given": ["Ana", "Bea"], "_given": [None, {"id": "b"}]}, {"use": "usual", "text": "x"}],
    birthDate="1980-01-01",
    _birthDate={"extension": [{"url": "http://e/1", "valueString": "a"}]},
)


def test_a_number_keeps_its_digits_through_each_kind_of_patch() -> None:
    for made in (
        fhirpath(WEIGHT, op("replace", "Observation.status", value={"valueCode": "amended"})),
        jsonpatch(WEIGHT, {"op": "replace", "path": "/status", "value": "amended"}),
        merge_patch({"status": "amended"})(WEIGHT),
    ):
        assert b'"value":72.50' in dumps(made)
        assert made["status"] == "amended"
    given = b'[{"op":"replace","path":"/valueQuantity/value","value":1.10}]'
    assert b'"value":1.10' in dumps(read(JSON_PATCH, given)(WEIGHT))


def test_a_choice_takes_the_type_of_what_it_is_given() -> None:
    made = fhirpath(WEIGHT, op("replace", "Observation.value", value={"valueString": "heavy"}))
    assert made["valueString"] == "heavy"
    assert "valueQuantity" not in made
    bare = {k: v for k, v in WEIGHT.items() if k != "valueQuantity"}
    made = fhirpath(bare, op("add", "Observation", **named("value", "valueBoolean", True)))
    assert made["valueBoolean"] is True
    with pytest.raises(PatchError, match="there already"):
        fhirpath(WEIGHT, op("add", "Observation", **named("value", "valueBoolean", True)))


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("Patient.name.where(use = 'usual').text", "text"),
        ("Patient.name.where(use='usual' and text.exists()).text", "text"),
        ("Patient.name.where(use != 'official').text", "text"),
        ("Patient.name.where((use = 'x') or text.startsWith('x')).text", "text"),
        ("Patient.name.where(given.empty()).text", "text"),
        ("Patient.name.where(given.exists().not()).text", "text"),
        ("Patient.name.last().text", "text"),
        ("Patient.name[1].text", "text"),
        ("Patient.name.skip(1).text", "text"),
        ("Patient.name.tail().first().text", "text"),
        ("name[1].text.single()", "text"),
    ],
)
def test_a_path_may_choose_as_fhirpath_does(path: str, left: str) -> None:
    made = fhirpath(NAMES, op("delete", path))
    assert made["name"][1] == {"use": "usual"}


def test_the_extensions_of_primitives_stay_with_them() -> None:
    gone = fhirpath(NAMES, op("delete", "Patient.name[0].given[0]"))
    assert gone["name"][0] == {"given": ["Bea"], "_given": [{"id": "b"}]}
    more = fhirpath(
        NAMES, op("insert", "Patient.name[0].given", index=at(1), value={"valueString": "C"})
    )
    assert more["name"][0]["_given"] == [None, None, {"id": "b"}]
    moved = fhirpath(NAMES, op("move", "Patient.name[0].given", source=at(1), destination=at(0)))
    assert moved["name"][0] == {"given": ["Bea", "Ana"], "_given": [{"id": "b"}, None]}
    new = fhirpath(NAMES, op("replace", "Patient.birthDate", value={"valueDate": "1981-02-02"}))
    assert "_birthDate" not in new
    inner = "Patient.birthDate.extension('http://e/1').value"
    other = fhirpath(NAMES, op("replace", inner, value={"valueString": "b"}))
    assert other["_birthDate"]["extension"][0]["valueString"] == "b"
    added = {
        "name": {"valueString": "extension"},
        "value": {
            "part": [
                {"name": "url", "valueUri": "http://e/2"},
                {"name": "value", "valueInteger": 2},
            ]
        },
    }
    both = fhirpath(NAMES, op("add", "Patient.birthDate", **added))
    assert [each["url"] for each in both["_birthDate"]["extension"]] == ["http://e/1", "http://e/2"]
    gates.check(both)


def test_a_deletion_of_what_is_not_there_changes_nothing() -> None:
    assert fhirpath(NAMES, op("delete", "Patient.gender")) == NAMES


@pytest.mark.parametrize(
    "operation",
    [
        op("delete", "Patient.name"),
        op("delete", "Patient"),
        op("replace", "Patient", value={"valueString": "x"}),
        op("replace", "Patient.gender", value={"valueCode": "male"}),
        op("add", "Patient", **named("gendre", "valueCode", "male")),
        op("add", "Patient.name", **named("text", "valueString", "y")),
        op("insert", "Patient.birthDate", index=at(0), value={"valueDate": "1981-02-02"}),
        op("insert", "Patient.name", index=at(3), value={"valueHumanName": {"text": "y"}}),
        op("move", "Patient.name", source=at(0), destination=at(2)),
        op("add", "Patient.name.given.given", **named("text", "valueString", "y")),
    ],
)
def test_a_fhirpath_patch_that_does_not_fit_is_refused_at_its_operation(operation: Any) -> None:
    with pytest.raises(PatchError) as caught:
        fhirpath(NAMES, operation)
    assert caught.value.place == "Parameters.parameter[0]"
    assert caught.value.status == 422


@pytest.mark.parametrize(
    "operation",
    [
        op("remove", "Patient.name"),
        op("add", "Patient", value={"valueString": "x"}),
        op("add", "Patient", name={"valueString": "gender"}),
        op("insert", "Patient.name", value={"valueString": "x"}),
        op("delete", "Patient.name["),
        op("delete", "Patient.name | Patient.birthDate"),
        op("delete", "Patient.descendants()"),
        op("delete", "Patient.name.where(" * 20 + "a" + ")" * 20),
        op("delete", "a." * 600 + "b"),
        {"name": "other"},
    ],
)
def test_what_is_no_fhirpath_patch_is_refused(operation: Any) -> None:
    with pytest.raises(InvalidResource):
        fhirpath(NAMES, operation)


def test_a_path_that_would_look_everywhere_again_and_again_is_refused() -> None:
    many = patient(name=[{"given": ["x"] * 300} for _ in range(300)])
    with pytest.raises(PatchError, match="costly"):
        fhirpath(many, *[op("delete", "Patient.name.given.where($this = 'y')")] * 3)


# --- RFC 6902 and RFC 7386: the cases of their appendices, as far as FHIR's objects allow ---------

FOO = {"foo": "bar"}


@pytest.mark.parametrize(
    ("before", "operations", "after"),
    [
        (FOO, [("add", "/baz", "qux")], {"baz": "qux", "foo": "bar"}),
        ({"foo": ["bar", "baz"]}, [("add", "/foo/1", "qux")], {"foo": ["bar", "qux", "baz"]}),
        ({"baz": "qux", "foo": "bar"}, [("remove", "/baz")], FOO),
        ({"foo": ["bar", "qux", "baz"]}, [("remove", "/foo/1")], {"foo": ["bar", "baz"]}),
        ({"baz": "qux", "foo": "bar"}, [("replace", "/baz", "boo")], {"baz": "boo", "foo": "bar"}),
        (
            {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
            [("move", "/qux/thud", "/foo/waldo")],
            {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
        ),
        (
            {"foo": ["all", "grass", "cows", "eat"]},
            [("move", "/foo/3", "/foo/1")],
            {"foo": ["all", "cows", "eat", "grass"]},
        ),
        (
            {"baz": "qux", "foo": ["a", 2, "c"]},
            [("test", "/baz", "qux"), ("test", "/foo/1", 2)],
            {"baz": "qux", "foo": ["a", 2, "c"]},
        ),
        ({"baz": "qux"}, [("test", "/baz", "bar")], None),
        (FOO, [("add", "/child", {"grandchild": "x"})], {**FOO, "child": {"grandchild": "x"}}),
        (FOO, [("add", "/baz/bat", "qux")], None),
        ({"/": 9, "~1": 10}, [("test", "/~01", 10)], {"/": 9, "~1": 10}),
        ({"/": 9, "~1": 10}, [("test", "/~01", "10")], None),
        ({"foo": ["bar"]}, [("add", "/foo/-", ["abc", "def"])], {"foo": ["bar", ["abc", "def"]]}),
        ({"a": True}, [("test", "/a", 1)], None),
        ({"a": Decimal("1.0")}, [("test", "/a", 1)], {"a": Decimal("1.0")}),
        ({"a": [1]}, [("copy", "/b", "/a"), ("add", "/b/0", 0)], {"a": [1], "b": [0, 1]}),
        ({"a": [1]}, [("remove", "/a/0")], {}),
        ({"a": [1]}, [("add", "/a/2", 0)], None),
        ({"a": [1]}, [("replace", "/a/01", 0)], None),
        (FOO, [("replace", "/baz", 1)], None),
        (FOO, [("remove", "")], None),
        (FOO, [("replace", "", {"new": 1})], {"new": 1}),
        (FOO, [("replace", "", [1])], None),
    ],
)
def test_a_json_patch_does_what_rfc_6902_says(before: Any, operations: Any, after: Any) -> None:
    third = {"move": "from", "copy": "from"}
    steps = [
        {"op": kind, "path": path, **{third.get(kind, "value"): rest[0] for _ in rest[:1]}}
        for kind, path, *rest in operations
    ]
    kept = copy.deepcopy(before)
    if after is None:
        with pytest.raises(PatchError) as caught:
            jsonpatch(before, *steps)
        assert caught.value.place.startswith("patch")
    else:
        assert jsonpatch(before, *steps) == after
    assert before == kept


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b'[{"op":"spin","path":"/a"}]',
        b'[{"op":"add","path":"a","value":1}]',
        b'[{"op":"add","path":"/a~2","value":1}]',
        b'[{"op":"add","path":"/a"}]',
        b'[{"op":"move","path":"/a/b","from":"/a"}]',
        b'[{"path":"/a"}]',
        b"[1]",
        b"[",
        b"[" + b",".join([b'{"op":"remove","path":"/a"}'] * 501) + b"]",
    ],
)
def test_what_is_no_json_patch_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidResource):
        read(JSON_PATCH, raw)


def test_copies_that_double_without_end_are_refused() -> None:
    doubling = [{"op": "copy", "from": "/a", "path": "/a/-"}] * 30
    with pytest.raises(PatchError, match="too much"):
        jsonpatch({"a": [1]}, *doubling)


@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {}),
    ],
)
def test_a_merge_patch_does_what_rfc_7386_says(before: Any, patch: Any, after: Any) -> None:
    assert read("application/merge-patch+json", dumps(patch))(before) == after


def test_plain_json_is_known_by_its_form() -> None:
    of = "application/json"
    assert read(of, b'[{"op":"add","path":"/a","value":1}]')({}) == {"a": 1}
    assert read(of, b'{"a":1}')({}) == {"a": 1}
    parameters = dumps(
        {"resourceType": "Parameters", "parameter": [op("delete", "Patient.gender")]}
    )
    assert read(of, parameters)(patient(gender="male")) == patient()
    with pytest.raises(InvalidResource):
        read("application/fhir+json", b'{"resourceType":"Patient"}')
    assert loads(dumps(patient())) == patient()


@needs_corpora
@pytest.mark.corpora
def test_the_published_xml_patches_pass_as_json_patches() -> None:
    found = list(xml_patches.cases(CORPORA / "fhir-test-cases/r4/patch/xml-patch-tests.xml"))
    assert len(found) == 25
    for case in found:
        if case.after is None:
            with pytest.raises(PatchError):
                jsonpatch(case.before, *case.patch)
        else:
            assert jsonpatch(case.before, *case.patch) == case.after, case.name


PATHS = st.sampled_from(
    [
        "Patient",
        "Patient.name",
        "Patient.name[0]",
        "Patient.name[0].given",
        "Patient.name[0].given[1]",
        "Patient.birthDate",
        "Patient.birthDate.extension",
        "Patient.name.where(use = 'usual').text",
        "Patient.contact.name",
        "Patient.deceased",
    ]
)
VALUES = st.sampled_from(
    [
        {"valueString": "x"},
        {"valueInteger": 1},
        {"valueBoolean": True},
        {"valueHumanName": {"family": "y", "given": ["z"]}},
        {"_valueString": {"id": "e"}},
        {"valueString": "x", "_valueString": {"id": "e"}},
        {"part": [{"name": "text", "valueString": "t"}, {"name": "given", "valueString": "g"}]},
        {"part": [{"name": "url", "valueUri": "http://e"}, {"name": "value", "valueCode": "c"}]},
    ]
)
NAMES_ADDED = st.sampled_from(["name", "given", "text", "extension", "deceased", "birthDate", "id"])
OPERATIONS = st.builds(
    lambda kind, path, name, value, one, other: op(
        kind,
        path,
        name={"valueString": name},
        value=value,
        index=at(one),
        source=at(one),
        destination=at(other),
    ),
    st.sampled_from(["add", "insert", "delete", "replace", "move"]),
    PATHS,
    NAMES_ADDED,
    VALUES,
    st.integers(0, 3),
    st.integers(0, 3),
)
POINTERS = st.sampled_from(
    [
        "",
        "/name",
        "/name/0",
        "/name/0/given/1",
        "/name/-",
        "/birthDate",
        "/birthDate/x",
        "/_birthDate",
    ]
)
STEPS = st.builds(
    lambda kind, path, source, value: {"op": kind, "path": path, "from": source, "value": value},
    st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]),
    POINTERS,
    POINTERS,
    st.sampled_from([1, "x", True, {}, [], {"given": ["a"]}, [1]]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(OPERATIONS, max_size=6), st.lists(STEPS, max_size=6))
def test_whatever_a_patch_says_it_fits_or_is_refused(operations: Any, steps: Any) -> None:
    kept = copy.deepcopy(NAMES)
    for apply, listed in ((fhirpath, operations), (jsonpatch, steps)):
        with contextlib.suppress(PatchError, InvalidResource):
            made = apply(NAMES, *listed)
            assert isinstance(made, dict)
            dumps(made)
    assert kept == NAMES
