"""What a map is made into: Python that one can read, in which nothing of a map's text stands."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gateway.translate import Library
from gateway.translate.code import Code, Written
from gateway.translate.resources import Maker
from tests import shipped
from tests.translate.maps import elements, library, run


def makers(loaded: Library) -> list[Maker]:
    return [maker for plan in loaded._plans.values() for maker in plan.making.makers]


def source(folder: Path, rules: str) -> str:
    """The function that fills the one Patient of a map."""
    return next(iter(makers(library(folder, rules)))).fills.code().source


RULES = """
    gender: {from: PID-8}
    name: {each: "PID-5[7=L]", use: {const: official}, family: {from: ".1"}}
"""

MADE = """\
def made(run, scope, node, made, removes):
    pass
    PID_1 = scope.segments.get('PID', ABSENT)[0]
    shape2 = PID_1.shape
    if shape2[8]:
        run.null = False
        value = None
        if shape2[8]:
            n3 = PID_1.repetitions(8)[0]
            value = k1(run, n3)
        if value is not None:
            made['gender'] = value
        elif run.null:
            removes.update(k2)
    if shape2[5]:
        run.null = False
        value = []
        for n5 in (PID_1.repetitions(5) if shape2[5] else ()):
            t6 = False
            x7 = n5.leaf(7)
            if x7 is not None and x7 != NULL:
                t6 = x7 in k3
            if t6:
                shape12 = n5.shape.ljust(32, NONE)
                v4 = None
                o8, t9 = {}, False
                v10 = k4()
                o8['use'] = v10
                v11 = None
                if shape12[0]:
                    v11 = n5.leaf(1)
                    if v11 is not None:
                        if v11 == NULL:
                            v11 = None
                            run.null = True
                        elif v11.isspace():
                            v11 = None
                if v11 is not None:
                    o8['family'] = v11
                    t9 = True
                v4 = o8 if t9 else None
                if v4 is not None:
                    value.append(v4)
        value = value or None
        if value is not None:
            made['name'] = value
        elif run.null:
            removes.update(k5)
    return None
"""


def test_a_map_becomes_python_that_one_can_read(tmp_path: Path) -> None:
    assert source(tmp_path, RULES) == MADE


HOSTILE = """
    language: {if: "PID-15 = 'import os' or PID-8 matches 'import os'", const: "import os"}
    implicitRules: {join: [PID-5.1, PID-5.2], by: "import os"}
    gender: {from: PID-8, table: import os}
"""


def test_nothing_that_a_map_says_stands_in_it(tmp_path: Path) -> None:
    table = {"hl7v2/tables/import os.csv": "code,target\nimport os,male\n"}
    (maker,) = makers(library(tmp_path, HOSTILE, table))
    code = maker.fills.code()
    assert "import" not in code.source
    assert "import os" in code.known.values(), "it is bound"


def test_what_the_shipped_maps_become_names_nothing_but_fields_and_elements() -> None:
    """No name of Python's own is in reach but what a rule needs, and no attribute but these."""
    names, attributes = set[str](), set[str]()
    for maker in makers(shipped.library())[::7]:
        for written in (maker.fills, *(key for key, _ in maker.keys)):
            code = written.code()
            for part in ast.walk(ast.parse(code.source)):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
                    names.add(part.id.rstrip("0123456789"))
                elif isinstance(part, ast.Attribute):
                    attributes.add(part.attr)
                assert not isinstance(part, ast.Import | ast.ImportFrom | ast.Lambda)
    assert {name for name in names if not name.isupper() and "_" not in name} <= {
        *("run", "scope", "node", "made", "removes", "value", "chosen", "one", "each", "found"),
        *("k", "n", "t", "v", "x", "o", "list", "shape", "segment"),
        *("dict", "next", "iter", "bool"),
    }
    assert attributes <= {
        *("segments", "repetitions", "shape", "child", "leaf", "text", "place", "null", "warn"),
        *("parent", "made", "paired", "within", "single", "agency", "organization", "id"),
        *("get", "append", "extend", "update", "join", "isspace", "ljust", "fromkeys"),
    }


def test_it_is_written_when_it_is_first_called_and_once() -> None:
    written = Written("a place", lambda code: code("return run + 1"), "run")
    first = written.call
    assert written.call(1) == 2
    assert written.call is not first
    assert written.call(2) == 3


def test_a_traceback_names_the_map(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as told:
        Written("segments/PID.yaml", lambda code: code("return run / 0"), "run").call(1)
    assert told.traceback[-1].frame.code.raw.co_filename == "<segments/PID.yaml>"


def test_the_same_object_is_bound_once() -> None:
    code, one = Code("run"), frozenset({"a"})
    assert code.bound(one) == code.bound(one) != code.bound(frozenset({"a"}))


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


@pytest.mark.parametrize(
    ("sex", "name", "gender", "active"),
    [
        ("M", "Bob", "male", True),
        ("1", "Bob", "male", None),
        ("F", "Bob", "female", None),
        ("X", "Ann", "female", None),
        ("X", "Bob", "other", None),
        ("", "Ann", "unknown", None),
        ('""', "Ann", "unknown", None),
        ("X~M", "Bob", "male", True),
        ("X~F", "Bob", "female", None),
    ],
)
def test_a_condition_asks_all_repetitions_and_takes_null_for_empty(
    tmp_path: Path, sex: str, name: str, gender: str, active: bool | None
) -> None:
    made = run(library(tmp_path, ANSWERS), f"PID|1||7||Ever^{name}|||{sex}").entries[0].resource
    assert (made["gender"], made.get("active")) == (gender, active)
