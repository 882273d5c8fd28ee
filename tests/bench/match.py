"""``$match`` of one patient among many, beside reading a record by its id.

The person is sought as somebody would know them: name, birth date, telephone and home, with the
identifier and without; then as who isn't there. Processor time, the database's too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial

from gateway.fhir import gates
from gateway.model import Context, Resource
from gateway.operations.matching import Matching
from gateway.store import Hub, open_hub
from tests.bench import searches
from tests.bench.run import Run
from tests.bench.searches import CLINIC, keeper, patient
from tests.bench.table import Figure

MOST = 10
Make = Callable[[int], Resource]


def figures(run: Run) -> Iterator[Figure]:
    """Milliseconds of one match."""
    full = run.size.resources
    numbers = [one(number, full, full) for number in range(run.size.people)]
    with closing(open_hub(searches.filled(run, full))) as hub:
        floor = mean(run, partial(read, hub), numbers)
        for name, make in PERSONS.items():
            took, work = cost(run, hub, make, numbers), f"match one of {full // 2:,}, {name}"
            engine = run.engine.name
            yield Figure(work, took / 1000, "ms", floor / 1000, "read by id", "≤ 1", "", engine)


def one(number: int, full: int, final: int) -> int:
    """A patient's number among so many resources of those that will be, each time another's."""
    found = number * 7919 % (full // 2)
    return found if keeper(found, final) is CLINIC else (found + 1) % (full // 2)


def cost(run: Run, hub: Hub, make: Make, numbers: Sequence[int]) -> float:
    """Microseconds of a match of such persons; each is found whose number is among the words."""
    match = Matching(hub, _unnoted)
    people = {number: gates.check(make(number), type="Patient") for number in numbers}

    def sought(number: int) -> None:
        found = match(CLINIC, people[number], only_certain=False, count=MOST)
        assert make is stranger or found[0].stored.id == patient(number)["id"], "somebody else"

    return mean(run, sought, numbers)


def _unnoted(context: Context, action: str, found: object) -> None:
    """Who read what is noted beside."""


def mean(run: Run, work: Callable[[int], object], numbers: Sequence[int]) -> float:
    """Microseconds of each."""
    for number in numbers[: len(numbers) // 4 + 1]:
        work(number)
    return run.each(work, numbers)


def read(hub: Hub, number: int) -> None:
    """The patient's record."""
    with hub.read() as reader:
        reader.read(CLINIC, "Patient", str(patient(number)["id"]))


def whole(number: int) -> Resource:
    """The person with the number that the agency knows them by."""
    return {name: value for name, value in patient(number).items() if name != "id"}


def described(number: int) -> Resource:
    """Without the number."""
    return {name: value for name, value in whole(number).items() if name != "identifier"}


def stranger(number: int) -> Resource:
    """Somebody with a birth date and a given name that others have, too, and no more."""
    name = [{"family": f"Nobody{number}", "given": patient(number)["name"][0]["given"]}]
    return {"resourceType": "Patient", "name": name, "birthDate": patient(number + 1)["birthDate"]}


PERSONS: dict[str, Make] = {
    "by number": whole,
    "without number": described,
    "who isn't there": stranger,
}
