"""What can't give anything is left out before it runs; what might is always tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.translate.conditions import compile_condition
from gateway.translate.needs import ANYTHING, Narrowed, either, in_node, in_scope, met
from gateway.translate.paths import Frame
from tests.translate.maps import elements, library, run

FRAME = Frame("message", None, None, "CX")


@pytest.mark.parametrize(
    ("condition", "needs"),
    [
        ("CX.1 exists", [{1}]),
        ("CX.4.2 = X", [{4}]),
        ("PID-3.1 exists", [{("PID", 3)}]),
        ("PID-3[5=MR] exists and CX.2 in (A, B)", [{("PID", 3)}, {2}]),
        ("CX.1 exists or CX.2 exists", [{1, 2}]),
        ("CX.1 exists and CX.2 exists or CX.3 exists", [{1, 3}, {2, 3}]),
        ("CX.1 matches '.*'", [{1}]),
    ],
)
def test_a_condition_tells_what_it_needs(condition: str, needs: list[set[object]]) -> None:
    found = compile_condition(condition, FRAME, "here").needs
    assert set(found) == {frozenset(keys) for keys in needs}


@pytest.mark.parametrize(
    "condition",
    [
        "not CX.1 exists",
        "CX.1 != A",
        "CX.1 = ''",
        "CX.1 in (A, '')",
        "CX.1 exists or CX.2 != A",
        "OBX[2]-5 exists",
        "DG1 exists",
    ],
)
def test_a_condition_that_may_hold_of_nothing_is_always_asked(condition: str) -> None:
    assert compile_condition(condition, FRAME, "here").needs == ANYTHING


def test_alternatives_beyond_reckoning_are_tried() -> None:
    many = [tuple(frozenset({10 * n + k}) for k in range(9)) for n in range(3)]
    assert either(many) == ANYTHING


def test_a_shape_says_what_is_there() -> None:
    here = in_node(b"\1\0\1")
    assert [here(number) for number in (1, 2, 3, 4)] == [True, False, True, False]
    assert here(("PID", 3)), "a node can't speak for fields"
    scope = in_scope(("PID",), (b"\1\0\1",))
    assert not scope(("PID", 1))
    assert scope(("PID", 2))
    assert scope(("NK1", 9)), "of a segment that wasn't looked at nothing is known"
    assert met(ANYTHING, scope)


def test_shapes_without_end_fill_no_memory() -> None:
    known = Narrowed("whole", lambda shape: f"for {shape}")
    answers = [known[number] for number in range(1000)]
    assert answers[0] == known[0] == "for 0"
    assert known[999] == "whole"
    assert len(known) < 1000


def test_what_a_first_message_lacks_is_read_in_the_next(tmp_path: Path) -> None:
    loaded = library(
        tmp_path,
        """
        gender: {from: PID-8}
        birthDate: {from: PID-7}
        language: {from: PID-15, default: en}
        name: {each: PID-5, family: {from: ".1"}, given: [{from: ".2"}, {from: ".3"}]}
        maritalStatus: {if: "not PID-7 exists", text: {join: [PID-16.1, PID-16.2], by: "/"}}
        """,
    )
    first = elements(run(loaded, "PID|1||7||A").entries[0])
    second = elements(run(loaded, "PID|1||7||A^B~^^C||19610615|male|||||||de|M^N").entries[0])
    third = elements(run(loaded, "PID|1||7||A|||||||||||^N").entries[0])
    assert first == {"name": [{"family": "A"}], "language": "en"}
    assert second == {
        "gender": "male",
        "birthDate": "1961-06-15",
        "language": "de",
        "name": [{"family": "A", "given": ["B"]}, {"given": ["C"]}],
    }
    assert third == {"name": [{"family": "A"}], "language": "en", "maritalStatus": {"text": "N"}}


ANSWERS = """
    active: {if: PID-8 = M and PID-24 != N, const: true}
    gender:
      - {if: "PID-8 in (M, 1)", const: male}
      - {if: "PID-8 = ''", const: unknown}
      - {if: "PID-8 = F or PID-5.2 = Ann", const: female}
      - {const: other}
"""

SAID = [
    ("M", "Bob", "male", True),
    ("1", "Bob", "male", None),
    ("F", "Bob", "female", None),
    ("X", "Ann", "female", None),
    ("X", "Bob", "other", None),
    ("", "Ann", "unknown", None),
    ('""', "Ann", "unknown", None),
    ("X~M", "Bob", "male", True),
    ("X~F", "Bob", "female", None),
]


def test_what_a_field_answers_narrows_to_the_same_as_asking_each_time(tmp_path: Path) -> None:
    loaded = library(tmp_path, ANSWERS)
    for sex, name, gender, active in (*SAID, *reversed(SAID)):
        made = run(loaded, f"PID|1||7||Ever^{name}|||{sex}").entries[0].resource
        assert (made["gender"], made.get("active")) == (gender, active), (sex, name)
