"""What FHIR's operations do: a use case a file, over the same hub, rights and rules as the rest.

bulk jobs      what runs in the background, and where its files stand
importing      $import: NDJSON, written line by line
exporting      $export: what the caller may see, as NDJSON
conversion     $convert: a message in FHIR, unstored
everything     $everything: all about a patient that the caller may see
matching       $match: which records are a person's
purging        $purge: a person let go for good (person: what is about them; effacing: a round of
               it; brought: the messages and rows; copies: the files of bulk jobs)
subscriptions  $status, $events, $resend: how a subscription stands, what it was told
routing        $route, $decisions, $capacity: where a referral goes, and why
summarising    $summary: an International Patient Summary
tagging        $meta, $meta-add, $meta-delete
terms          $lookup, $subsumes, $validate-code, $expand, $translate: codes and tables
validation     $validate: what would be said of a write
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from gateway.admission.rules import Hall
from gateway.fhir.profiles import profiles
from gateway.operations.bulk import Bulk
from gateway.operations.conversion import Conversion
from gateway.operations.everything import Everything, Note
from gateway.operations.exporting import Exporting
from gateway.operations.importing import Importing
from gateway.operations.jobs import Jobs
from gateway.operations.matching import Matching
from gateway.operations.purging import Purging
from gateway.operations.routing import Routing
from gateway.operations.subscriptions import Subscriptions
from gateway.operations.summarising import Summarising
from gateway.operations.tagging import Tagging
from gateway.operations.terms import Terms
from gateway.operations.validation import Validation
from gateway.settings import Settings
from gateway.store import Hub, Transaction
from gateway.work import Work

Submit = Callable[[Callable[[Transaction], Any]], Future[Any]]


class Operations:
    """The operations, by what they do."""

    def __init__(
        self,
        hub: Hub,
        hall: Hall,
        settings: Settings,
        submit: Submit,
        note: Note,
        work: Work | None,
    ) -> None:
        wake = work.wake if work is not None else _nobody
        known = profiles(settings.profiles)
        self.everything = Everything(hub, note)
        self.match = Matching(hub, note)
        self.summary = Summarising(hub, note)
        self.meta = Tagging(hub, hall, submit, note)
        self.route = Routing(hub, hall, submit, note)
        self.convert = Conversion(hall.members)
        self.terms = Terms(hall.members, hub)
        self.jobs = Jobs(settings.data_dir, settings.bulk_keep, wake)
        self.export = Exporting(hub, self.jobs, note)
        self.import_ = Importing(hall, self.jobs, submit, settings.message_limit)
        self.purge = Purging(hub, hall.members, self.jobs, submit, wake)
        self.bulk = Bulk(self.jobs, {"export": self.export.run, "import": self.import_.run})
        self.subscriptions = Subscriptions(hub, hall.topics, submit, note, wake)
        self.validate = Validation(hub, hall, known, submit, note)


def _nobody(_: str) -> None:
    """A command's process has no background: what it leaves undone, the next server finds."""
