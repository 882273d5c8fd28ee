"""``$purge``, on each engine: the whole database is looked through for what it was to forget."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.errors import Conflict, Denied, Gone, NotFound
from gateway.exchange.searching import Search
from gateway.fhir.gates import check
from gateway.model import Context, Grant
from gateway.operations import effacing, exporting, purging
from gateway.operations.jobs import PREFIX
from gateway.operations.purging import Purged
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import Aside, Hub, Transaction, open_hub
from tests.hmis.exports import HARBOR, SAMPLES, load
from tests.shipped import library
from tests.store.samples import advance
from tests.store.test_outbox import every, subscriber
from tests.test_closing import FOOD, sample

CLINIC = Context("cedar-general", "key-1")
BANK = Context("food-bank", "key-2")
KEEPER = Context("hub", "key-3", admin=True)
PLANTED = (
    "Zyxqvena", "Wobblethwaite", "QZ700999X", "987-11-0007", "77 Hidden Hollow", "Quillmarsh",
    "52999-8123", "1987-01-23", "19870123", "3195550999", "zyx@hidden.example", "V20041799",
    "secretallergen",
)  # fmt: skip
"""What a database without the person says nowhere."""

CHANGES = (
    ("Novak^Elena^M", "Wobblethwaite^Zyxqvena^M"),
    ("Novak^Lena", "Wobblethwaite^Zyxq"),
    ("700123^^^", "QZ700999X^^^"),
    ("512-55-0147", "987-11-0007"),
    ("1215 Dodge St", "77 Hidden Hollow"),
    ("Iowa City^IA^52240^USA", "Quillmarsh^IA^52999-8123^USA"),
    ("19870322", "19870123"),
    ("^1^319^5550142", "^1^319^5550999"),
    ("elena.novak@example.org", "zyx@hidden.example"),
    ("V200417^", "V20041799^"),
    ("256349002^Peanut", "256349002^secretallergen"),
)
OTHERS = (("700123^^^", "700777^^^"), ("V200417^", "V200777^"), ("S-88121^", "S-777^"))
OTHERS += (("R-20261116-7^", "R-777^"), ("CG000101", "CG000777"))


@pytest.fixture
def hub(database_url: str) -> Iterator[Hub]:
    hub = open_hub(database_url)
    yield hub
    hub.close()


@pytest.fixture
def pipeline(hub: Hub, tmp_path: Path, database_url: str) -> Pipeline:
    settings = Settings(data_dir=tmp_path, database_url=database_url, translators=0)
    made = Pipeline(hub, library(), settings, as_message)
    for agency in ("cedar-general", "food-bank", "harbor-shelter", "family-haven"):
        made.add_agency(agency, None)
    return made


def everywhere(url: str, words: tuple[str, ...]) -> dict[str, set[str]]:
    """Where in a database one of some words stands: by ``table.column``, which."""
    engine, found = sa.create_engine(url), dict[str, set[str]]()
    with engine.connect() as connection:
        for table in sa.inspect(engine).get_table_names():
            rows = connection.execute(sa.text(f'SELECT * FROM "{table}"')).mappings()
            for row in rows:
                for column, cell in row.items():
                    text = _text(cell)
                    hits = {word for word in words if word.casefold() in text}
                    if hits:
                        found.setdefault(f"{table}.{column}", set()).update(hits)
    engine.dispose()
    return found


def _text(cell: Any) -> str:
    if isinstance(cell, bytes | memoryview):
        return bytes(cell).decode("utf-8", "replace").casefold()
    return cell.casefold() if isinstance(cell, str) else ""  # a time may hold any digits


def send(pipeline: Pipeline, *changes: tuple[str, str], name: str = FOOD) -> str:
    message, word = as_message("cedar-general", "mllp", sample(name, *changes))
    receipt = pipeline.accept(message, word).result()
    assert receipt.acknowledgement == "AA"
    return message.id


def made(pipeline: Pipeline, context: Context, **resource: Any) -> Any:
    type_ = resource["resourceType"]
    done = pipeline.create(context, type_, json.dumps(resource).encode()).result()
    assert done.stored is not None
    return json.loads(done.stored.body)


def found(pipeline: Pipeline, context: Context, type_: str, **asked: str) -> list[Any]:
    page = pipeline.search(context, Search(type_, list(asked.items()))).page
    return [json.loads(one.body) for one in page.entries]


def move(pipeline: Pipeline, task: Any, *states: str) -> None:
    for status in states:
        (now,) = found(pipeline, BANK, "Task", _id=task["id"])
        body = json.dumps({**now, "status": status}).encode()
        pipeline.update(BANK, "Task", task["id"], body, None).result()


def her(pipeline: Pipeline) -> Any:
    (patient,) = found(pipeline, CLINIC, "Patient", identifier="QZ700999X")
    return patient


def told(hub: Hub) -> None:
    """The clinic's own answers needn't be waited for: nobody listens there."""
    with hub.read() as reader:
        ids = [each.id for each in reader.subscribers()]
    for id in ids:
        hub.write(lambda tx, id=id: tx.mark(id, "off"))


def ended(pipeline: Pipeline, hub: Hub) -> Any:
    """The person came with a referral, which was served; and another person."""
    send(pipeline, *CHANGES)
    send(pipeline, *OTHERS)
    patient = her(pipeline)
    (task,) = found(pipeline, CLINIC, "Task", patient=patient["id"])
    move(pipeline, task, "accepted", "in-progress", "completed")
    told(hub)
    return patient


def enrich(pipeline: Pipeline, hub: Hub, patient: Any) -> None:
    """What stands in the corners: failed messages, what was deleted, full text, exports."""
    subject = {"reference": f"Patient/{patient['id']}"}
    text = {"text": "Wobblethwaite, of 77 Hidden Hollow"}
    common = {"resourceType": "Observation", "status": "final", "code": text, "subject": subject}
    note = made(pipeline, CLINIC, **common)
    pipeline.delete(CLINIC, "Observation", note["id"], None).result()
    binary = made(
        pipeline, CLINIC, resourceType="Binary", contentType="text/plain", data="Wm9tYg=="
    )
    attachment = {"url": f"Binary/{binary['id']}", "title": "Zyxqvena's lease"}
    made(
        pipeline, CLINIC, resourceType="DocumentReference", status="current", subject=subject,
        content=[{"attachment": attachment}],
    )  # fmt: skip
    made(
        pipeline, CLINIC, resourceType="Basic", code={"text": "note"},
        extension=[{"url": "https://x.example/about", "valueReference": subject}],
    )  # fmt: skip
    wrong = sample(FOOD, *CHANGES, ("REF^I12^REF_I12", "ZZZ^Z99^ZZZ_Z99"), ("CG000101", "CG9"))
    message, word = as_message("cedar-general", "mllp", wrong)
    assert pipeline.accept(message, word).result().acknowledgement != "AA"
    hub.write(lambda tx: tx.mend(CLINIC, message.id, wrong))
    for asked in ({"_content": "Wobblethwaite"}, {"phonetic": "Zyxqvena"}):
        assert found(pipeline, CLINIC, "Patient", **asked)
    assert found(pipeline, CLINIC, "Condition", _content="insecurity")
    export(pipeline, CLINIC)


def export(pipeline: Pipeline, context: Context) -> str:
    operations = pipeline.operations
    asked = exporting.Asked(types=("Patient", "Condition"))
    job = operations.export.start(context, asked, "http://x/$export")
    asyncio.run(pipeline.drain(PREFIX + job.id))
    return job.id


def purge(pipeline: Pipeline, context: Context, patient: Any) -> Purged:
    return pipeline.operations.purge(context, patient["id"])


def test_nothing_of_a_person_is_left_anywhere_and_of_others_all_is(
    pipeline: Pipeline, hub: Hub, database_url: str, tmp_path: Path
) -> None:
    patient = ended(pipeline, hub)
    enrich(pipeline, hub, patient)
    served = {"subject": {"reference": f"Patient/{patient['id']}"}, "status": "completed"}
    procedure = made(pipeline, BANK, resourceType="Procedure", **served)
    before = everywhere(database_url, PLANTED)
    assert {"version.body", "message.raw", "string.value", "token.code"} < set(before)
    assert set().union(*before.values()) >= {"Zyxqvena", "987-11-0007", "secretallergen"}
    others = found(pipeline, CLINIC, "Condition", **{"patient.identifier": "700777"})
    assert others

    purged = purge(pipeline, CLINIC, patient)

    assert purged == Purged(done=True)
    assert everywhere(database_url, PLANTED) == {}
    files = [each for each in tmp_path.rglob("*.ndjson") if b"Wobbleth" in each.read_bytes()]
    assert files == []
    assert found(pipeline, CLINIC, "Condition", **{"patient.identifier": "700777"}) == others
    (kept,) = found(pipeline, BANK, "Procedure")
    assert kept["id"] == procedure["id"]
    with pytest.raises(Gone):
        pipeline.read(CLINIC, "Patient", patient["id"])
    with hub.read() as reader:
        lines = [(one.action, one.target) for one in reader.audited() if "purge" in one.action]
    reference = f"Patient/{patient['id']}"
    assert lines == [("purge", reference), ("purged", reference)]
    assert purge(pipeline, CLINIC, patient) == Purged(done=True)


def test_what_the_hub_made_of_a_referral_goes_with_it(
    pipeline: Pipeline, hub: Hub, database_url: str
) -> None:
    """One that names nobody, for which nobody is found: the hub's, a navigator's, in the ledger."""
    lines = sample(FOOD, *CHANGES).split(b"\r")
    nobodys = b"\r".join(line for line in lines if not line.startswith(b"PRD|RT"))
    message, word = as_message("cedar-general", "mllp", nobodys)
    assert pipeline.accept(message, word).result().acknowledgement == "AA"
    patient = her(pipeline)
    assert pipeline.referrals.run()
    (task,) = found(pipeline, CLINIC, "Task", patient=patient["id"])
    before = everywhere(database_url, (task["id"], *PLANTED))
    assert {"pursuit.task", "unmet.task"} <= set(before)
    with hub.read() as reader:
        assert [each.area for each in reader.unmet()] == ["52999"]
    with pytest.raises(Conflict, match="in hand"):
        purge(pipeline, CLINIC, patient)
    body = json.dumps({**task, "status": "cancelled", "statusReason": {"text": "x"}}).encode()
    pipeline.update(CLINIC, "Task", task["id"], body, None).result()
    while pipeline.referrals.run():
        pass
    told(hub)
    assert purge(pipeline, CLINIC, patient) == Purged(done=True)
    left = everywhere(database_url, (task["id"], *PLANTED))
    assert left.keys() == {"resource.id", "audit.target", "unmet.task"}
    assert found(pipeline, KEEPER, "Task") == []
    with hub.read() as reader:
        assert [each.area for each in reader.unmet(closed=True)] == [""]


def test_it_goes_on_wherever_it_was_cut_off(
    pipeline: Pipeline, hub: Hub, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each unit in turn fails, as if the process had died before it; the next pass ends it."""
    patient = ended(pipeline, hub)
    enrich(pipeline, hub, patient)
    monkeypatch.setattr(purging, "LEFT", -purging.LEFT)
    erasure = pipeline.operations.purge
    submit, left = hub.submit, [0]

    def cut(unit: Any, *more: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return submit(unit, *more)

    monkeypatch.setattr(hub, "submit", cut)
    monkeypatch.setattr(effacing, "AT_ONCE", 3)
    cuts = 0
    while cuts == 0 or erasure.due():
        left[0] = 1 if cuts < 30 else 9  # the last units must come in one pass
        try:
            erasure.run() if cuts else purge(pipeline, CLINIC, patient)
        except KeyboardInterrupt:
            cuts += 1
        assert cuts < 200
    assert cuts > 5
    left[0] = 10**6
    assert everywhere(database_url, PLANTED) == {}
    assert not erasure.due()


def test_a_referral_that_others_have_in_hand_is_ended_first(pipeline: Pipeline, hub: Hub) -> None:
    send(pipeline, *CHANGES)
    patient = her(pipeline)
    with pytest.raises(Conflict, match="in hand"):
        purge(pipeline, CLINIC, patient)
    with pytest.raises(Conflict, match="in hand"):
        purge(pipeline, KEEPER, patient)
    (task,) = found(pipeline, CLINIC, "Task", patient=patient["id"])
    body = json.dumps({**task, "status": "cancelled", "statusReason": {"text": "x"}}).encode()
    pipeline.update(CLINIC, "Task", task["id"], body, None).result()
    with pytest.raises(Conflict, match="heard"):
        purge(pipeline, CLINIC, patient)
    told(hub)
    assert purge(pipeline, CLINIC, patient).done


def test_it_waits_for_a_load_that_is_under_way(
    pipeline: Pipeline, hub: Hub, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = ended(pipeline, hub)
    jobs = pipeline.operations.jobs
    job = jobs.start(CLINIC, "load", "http://x", {"feed": "f", "files": []}, {})
    monkeypatch.setattr(purging, "PATIENCE", 0.0)
    monkeypatch.setattr(purging, "LEFT", -purging.LEFT)
    under_way = purge(pipeline, CLINIC, patient)
    assert [each.code for each in under_way.issues()] == ["incomplete"]
    assert pipeline.operations.purge.run() == 0
    jobs.end(job, "completed")
    assert pipeline.operations.purge.due()
    assert pipeline.operations.purge.run() == 1
    assert everywhere(database_url, PLANTED) == {}
    assert not pipeline.operations.purge.due()


def test_only_who_owns_it_or_keeps_the_hub_may(
    pipeline: Pipeline, hub: Hub, database_url: str
) -> None:
    patient = ended(pipeline, hub)
    with pytest.raises(Denied):
        purge(pipeline, BANK, patient)
    with pytest.raises(NotFound):
        purge(pipeline, HARBOR, patient)
    with pytest.raises(NotFound):
        purge(pipeline, CLINIC, {"id": "nobody"})
    with pytest.raises(Denied):
        purge(pipeline, replace(CLINIC, scopes=frozenset({"system/Patient.d"})), patient)
    assert everywhere(database_url, PLANTED)
    assert purge(pipeline, KEEPER, patient).done
    assert everywhere(database_url, PLANTED) == {}


def test_what_tells_of_others_too_stays_and_is_told_of(
    pipeline: Pipeline, hub: Hub, database_url: str
) -> None:
    patient = ended(pipeline, hub)
    (other,) = found(pipeline, CLINIC, "Patient", identifier="700777")
    people = [{"reference": f"Patient/{each['id']}"} for each in (patient, other)]
    common = {"resourceType": "Appointment", "status": "booked"}
    both = [{"actor": each, "status": "accepted"} for each in people]
    meeting = made(pipeline, CLINIC, **common, participant=both)
    members = [{"entity": each} for each in people]
    members[0]["entity"] = {**people[0], "display": "Zyxqvena"}
    house = made(pipeline, CLINIC, resourceType="Group", type="person", actual=True, member=members)
    assert purge(pipeline, CLINIC, patient).stay == (f"Appointment/{meeting['id']}",)
    (left,) = found(pipeline, CLINIC, "Group")
    assert (left["id"], left["member"]) == (house["id"], [{"entity": people[1]}])
    assert everywhere(database_url, PLANTED) == {}


def test_another_s_messages_and_records_cant_be_named_to_go(pipeline: Pipeline, hub: Hub) -> None:
    patient = ended(pipeline, hub)
    message, word = as_message("food-bank", "mllp", sample(FOOD, ("CG000101", "FB1")))
    pipeline.accept(message, word).result()
    made(
        pipeline, CLINIC, resourceType="Provenance", recorded="2026-11-16T09:15:00Z",
        target=[{"reference": f"Patient/{patient['id']}"}],
        agent=[{"who": {"display": "a clerk"}}],
        entity=[{"role": "source", "what": {"identifier": {
            "system": "https://care-gateway.example/fhir/NamingSystem/message",
            "value": message.id}}}],
    )  # fmt: skip
    assert purge(pipeline, CLINIC, patient).done
    with hub.read() as reader:
        assert reader.kept(KEEPER, message.id).message.raw


def test_linked_records_of_the_owner_s_go_and_another_agency_s_stays(
    pipeline: Pipeline, hub: Hub
) -> None:
    patient = ended(pipeline, hub)
    retired = made(
        pipeline, CLINIC, resourceType="Patient", name=[{"family": "Wobblethwaite"}],
        link=[{"other": {"reference": f"Patient/{patient['id']}"}, "type": "seealso"}],
    )  # fmt: skip
    hub.write(lambda tx: tx.grant(Grant(f"Patient/{patient['id']}", "food-bank", "Consent/1")))
    theirs = made(
        pipeline, BANK, resourceType="Patient", name=[{"family": "Wobblethwaite"}],
        link=[{"other": {"reference": f"Patient/{patient['id']}"}, "type": "seealso"}],
    )  # fmt: skip
    assert purge(pipeline, CLINIC, patient) == Purged(done=True)
    with pytest.raises(Gone):
        pipeline.read(CLINIC, "Patient", retired["id"])
    assert pipeline.read(BANK, "Patient", theirs["id"])


def test_rows_go_with_those_that_were_set_aside(
    pipeline: Pipeline, hub: Hub, database_url: str, tmp_path: Path
) -> None:
    shutil.copytree(SAMPLES / "fy2026", tmp_path / "set")
    client = tmp_path / "set" / "Client.csv"
    client.write_text(client.read_text().replace("\r", "").replace("\n1,Ada,", "\n1,Zyxqvena,"))
    load(pipeline, tmp_path / "set")
    aside(hub, "theirs", "99,11,1,2025-02-03,37,,,,,,,,Zyxqplace,x,,U1,,9001")
    aside(hub, "another's", "98,1,2,2025-02-03,37,,,,,,,,Elsewhere,x,,U1,,9001")
    assert "aside.raw" in everywhere(database_url, ("Zyxqplace",))
    words = ("Zyxqplace", "Zyxqvena", "Alder", "900001234", "1980-05-06")
    before = everywhere(database_url, words)
    assert {"row.raw", "version.body"} <= set(before)
    (patient,) = found(pipeline, HARBOR, "Patient", given="Zyxqvena")
    others = len(found(pipeline, HARBOR, "Patient", _count="100"))
    assert everywhere(database_url, ("Elsewhere",))
    rows = kept(database_url)
    assert purge(pipeline, HARBOR, patient).done
    assert everywhere(database_url, words) == {}
    assert everywhere(database_url, (patient["id"],)).keys() <= {
        "audit.target", "resource.id", "version.body", "row.made", "reference.target"
    }  # fmt: skip
    assert len(found(pipeline, HARBOR, "Patient", _count="100")) == others - 1
    assert kept(database_url) < rows
    assert everywhere(database_url, ("Elsewhere",))


def aside(hub: Hub, name: str, raw: str) -> None:
    """A row of living situations that could not go in."""
    file = "CurrentLivingSituation"
    with hub.read() as reader:
        sheet = next(
            key for each, key in reader.sheets("harbor-shelter", "hmis").items() if each == file
        )
        head = reader.headers(sheet)[-1].key
    one = Aside(
        name, "harbor-shelter", "hmis", file, "a load", raw.partition(",")[0], head, 9,
        "translate", f"{file}:9", "a reason", raw.encode(), 1, "open",
    )  # fmt: skip
    hub.write(lambda tx: tx.set_row_aside(sheet, one))


def kept(url: str) -> int:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        count: int = connection.execute(sa.text('SELECT count(*) FROM "row"')).scalar_one()
    engine.dispose()
    return count


def test_deliveries_keep_their_numbers_and_tell_of_nothing(pipeline: Pipeline, hub: Hub) -> None:
    hub.write(lambda tx: tx.put_subscriber(subscriber("tasks", agency="food-bank")))
    patient = ended(pipeline, hub)
    hub.write(lambda tx: tx.mark("tasks", "active"))
    assert advance(hub, "tasks", every) > 4
    with pytest.raises(Conflict, match="heard"):
        purge(pipeline, CLINIC, patient)
    hub.write(lambda tx: tx.mark("tasks", "off"))
    with hub.read() as reader:
        before = reader.numbered("tasks", 1, 99, 99)
    assert purge(pipeline, CLINIC, patient).done
    with hub.read() as reader:
        after = reader.numbered("tasks", 1, 99, 99)
    assert [each.number for each in after] == [each.number for each in before]
    assert {"delete"} < {each.event.interaction for each in after}  # others' are as they were
    gone = {each.event.id for each in after if each.event.interaction == "delete"}
    for each in after:
        assert (each.event.interaction == "delete") == (each.event.id in gone)


def test_what_comes_meanwhile_goes_too(
    pipeline: Pipeline, hub: Hub, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message of the person's comes right before the last look."""
    patient = ended(pipeline, hub)
    came: list[str] = []

    def gone(self: Any, *given: Any) -> bool:
        if not came:
            came.append(send(pipeline, *CHANGES[:9], name="cedar-general/admit"))
        return was(self, *given)

    was = effacing.Effacing._gone
    monkeypatch.setattr(effacing.Effacing, "_gone", gone)
    assert purge(pipeline, CLINIC, patient).done
    assert everywhere(database_url, PLANTED) == {}


def test_thousands_go_in_units_that_are_short(pipeline: Pipeline, hub: Hub) -> None:
    patient = ended(pipeline, hub)
    subject = {"reference": f"Patient/{patient['id']}"}
    common = {"status": "final", "code": {"text": "weight"}, "subject": subject}

    def many(tx: Any) -> None:
        for number in range(60):
            one = {"resourceType": "Observation", "id": f"weight-{number}", **common}
            tx.put(CLINIC, check(one), interaction="create")

    hub.write(many)
    most = 0
    erase = Transaction.erase

    def counted(tx: Any, target: str) -> bool:
        nonlocal most
        tx.link.known["erased"] = tx.link.known.get("erased", 0) + 1
        most = max(most, tx.link.known["erased"])
        return erase(tx, target)

    hub_erase = pytest.MonkeyPatch()
    hub_erase.setattr(Transaction, "erase", counted)
    assert purge(pipeline, CLINIC, patient).done
    hub_erase.undo()
    assert 0 < most <= effacing.AT_ONCE + 5
    assert found(pipeline, CLINIC, "Observation", patient=patient["id"]) == []
