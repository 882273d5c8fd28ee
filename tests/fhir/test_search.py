from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.errors import InvalidSearch
from gateway.fhir.query import (
    Criterion,
    DateValue,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    Sort,
    StringValue,
    TokenValue,
    UriValue,
    Value,
)
from gateway.fhir.search import MAX_COUNT, parse_criteria, parse_query
from gateway.fhir.search_values import normalise, span

NOW = datetime(2024, 3, 1, tzinfo=UTC)
DAY = 86_400_000_000
HOME = "https://here/fhir/Organization/"
MARCH = 1709251200000000  # 2024-03-01


def criterion(type: str, name: str, text: str, **more: Any) -> Criterion:
    (found,) = parse_query(type, [(name, text)], now=NOW, **more).criteria
    return found


VALUES: dict[tuple[str, str, str], tuple[Value, ...]] = {
    ("Task", "status", "requested,accepted"): (
        TokenValue(None, "requested"),
        TokenValue(None, "accepted"),
    ),
    ("Patient", "identifier", "urn:oid:1|42"): (TokenValue("urn:oid:1", "42"),),
    ("Patient", "identifier", "|42"): (TokenValue("", "42"),),
    ("Patient", "identifier", "urn:oid:1|"): (TokenValue("urn:oid:1", None),),
    ("Patient", "identifier", r"a\|b\,c\\"): (TokenValue(None, "a|b,c\\"),),
    ("Patient", "_id", "1,2"): (TokenValue(None, "1"), TokenValue(None, "2")),
    ("Patient", "name", "Zoë"): (StringValue("zoe", "Zoë"),),
    ("Task", "owner", "Organization/1"): (ReferenceValue("Organization", "1", HOME + "1"),),
    ("Task", "owner", "1"): (ReferenceValue("", "1", ""),),
    ("Task", "patient", "1"): (ReferenceValue("Patient", "1", "https://here/fhir/Patient/1"),),
    ("Task", "owner:Organization", "1"): (ReferenceValue("Organization", "1", HOME + "1"),),
    ("Task", "owner", "http://e.org/Organization/1/_history/2"): (
        ReferenceValue("", "", "http://e.org/Organization/1"),
    ),
    ("Task", "owner", "https://here/fhir/Organization/1"): (
        ReferenceValue("Organization", "1", HOME + "1"),
    ),
    ("Task", "authored-on", "2024-03-01"): (DateValue("eq", MARCH, MARCH + DAY),),
    ("Task", "_lastUpdated", "gt2024-03-01T00:00:00Z"): (
        DateValue("gt", MARCH, MARCH + 1_000_000),
    ),
    ("Task", "authored-on", "ge2024-03-01T01:00:00 01:00"): (
        DateValue("ge", MARCH, MARCH + 1_000_000),
    ),
    ("RiskAssessment", "probability", "0.50"): (NumberValue("eq", 0.5, 0.495, 0.505),),
    ("RiskAssessment", "probability", "gt1e2"): (NumberValue("gt", 100.0, 50.0, 150.0),),
    ("Observation", "value-quantity", "5.4|http://u.org|mg"): (
        QuantityValue("eq", 5.4, 5.35, 5.45, "http://u.org", "mg"),
    ),
    ("Observation", "value-quantity", "ap100||mg"): (
        QuantityValue("ap", 100.0, 90.0, 110.0, None, "mg"),
    ),
    ("ValueSet", "url", "http://e.org/a"): (UriValue("http://e.org/a"),),
}


@pytest.mark.parametrize("asked", VALUES, ids=str)
def test_a_value_is_read_by_its_parameters_kind(asked: tuple[str, str, str]) -> None:
    type_, name, text = asked
    found = criterion(type_, name, text, base_url="https://here/fhir/")
    assert found.values == VALUES[asked]


def test_an_approximate_date_is_a_tenth_of_its_distance_away() -> None:
    assert criterion("Task", "authored-on", "ap2024-02-20").values == (
        DateValue("ap", MARCH - 11 * DAY, MARCH - 8 * DAY),
    )


