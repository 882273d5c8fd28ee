"""A shelter without a system: a referral to it, its mails, and the gateway that it reaches."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from gateway.model import MAILED, Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import Hub
from tests.deliver.sinks import Mailbox
from tests.shipped import library

CLINIC = Context("clinic", "test")
HARBOR = Context("harbor", "test")
CANARY = "Zephyrine <b>Quux</b>"
PHONE = "319-555-0142"


def opened(hub: Hub, folder: Path, smtp_port: int, *, confidential: bool = False) -> Pipeline:
    """A clinic that speaks FHIR, and a shelter that has an e-mail address alone."""
    said = "victim-service-provider: true\n" if confidential else ""
    (folder / "agency.yaml").write_text(
        "agency: harbor\nname: Harbor Shelter\nhears-by: {email: intake@harbor.example}\n" + said
    )
    settings = Settings(
        smtp_host="127.0.0.1",
        smtp_port=smtp_port,
        smtp_security="none",
        smtp_from="gateway@county.example",
        public_url="https://gateway.example",
    )
    pipeline = Pipeline(hub, library(), settings, as_message)
    pipeline.add_agency("clinic", None, "Riverside Clinic")
    pipeline.add_agency("harbor", folder)
    return pipeline


def make(pipeline: Pipeline, resource: dict[str, Any], context: Context = CLINIC) -> str:
    """Its reference."""
    done = pipeline.create(context, resource["resourceType"], json.dumps(resource).encode())
    stored = done.result().stored
    assert stored is not None
    return stored.reference


SOMEBODY = {
    "name": [{"text": CANARY}],
    "birthDate": "1988-04-01",
    "telecom": [{"system": "phone", "value": PHONE}],
}
PSEUDONYM = {"name": [{"use": "anonymous", "text": "P-7"}]}


def refer(pipeline: Pipeline, person: dict[str, Any] = SOMEBODY, **request: Any) -> str:
    """A referral of somebody by the clinic to the shelter: its Task."""
    who = make(pipeline, {"resourceType": "Patient", **person})
    asked = make(
        pipeline,
        {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "code": {"text": "A bed for the night"},
            "subject": {"reference": who},
            **request,
        },
    )
    return make(
        pipeline,
        {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "code": {"coding": [{"system": FULFIL, "code": "fulfill"}]},
            "focus": {"reference": asked},
            "for": {"reference": who},
            "authoredOn": "2026-03-02T15:00:00Z",
            "requester": {"reference": CLINIC.organization},
            "owner": {"reference": HARBOR.organization},
        },
    )


FULFIL = "http://hl7.org/fhir/CodeSystem/task-code"


def read(pipeline: Pipeline, reference: str, context: Context = CLINIC) -> Any:
    type, _, id = reference.partition("/")
    return json.loads(pipeline.read(context, type, id).body)


@dataclass
class Mails:
    """The shelter's mails, one after another."""

    pipeline: Pipeline
    box: Mailbox

    async def newest(self) -> str:
        """The path of the newest mail's link; the mail tells nothing of a person."""
        before = len(self.box.mails)
        await self.pipeline.drain(f"{MAILED}harbor")
        assert len(self.box.mails) == before + 1, "one mail"
        mail = message_from_bytes(self.box.mails[-1][2], policy=default)
        assert isinstance(mail, EmailMessage)
        text = f"{mail['subject']}\n{mail.get_content()}"
        assert "Zephyrine" not in text
        assert "bed" not in text.partition("/light/")[0]
        found = re.search(r"https://gateway\.example(/light/\S+)", text)
        assert found, text
        return found.group(1)
