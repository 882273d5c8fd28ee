"""What becomes of a fact of a publisher's that we don't state, and why.

SAME: stated otherwise; ``same`` finds it in our facts, and it counts as stated. The ``rules`` of
the other three: INVENTED, nothing in the message says it; WRONG, HL7's tables or R4 say otherwise;
APART, the library doesn't make it, since the guide's message maps don't, or since the gateway
keeps it otherwise. A fact that none fits is lacking.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.mappings.conditions import Rule
from tests.mappings.evidence import Evidence
from tests.mappings.facts import Fact
from tests.mappings.rules import APART_RULES, INVENTED_RULES, WRONG_RULES
from tests.mappings.same import same

SAME, INVENTED, WRONG, APART = "same", "invented", "wrong", "apart"
KINDS = (SAME, INVENTED, WRONG, APART)
_RULES = ((INVENTED, INVENTED_RULES), (WRONG, WRONG_RULES), (APART, APART_RULES))


class Verdict(NamedTuple):
    """One of ``KINDS``, and the reason."""

    kind: str
    why: str


def agreed(fact: Fact, evidence: Evidence) -> Verdict | None:
    """The verdict on a fact that isn't among ours; None where it is lacking."""
    why = same(fact, evidence)
    if why is not None:
        return Verdict(SAME, why)
    for kind, rules in _RULES:
        for rule in rules:
            if _fits(rule, fact) and rule.when(fact, evidence):
                return Verdict(kind, rule.why)
    return None


def _fits(rule: Rule, fact: Fact) -> bool:
    return all(
        re.fullmatch(pattern, text) is not None
        for pattern, text in zip(rule[:3], fact, strict=True)
    )


NOT_ITS_OWN = {
    "google-hdh/wstl1/mapping_configs/hl7v2_fhir_r4/rde_o01_ex3.hl7": "orm_o01_ex1's bundle",
}
"""Pairs whose bundle was made of another message."""
