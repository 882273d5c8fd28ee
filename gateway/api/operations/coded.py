"""How terminology operations are asked about a code: alone with its system, as a Coding, or more.

R4 valueset-operation-validate-code, conceptmap-operation-translate, codesystem-operation-lookup.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.api.operation import Asked
from gateway.api.parameters import Inputs, Parameter
from gateway.api.refusals import RequestError
from gateway.fhir import gates
from gateway.operations.terms import Source

Code = tuple[str | None, str]
"""A system (None: not given) and a code."""

CODE: Final = Parameter("code", "code", "The code", "female")
CODING: Final = Parameter("coding", "Coding", "The code as a Coding")
CONCEPT: Final = Parameter("codeableConcept", "CodeableConcept", "One of its codings will do")
DISPLAY: Final = Parameter("display", "string", "The display to check")


def source(asked: Asked, whole: str, named: str = "url") -> Source:
    """What an operation is about: the resource in its path, or sent as ``whole``, or its URL.

    Raises RequestError where none is given, InvalidResource where what is sent isn't R4.
    """
    sent = asked.inputs.one(whole)
    if sent is not None:
        return Source(resource=gates.check(sent, type=whole[0].upper() + whole[1:]))
    if asked.id:
        return Source(id=asked.id)
    return Source(str(asked.inputs.need(named)))


def system(name: str, example: str) -> Parameter:
    """The code's system, by the name that the operation gives it."""
    return Parameter(name, "uri", "The code's system", example)


def codes(inputs: Inputs, named: str) -> list[Code]:
    """The codes asked about; ``named`` is the parameter of their system. ``RequestError``: none."""
    concept = inputs.one("codeableConcept")
    if isinstance(concept, dict):
        return [_coding(each, "codeableConcept") for each in concept.get("coding") or [{}]]
    coding = inputs.one("coding")
    if isinstance(coding, dict):
        return [_coding(coding, "coding")]
    return [(inputs.text(named), str(inputs.need("code")))]


def _coding(coding: Any, place: str) -> Code:
    code = coding.get("code") if isinstance(coding, dict) else None
    if not isinstance(code, str):
        raise RequestError("a coding with a code is needed", place=place, code="required")
    url = coding.get("system")
    return (url if isinstance(url, str) else None), code