def test_repetition_is_and_a_comma_is_or() -> None:
    query = parse_query("Task", [("code", "a,b"), ("code", "c")])
    assert [len(one.values) for one in query.criteria] == [2, 1]


@pytest.mark.parametrize(
    ("name", "modifier"), [("name:exact", "exact"), ("name:contains", "contains")]
)
def test_modifiers_are_kept(name: str, modifier: str) -> None:
    assert criterion("Patient", name, "A").modifier == modifier


def test_missing_and_not_are_criteria_of_their_own() -> None:
    assert criterion("Task", "owner:missing", "true") == Criterion(
        "owner", "reference", (), "missing", True
    )
    assert criterion("Task", "status:not", "draft") == Criterion(
        "status", "token", (TokenValue(None, "draft"),), "not"
    )


def test_what_shapes_the_answer_is_apart() -> None:
    query = parse_query(
        "Task",
        [
            ("_sort", "-_lastUpdated,authored-on"),
            ("_count", "5"),
            ("_total", "none"),
            ("_cursor", "x"),
            ("status", "draft"),
        ],
    )
    assert query.sort == (Sort("_lastUpdated", "date", True), Sort("authored-on", "date"))
    assert (query.count, query.total, query.cursor) == (5, "none", "x")
    assert [name for name, _ in query.pairs] == ["_sort", "_count", "_total", "status"]
    assert parse_query("Task", [("_count", "999999")]).count == MAX_COUNT
    assert parse_query("Task", []).total == "cheap"
    assert parse_query("Task", [("_total", "estimate")]).total == "accurate"
    assert parse_query("Task", [("_summary", "count"), ("_count", "5")]).count == 0


