"""What publishers' converters state of their messages, and how much of it the library states too.

Facts are compared, not bundles (``facts``); a fact of theirs that we lack gets a verdict
(``agreed``). The tables are printed (``-s``), with three shares. *Raw*: of all their facts those
that we state word for word. *Held*: also those that we state otherwise. *Agreed*: of what is left
when the invented, the wrong and what stands apart are taken away.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest

from gateway.translate import Library
from tests.corpora import needs_corpora
from tests.mappings.agreed import KINDS, SAME, agreed
from tests.mappings.evidence import Evidence, Sent
from tests.mappings.facts import Fact, facts
from tests.mappings.pairs import Pair, pairs

pytestmark = [needs_corpora, pytest.mark.corpora]

REFERRAL = "ms-fhir-converter/data/SampleData/Hl7v2/REF-I12-01.hl7"
ABOUT_IT = frozenset(
    {"Patient", "RelatedPerson", "Condition", "ServiceRequest", "AllergyIntolerance"}
)
AIM = {"ms-fhir-converter": 0.95, "google-hdh": 0.95, "cdc-trusted-intermediary": 0.95}
STATED, LACKING = "stated", "lacking"


@pytest.fixture(scope="module")
def read(library: Library) -> list[Pair]:
    return list(pairs(library))


def test_most_of_what_publishers_state_is_stated(read: list[Pair]) -> None:
    found = _counted(read)
    _print_shares(read, found)
    _print_reasons(read)
    for source, aim in AIM.items():
        assert _shares(found[source])[2] >= aim, source


def test_of_the_referral_itself_nothing_is_lacking(read: list[Pair]) -> None:
    pair = next(pair for pair in read if pair.name == REFERRAL)
    lacking = {fact for fact, kind, _ in _judged(pair) if kind == LACKING}
    assert {fact for fact in lacking if fact.type in ABOUT_IT} <= {
        # OBR-27 of the laboratory's order beside the referral, whose time is OBR-6
        Fact(
            "ServiceRequest",
            "occurrenceTiming.repeat.boundsPeriod.start",
            "2022-01-20t09:11:00+00:00",
        )
    }


def test_the_rules_would_not_excuse_what_we_state(read: list[Pair]) -> None:
    """Were an element of ours taken away, few of its facts would be put down to anything."""
    excused: Counter[str] = Counter()
    shared = 0
    for pair in read:
        if pair.source not in AIM or pair.ours is None:
            continue
        ours, theirs, sent = facts(pair.ours), facts(pair.theirs), Sent(pair.raw)
        for element in {_element(fact) for fact in ours & theirs}:
            less = Evidence({fact for fact in ours if _element(fact) != element}, sent)
            for fact in (one for one in ours & theirs if _element(one) == element):
                shared += 1
                verdict = agreed(fact, less)
                if verdict is not None and verdict.kind != SAME:
                    excused[verdict.why] += 1
    print(f"\nof {shared} facts that both state, excused if we didn't: {sum(excused.values())}")
    for why, count in excused.most_common():
        print(f"{count:6}  {why}")
    assert sum(excused.values()) <= 0.04 * shared


def _element(fact: Fact) -> tuple[str, str]:
    return fact.type, fact.path.partition(".")[0]


def _judged(pair: Pair) -> Iterator[tuple[Fact, str, str]]:
    """Each fact of theirs with its verdict and the reason."""
    ours = facts(pair.ours or [])
    evidence = Evidence(ours, Sent(pair.raw))
    for fact in facts(pair.theirs):
        verdict = None if fact in ours else agreed(fact, evidence)
        if fact in ours:
            yield fact, STATED, ""
        elif verdict is None:
            yield fact, LACKING, ""
        else:
            yield fact, *verdict


def _counted(read: list[Pair]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for pair in read:
        found[pair.source]["pairs"] += 1
        found[pair.source]["refused"] += pair.ours is None
        if pair.ours is not None:
            found[pair.source].update(kind for _, kind, _ in _judged(pair))
    return found


def _shares(found: Counter[str]) -> tuple[float, float, float]:
    """Raw, held and agreed, of the facts of the messages that aren't refused."""
    every = sum(found[kind] for kind in (STATED, *KINDS, LACKING))
    held = found[STATED] + found[SAME]
    expected = max(1, held + found[LACKING])
    return found[STATED] / max(1, every), held / max(1, every), held / expected


def _print_shares(read: list[Pair], found: dict[str, Counter[str]]) -> None:
    heads = ("pairs", "refused", STATED, *KINDS, LACKING)
    print("\n" + " ".join(f"{head:>9}" for head in (*heads, "raw", "held", "agreed")) + "  source")
    for source, counts in sorted(found.items()):
        cells = [f"{counts[head]:9}" for head in heads]
        cells += [f"{share:9.1%}" for share in _shares(counts)]
        print(" ".join(cells) + f"  {source}")
    for (source, refusal), count in Counter(
        (p.source, p.refusal) for p in read if p.refusal
    ).items():
        print(f"{count:4} refused  {source}: {refusal}")


def _print_reasons(read: list[Pair]) -> None:
    reasons: Counter[tuple[str, str, str]] = Counter()
    for pair in read:
        if pair.ours is not None:
            reasons.update((pair.source, kind, why) for _, kind, why in _judged(pair) if why)
    for (source, kind, why), count in sorted(
        reasons.items(), key=lambda one: (one[0][:2], -one[1])
    ):
        print(f"{count:5}  {source[:24]:24}  {kind:8}  {why}")
