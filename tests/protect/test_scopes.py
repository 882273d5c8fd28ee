from __future__ import annotations

import pytest

from gateway.errors import Denied
from gateway.model import Context
from gateway.protect import scopes


def having(*granted: str) -> Context:
    return Context("cedar-general", "key-1", frozenset(granted))


def test_a_scope_covers_its_own_type_and_letters_alone() -> None:
    context = having("system/Patient.rs")
    scopes.require(context, "Patient", "r")
    scopes.require(context, "Patient", "s")
    for type, letter in (("Patient", "c"), ("Patient", "u"), ("Task", "r"), ("*", "r")):
        with pytest.raises(Denied) as refused:
            scopes.require(context, type, letter)  # type: ignore[arg-type]
        assert refused.value.status == 403
        assert refused.value.place == type


def test_a_star_covers_every_type() -> None:
    context = having("system/*.cruds")
    for letter in "cruds":
        scopes.require(context, "Task", letter)  # type: ignore[arg-type]
        scopes.require(context, "*", letter)  # type: ignore[arg-type]


def test_scopes_add_up() -> None:
    context = having("system/Patient.rs", "system/Task.cu")
    scopes.require(context, "Task", "u")
    with pytest.raises(Denied):
        scopes.require(context, "Patient", "u")


@pytest.mark.parametrize(
    "scope",
    [
        "system/Patient.read",
        "system/Patient.sr",  # the letters have an order
        "user/Patient.rs",
        "patient/Patient.rs",
        "system/Patient.rs?owner=me",  # narrower than we can check must not count as wide
        "system/Patient.",
        "system/.rs",
        "Patient.rs",
        " system/Patient.rs",
        "",
    ],
)
def test_what_is_not_a_scope_that_we_can_check_grants_nothing(scope: str) -> None:
    assert scopes.unknown([scope]) == [scope]
    with pytest.raises(Denied):
        scopes.require(having(scope), "Patient", "r")


def test_no_scopes_grant_nothing() -> None:
    with pytest.raises(Denied):
        scopes.require(having(), "Patient", "r")


def test_known_scopes_are_known() -> None:
    assert scopes.unknown(["system/Patient.rs", "system/*.cruds", "system/Task.u"]) == []
