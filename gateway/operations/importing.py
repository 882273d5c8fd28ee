"""``$import``: NDJSON that is sent is written line by line, by the rules of any write.

The lines come in the request's body. The SMART bulk import proposal has the server fetch files from
URLs that a client names, which would make the gateway call wherever a client likes: not here.

Lines are written a batch a transaction; where a batch is refused, each line alone. A line that
refers to what isn't there yet waits for another round, as long as rounds bring anything. A line
without an id gets one of the job and its number, so that a batch repeated after a crash writes
nothing new.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Final
from uuid import UUID, uuid5

from gateway.admission.rules import Change, Hall, admit
from gateway.errors import Denied, GatewayError, InvalidResource, Issue
from gateway.fhir import gates, json
from gateway.fhir.outcome import outcome
from gateway.model import Context, ValidResource
from gateway.operations.jobs import File, Job, Jobs
from gateway.protect import scopes
from gateway.store import Transaction

BATCH: Final = 100
TOLD: Final = "OperationOutcome-1.ndjson"

Submit = Callable[[Callable[[Transaction], Any]], Future[Any]]
Line = tuple[int, bytes]


@dataclass(slots=True)
class State:
    """How far an import is: in which round, where in its file, and how much it wrote of others.

    ``told`` and ``left`` are the lengths of the files of errors and of lines for the next round;
    ``solved`` counts what this round wrote; ``final`` is the round that tells of what is left.
    """

    round: int = 0
    offset: int = 0
    line: int = 0
    told: int = 0
    left: int = 0
    solved: int = 0
    refused: int = 0
    final: bool = False
    counts: dict[str, int] = field(default_factory=dict)


class Importing:
    """Starts and runs imports."""

    def __init__(self, hall: Hall, jobs: Jobs, submit: Submit, longest: int) -> None:
        self._hall = hall
        self._jobs = jobs
        self._submit = submit
        self._longest = longest

    def start(self, context: Context, body: Path, request: str) -> Job:
        """A job over a file of lines, which becomes the job's own.

        Raises TooMany; Denied: to a victim service provider, whose clients' records would lie in
        the file.
        """
        if context.agency in self._hall.members.confidential:
            raise Denied("a victim service provider imports nothing in bulk")
        return self._jobs.start(context, "import", request, asdict(State()), {"input": body})

    def run(self, job: Job) -> Iterator[None]:
        """Do a job, a batch at a time. It ends with the job."""
        folder = self._jobs.folder(job.id)
        state = State(**{**job.asked, "counts": dict(job.asked["counts"])})
        while True:
            for _ in self._round(job, folder, state):
                if not folder.is_dir():
                    return
                job = self._kept(job, state)
                yield
            if state.left == 0:
                break
            # A round that solved nothing is followed by one that says so, line by line.
            final = state.round > 0 and state.solved == 0
            state.round, state.offset, state.line, state.left = state.round + 1, 0, 0, 0
            state.solved, state.final = 0, final
            job = self._kept(job, state)
        told = (File("OperationOutcome", TOLD, state.refused),) if state.refused else ()
        job = replace(job, errors=told)
        self._jobs.save(job)
        self._jobs.end(job, "completed")

    def _kept(self, job: Job, state: State) -> Job:
        done = sum(state.counts.values())
        told = f"{done} written, {state.refused} refused"
        job = replace(job, asked=asdict(state), progress=told)
        self._jobs.save(job)
        return job

    def _round(self, job: Job, folder: Path, state: State) -> Iterator[None]:
        source = folder / (f"left-{state.round}" if state.round else "input")
        with (
            source.open("rb") as file,
            _grown(folder / TOLD, state.told) as told,
            _grown(folder / f"left-{state.round + 1}", state.left) as left,
        ):
            file.seek(state.offset)
            while lines := self._read(file, state, told):
                for number, raw, error in self._written(job, lines, state):
                    if not state.final and error.issues[0].code == "not-found":
                        left.write(b"%d\t%s\n" % (number, raw))
                    else:
                        told.write(_outcome(number, error))
                        state.refused += 1
                for one in (told, left):
                    one.flush()
                    os.fsync(one.fileno())
                state.told, state.left = told.tell(), left.tell()
                state.offset = file.tell()
                yield

    def _read(self, file: BinaryIO, state: State, told: BinaryIO) -> list[Line]:
        """The next lines; one that is too long is told of, and left out."""
        found: list[Line] = []
        while len(found) < BATCH and (raw := file.readline(self._longest + 1)):
            state.line += 1
            number = state.line
            if state.round:
                head, _, raw = raw.partition(b"\t")
                number = int(head)
            if len(raw) > self._longest and not raw.endswith(b"\n"):
                while (rest := file.readline(self._longest)) and not rest.endswith(b"\n"):
                    pass
                error = InvalidResource("the line is too long", code="too-long")
                told.write(_outcome(number, error))
                state.refused += 1
            elif raw.strip():
                found.append((number, raw.rstrip(b"\r\n")))
        return found

    def _written(
        self, job: Job, lines: list[Line], state: State
    ) -> Iterator[tuple[int, bytes, GatewayError]]:
        """Write lines; those that are refused, with the reason."""
        changes: list[tuple[Line, Change]] = []
        for line in lines:
            try:
                changes.append((line, _change(job, line)))
            except GatewayError as error:
                yield (*line, error)
        for (number, raw), type, refusal in self._tried(job.context, changes):
            if refusal is not None:
                yield number, raw, refusal
            else:
                state.counts[type] = state.counts.get(type, 0) + 1
                state.solved += 1

    def _tried(
        self, context: Context, changes: list[tuple[Line, Change]]
    ) -> list[tuple[Line, str, GatewayError | None]]:
        """All at once, or else each alone, in one transaction."""

        def unit(tx: Transaction) -> list[tuple[Line, str, GatewayError | None]]:
            together = self._admitted(tx, context, [change for _, change in changes])
            if together is None:
                return [(line, change.type, None) for line, change in changes]
            return [
                (line, change.type, self._admitted(tx, context, [change]))
                for line, change in changes
            ]

        found: list[tuple[Line, str, GatewayError | None]] = self._submit(unit).result()
        return found

    def _admitted(
        self, tx: Transaction, context: Context, changes: list[Change]
    ) -> GatewayError | None:
        try:
            with tx.savepoint():
                for each in admit(self._hall, tx, context, changes, trusted=False):
                    tx.audit(context, each.change or "unchanged", each.reference)
        except GatewayError as error:
            if error.status >= 500:
                raise
            return error
        return None


def _change(job: Job, line: Line) -> Change:
    """What a line asks for. Raises InvalidResource, Denied."""
    number, raw = line
    resource = gates.check(json.loads(raw))
    for letter in ("c", "u"):
        scopes.require(job.context, resource["resourceType"], letter)
    minted = "id" not in resource
    if minted:
        resource = ValidResource({**resource, "id": str(uuid5(UUID(job.id), str(number)))})
    return Change(resource, minted=minted)


def _outcome(number: int, error: GatewayError) -> bytes:
    """The line that tells of a line: its number first, for there is no other name for it."""
    issues = [Issue(f"line {number}: {one.text}", one.place, one.code) for one in error.issues]
    return json.dumps(outcome(issues)) + b"\n"


def _grown(path: Path, length: int) -> BinaryIO:
    """A file to append to, cut to what is known to be right."""
    file = path.open("ab")
    file.truncate(length)
    return file
