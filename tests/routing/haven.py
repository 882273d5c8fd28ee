"""A hub with a clinic, a pantry, and a haven that hides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.fhir import json
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import open_hub
from tests.routing import county
from tests.shipped import library

CLINIC, HAVEN, PANTRY = (Context(each, "test") for each in ("clinic", "haven", "pantry"))
KEEPER = Context("hub", "test", admin=True)
NOBODY = {"resourceType": "Patient", "identifier": [{"system": "urn:haven", "value": "heron"}]}
SOMEBODY = {name: value for name, value in county.patient().items() if name != "id"}


@contextmanager
def opened(folder: Path) -> Iterator[Pipeline]:
    """A pipeline over a hub of its own."""
    store = open_hub(f"sqlite:///{folder / 'hub.sqlite'}")
    pipeline = Pipeline(store, library(), Settings(data_dir=folder), as_message)
    for agency in ("clinic", "pantry"):
        pipeline.add_agency(agency, None)
    county.hide(pipeline.members, "haven", folder)
    yield pipeline
    store.close()


def request(**more: Any) -> dict[str, Any]:
    """A request without an id."""
    return {name: value for name, value in county.request(**more).items() if name != "id"}


def create(hub: Pipeline, context: Context, resource: dict[str, Any]) -> str:
    """The reference to what was made."""
    raw = json.dumps(resource)
    done = hub.create(context, resource["resourceType"], raw).result()
    assert done.stored is not None
    return done.stored.reference


def read(hub: Pipeline, context: Context, reference: str) -> Any:
    type, _, id = reference.partition("/")
    return json.loads(hub.read(context, type, id).body)


def change(hub: Pipeline, context: Context, reference: str, **more: Any) -> None:
    type, _, id = reference.partition("/")
    now = {**read(hub, context, reference), **more}
    hub.update(context, type, id, json.dumps(now)).result()


def refer(
    hub: Pipeline,
    context: Context,
    to: str,
    who: dict[str, Any] | str,
    *,
    request: dict[str, Any] | None = None,
    task: dict[str, Any] | None = None,
    **subject: str,
) -> str:
    """Make a patient (or take the one named), a request and a Task for another agency; the Task.

    ``request`` and ``task`` say more of each; ``subject`` of the link to the patient.
    """
    patient = who if isinstance(who, str) else create(hub, context, who)
    link = {"reference": patient + subject.pop("version", ""), **subject}
    asked = county.request(**{"subject": link, **(request or {})})
    del asked["id"]
    return create(
        hub,
        context,
        {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "focus": {"reference": create(hub, context, asked)},
            "for": link,
            "requester": {"reference": context.organization},
            "owner": {"reference": f"Organization/{to}"},
            **(task or {}),
        },
    )