REFUSED = {
    "an unknown parameter": ("Task", "ownr", "x", "ownr", "not-supported"),
    "half a composite": (
        "Observation",
        "code-value-quantity",
        "x",
        "code-value-quantity",
        "value",
    ),
    "near nowhere": ("Location", "near", "91|2|3|km", "near", "value"),
    "near half a point": ("Location", "near", "41.5", "near", "value"),
    "near in no unit": ("Location", "near", "1|2|3|furlong", "near", "value"),
    "near beyond reason": ("Location", "near", "1|nan|3|km", "near", "value"),
    "near by less than nothing": ("Location", "near", "1|2|-3|km", "near", "value"),
    "near exactly": ("Location", "near:exact", "1|2|3|km", "near", "not-supported"),
    "an order by nearness": ("Location", "_sort", "near", "_sort", "not-supported"),
    "a sound of nothing": ("Patient", "phonetic", "-", "phonetic", "value"),
    "a sound exactly": ("Patient", "phonetic:exact", "x", "phonetic", "not-supported"),
    "very many sounds": ("Patient", "phonetic", "x " * 101, "phonetic", "too-costly"),
    "a named query": ("Patient", "_query", "match", "_query", "not-supported"),
    "contained and more": ("Task", "_contained", "both", "_contained", "not-supported"),
    "contained or what": ("Task", "_contained", "maybe", "_contained", "value"),
    "a contained type": ("Task", "_containedType", "both", "_containedType", "value"),
    "full text that is none": ("Task", "_text", "(x", "_text", "value"),
    "full text of no words": ("Task", "_content", "and", "_content", "value"),
    "an unknown include": ("Task", "_include", "Task:ownr", "_include", "value"),
    "an include of no reference": ("Task", "_include", "Task:status", "_include", "value"),
    "an include's modifier": ("Task", "_include:again", "Task:owner", "_include", "not-supported"),
    "half a reverse chain": ("Patient", "_has:Task:owner", "x", "_has", "not-supported"),
    "a reverse chain over no reference": (
        "Patient",
        "_has:Task:status:code",
        "x",
        "_has",
        "not-supported",
    ),
    "a reverse chain from elsewhere": (
        "Location",
        "_has:Task:owner:code",
        "x",
        "_has",
        "not-supported",
    ),
    "a chain over no reference": ("Task", "status.name", "x", "status", "not-supported"),
    "a chain to nothing": ("Task", "owner.colour", "x", "owner", "not-supported"),
    "a chain to what can't be": ("Task", "owner:Location.name", "x", "owner", "not-supported"),
    "a chain to anything": ("Task", "focus.status", "x", "focus", "not-supported"),
    "a chain without end": (
        "Location",
        "partof." * 6 + "name",
        "x",
        None,
        "too-costly",
    ),
    "contained": ("Task", "_contained", "true", "_contained", "not-supported"),
    "a current list": ("Task", "_list", "$current-problems", "_list", "not-supported"),
    "a value set from elsewhere": ("Task", "code:in", "http://e.org/v", "code", "not-supported"),
    "a hierarchy from elsewhere": ("Task", "code:below", "http://e.org|a", "code", "not-supported"),
    "a hierarchy of no url": ("ValueSet", "url:below", "urn:oid:1", "url", "value"),
    "half a typed identifier": ("Patient", "identifier:of-type", "a|b", "identifier", "value"),
    "a composite's order": ("Observation", "_sort", "code-value-date", "_sort", "not-supported"),
    "a bad summary": ("Task", "_summary", "some", "_summary", "value"),
    "another kind's modifier": ("Task", "status:exact", "x", "status", "not-supported"),
    "an empty modifier": ("Task", "code:", "x", "code", "not-supported"),
    "_id missing": ("Task", "_id:missing", "true", "_id", "not-supported"),
    "an empty value": ("Task", "owner", "", "owner", "value"),
    "a bad date": ("Task", "authored-on", "2023-02-29", "authored-on", "value"),
    "a bad time": ("Task", "authored-on", "2023-02-28T25:00:00Z", "authored-on", "value"),
    "a bad number": ("RiskAssessment", "probability", "high", "probability", "value"),
    "a number beyond reason": ("RiskAssessment", "probability", "1e999999", "probability", "value"),
    "half a quantity": ("Observation", "value-quantity", "5|mg", "value-quantity", "value"),
    "an unknown target": ("Task", "owner", "Secret/1", "owner", "value"),
    "a bad reference": ("Task", "owner", "a b", "owner", "value"),
    "nothing of a token": ("Task", "code", "|", "code", "value"),
    "a bad missing": ("Task", "owner:missing", "yes", "owner:missing", "value"),
    "a bad count": ("Task", "_count", "-1", "_count", "value"),
    "a bad sort": ("Task", "_sort", "colour", "_sort", "not-supported"),
    "a bad total": ("Task", "_total", "some", "_total", "value"),
    "a text that names nobody": ("Patient", "name", "-", "name", "value"),
    "a text that holds nothing": ("Patient", "name:contains", "\u0301", "name", "value"),
    "nothing beside a text": ("Patient", "name", "Bell,", "name", "value"),
    "too many values": ("Task", "_id", ",".join("a" * 1000), None, "too-costly"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_not_understood_is_refused_by_name(reason: str) -> None:
    type_, name, text, place, code = REFUSED[reason]
    with pytest.raises(InvalidSearch) as caught:
        parse_query(type_, [(name, text)])
    assert (caught.value.place, caught.value.issues[0].code) == (place, code)


def test_exactly_a_stroke_may_be_asked_for() -> None:
    assert parse_query("Patient", [("name:exact", "-")]).criteria


def test_a_named_query_is_refused_with_what_there_is_instead() -> None:
    with pytest.raises(InvalidSearch, match=r"no named queries; \$match finds a person"):
        parse_query("Patient", [("_query", "match")])


def test_what_is_made_late_is_asked_of_one_type_at_a_time() -> None:
    with pytest.raises(InvalidSearch):
        parse_query("", [("_type", "Patient,Person"), ("phonetic", "smith")])
    assert parse_query("", [("_type", "Person"), ("phonetic", "smith")]).criteria


def test_that_nothing_contained_is_found_may_be_said() -> None:
    pairs = [("_contained", "false"), ("_containedType", "container")]
    assert parse_query("Task", pairs).criteria == ()


def test_an_unknown_parameter_is_told_the_valid_ones() -> None:
    with pytest.raises(InvalidSearch, match=r"_count, .*_id, .*owner, .*status"):
        parse_query("Task", [("ownr", "x")])


def test_a_senders_text_as_parameter_is_not_told() -> None:
    with pytest.raises(InvalidSearch) as caught:
        parse_query("Task", [("Jo Smith, 1980", "x")])
    assert caught.value.place is None
    assert "Smith" not in str(caught.value)


def test_lenient_handling_lets_only_the_unknown_fall() -> None:
    query = parse_query("Task", [("ownr", "x"), ("status", "draft")], lenient=True)
    assert [one.param for one in query.criteria] == ["status"]
    assert query.pairs == (("status", "draft"),)
    with pytest.raises(InvalidSearch):
        parse_query("Task", [("status", "")], lenient=True)


def test_criteria_of_a_subscription_are_a_search() -> None:
    query = parse_criteria("Task?owner=Organization/1&status=requested%2Caccepted")
    assert query.type == "Task"
    assert len(query.criteria[1].values) == 2
    assert parse_criteria("Task").criteria == ()
    for one in ("owner:Organization.name=x", "_has:Task:part-of:code=x", "code:text=x", "_list=1"):
        assert len(parse_criteria(f"Task?{one}").criteria) == 1
    refused = ["_sort=code", "_include=Task:owner", "colour=x"]
    for bad in ("Nothing?a=b", "?a=b", "", "Task?owner=", *(f"Task?{one}" for one in refused)):
        with pytest.raises(InvalidSearch):
            parse_criteria(bad)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Zoë  O'Brien", "zoe obrien"),
        (" STRASSE ", "strasse"),
        ("Straße", "strasse"),
        ("Ångström", "angstrom"),
        ("Müller-Lüdenscheidt", "mullerludenscheidt"),
        ("山田", "山田"),
        ("a\tb\nc", "a b c"),
        ("Nguyễn", "nguyen"),
        ("!?", ""),
    ],
)
def test_texts_are_compared_without_case_accents_and_punctuation(text: str, normal: str) -> None:
    assert normalise(text) == normal
    assert normalise(normal) == normal


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2024", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ("2023-02", "2023-02-01T00:00:00Z", "2023-03-01T00:00:00Z"),
        ("2024-12", "2024-12-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ("2024-02-29", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
        ("2024-03-01T10:00", "2024-03-01T10:00:00Z", "2024-03-01T10:01:00Z"),
        ("2024-03-01T10:00:00-06:00", "2024-03-01T16:00:00Z", "2024-03-01T16:00:01Z"),
        ("2024-03-01T10:00:00.5Z", "2024-03-01T10:00:00.500Z", "2024-03-01T10:00:00.600Z"),
        ("1890-01-01", "1890-01-01T00:00:00Z", "1890-01-02T00:00:00Z"),
    ],
)
def test_a_partial_date_spans_all_it_may_mean(text: str, low: str, high: str) -> None:
    def micros(at: str) -> int:
        since = datetime.fromisoformat(at) - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds

    assert span(text) == (micros(low), micros(high))


@pytest.mark.parametrize("year", range(1999, 2006))
def test_a_year_is_as_long_as_it_is(year: int) -> None:
    whole, nextone = span(str(year)), span(str(year + 1))
    assert whole is not None
    assert nextone is not None
    assert whole[1] == nextone[0]


def test_the_last_year_has_an_end() -> None:
    assert span("9999") is not None
    assert span("9999-12-31") is not None
    assert span("0000") is None
