"""Every published message through the whole pipeline: answered for a reason, and kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.members import KEEPER
from gateway.model import Receipt
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import Hub, open_hub
from tests.corpora import Sample, messages, needs_corpora
from tests.shipped import library

pytestmark = needs_corpora


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    hub = open_hub(f"sqlite:///{tmp_path_factory.mktemp('corpora') / 'hub.sqlite'}")
    yield hub
    hub.close()


@pytest.fixture(scope="module")
def answers(hub: Hub) -> list[tuple[Sample, Receipt]]:
    settings = Settings()
    pipeline = Pipeline(hub, library(), settings, as_message)
    pipeline.add_agency("cedar-general", None)

    def send(sample: Sample) -> Receipt:
        return pipeline.accept(*as_message("cedar-general", "mllp", sample.raw)).result()

    return [(sample, send(sample)) for sample in messages()]


def test_each_is_answered_and_a_refusal_names_its_place(
    answers: list[tuple[Sample, Receipt]],
) -> None:
    table: Counter[tuple[str, str, str, str]] = Counter()
    for sample, receipt in answers:
        source = Path(sample.file).parts[0]
        why = ""
        if receipt.acknowledgement != "AA" and not receipt.repeated:
            first = receipt.issues[0]
            assert first.place, sample
            why = f"{first.place}: {first.text}"
        table[sample.msh9, receipt.acknowledgement, source, why] += 1
        assert receipt.answer.startswith(b"MSH"), sample
        assert f"MSA|{receipt.acknowledgement}|".encode() in receipt.answer.replace(b"^", b"|")
    print()
    for (event, code, source, why), count in sorted(table.items()):
        print(f"{count:4} {event:10} {code} {source:26} {why}")
    assert len(answers) > 700


def test_what_no_map_serves_is_rejected_as_that(answers: list[tuple[Sample, Receipt]]) -> None:
    rejected = Counter(
        sample.msh9
        for sample, receipt in answers
        if receipt.acknowledgement == "AR" and not receipt.repeated
    )
    for sample, receipt in answers:
        if not receipt.repeated and receipt.acknowledgement != "AA":
            unserved = receipt.issues[0].condition in ("200", "201")
            assert (receipt.acknowledgement == "AR") == unserved, sample
    assert not {"REF^I12", "ADT^A01", "ORU^R01"} & rejected.keys()
    assert rejected["QBP^Q11"]


def test_none_is_lost(hub: Hub, answers: list[tuple[Sample, Receipt]]) -> None:
    with hub.read() as reader:
        for sample, receipt in answers:
            assert reader.kept(KEEPER, receipt.message).message.raw == sample.raw
