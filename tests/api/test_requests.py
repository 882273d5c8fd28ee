from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from gateway.api import requests
from gateway.api.refusals import NotAcceptable, RequestError, TooLarge, TooSlow, WrongMedia
from gateway.errors import InvalidResource, Unauthenticated
from gateway.fhir.interaction import ANY


def request(*pieces: bytes, query: str = "", gone: bool = False, **headers: str) -> Request:
    """A request whose body comes in ``pieces``; ``gone``: the client leaves instead of ending."""
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
    ]
    messages.append({"type": "http.disconnect"} if gone else {"type": "http.request"})

    async def receive() -> Any:
        return messages.pop(0)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": raw,
        "query_string": query.encode(),
    }
    return Request(scope, receive)


def read(asked: Request, limit: int = 10) -> bytes:
    return asyncio.run(requests.body(asked, limit))


def test_a_body_comes_whole_however_it_was_cut() -> None:
    assert read(request(b"ab", b"", b"cde")) == b"abcde"
    assert read(request()) == b""


def test_a_body_above_the_limit_is_refused_by_its_header_or_as_it_comes() -> None:
    with pytest.raises(TooLarge):
        read(request(content_length="11"))
    with pytest.raises(TooLarge):
        read(request(b"123456", b"123456", b"never read"))
    assert read(request(b"1234567890", content_length="10")) == b"1234567890"


def test_a_client_that_leaves_in_the_middle_is_told_to_nobody() -> None:
    with pytest.raises(TooSlow):
        read(request(b"12", gone=True))


def test_a_compressed_body_is_refused() -> None:
    with pytest.raises(WrongMedia):
        read(request(b"x", content_encoding="gzip"))


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer  ", "Basic abc", "cg_1_2"])
def test_without_a_bearer_key_nobody_comes_in(header: str) -> None:
    with pytest.raises(Unauthenticated):
        requests.bearer(request(authorization=header))


def test_the_scheme_is_read_in_any_case() -> None:
    assert requests.bearer(request(authorization="bearer cg_1_2")) == "cg_1_2"


@pytest.mark.parametrize(
    "type",
    [
        "application/fhir+json",
        "application/json",
        "Application/FHIR+JSON; charset=UTF-8",
        'application/fhir+json; fhirVersion=4.0; charset="utf-8"',
        "",
    ],
)
def test_json_by_any_of_its_names_is_read(type: str) -> None:
    requests.check_json_body(request(content_type=type))


@pytest.mark.parametrize(
    "type",
    [
        "text/plain",
        "application/fhir+xml",
        "application/fhir+json; charset=utf-16",
        "application/fhir+json; fhirVersion=5.0",
        "x",
    ],
)
def test_another_body_is_refused(type: str) -> None:
    with pytest.raises(WrongMedia):
        requests.check_json_body(request(content_type=type))


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/fhir+json",
        "application/json;q=0.9",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "application/fhir+xml, application/fhir+json;q=0.5",
        "application/*",
    ],
)
def test_a_client_that_takes_json_gets_it(accept: str) -> None:
    requests.check_accepts_json(request(accept=accept), [])


@pytest.mark.parametrize(
    "accept", ["application/fhir+xml", "text/html", "application/json;q=0", "*/*;q=0.0"]
)
def test_a_client_that_does_not_take_json_is_told_so(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        requests.check_accepts_json(request(accept=accept), [])


def test_format_comes_before_accept() -> None:
    xml = request(accept="application/fhir+xml")
    for format in ("json", "application/fhir+json", "application/fhir json", "application/json"):
        requests.check_accepts_json(xml, [("_format", format)])
    with pytest.raises(NotAcceptable):
        requests.check_accepts_json(request(), [("_format", "xml")])


def test_the_query_keeps_its_order_its_repeats_and_its_empty_values() -> None:
    asked = request(query="status=requested&code=a%7Cb&status=x%2Cy&name=&_id=%C3%A9")
    assert requests.query_pairs(asked) == [
        ("status", "requested"),
        ("code", "a|b"),
        ("status", "x,y"),
        ("name", ""),
        ("_id", "é"),
    ]


def test_a_query_that_is_not_utf_8_or_has_no_end_is_refused() -> None:
    with pytest.raises(RequestError):
        requests.query_pairs(request(query="name=%FF"))
    with pytest.raises(RequestError):
        requests.query_pairs(request(query="&".join(["a=1"] * 1001)))


def test_a_form_is_named_as_one() -> None:
    form = "application/x-www-form-urlencoded; charset=utf-8"
    assert requests.form_pairs(request(content_type=form), b"name=x") == [("name", "x")]
    assert requests.form_pairs(request(), b"") == []
    with pytest.raises(WrongMedia):
        requests.form_pairs(request(content_type="application/json"), b"{}")


@pytest.mark.parametrize(
    ("header", "version"), [('W/"3"', 3), ('"12"', 12), ("4", 4), ("*", ANY), ('W/"0"', 0)]
)
def test_if_match_names_a_version(header: str, version: int) -> None:
    assert requests.if_match(request(if_match=header)) == version


@pytest.mark.parametrize("header", ["", "W/3", '"a"', 'W/"1", W/"2"', '"' + "9" * 30 + '"'])
def test_an_if_match_that_names_none_is_refused_and_never_ignored(header: str) -> None:
    with pytest.raises(InvalidResource):
        requests.if_match(request(if_match=header))


def test_preferences_are_read_wherever_they_stand() -> None:
    asked = request(prefer='respond-async, return=minimal; handling="lenient"')
    assert requests.preference(asked, "return") == "minimal"
    assert requests.preference(asked, "handling") == "lenient"
    assert requests.preference(asked, "wait") == ""
    assert requests.preference(request(), "return") == ""
