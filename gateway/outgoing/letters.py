"""What an e-mail says: that there is news, and a signed link. Never anything of a person.

An agency that names its address in agency.yaml (``hears-by``) is written to when a referral is
sent to it, when it accepted one (by the link that marks it served) and when one is taken back.
"""

from __future__ import annotations

from typing import Final

from gateway.deliver.email import TEXT
from gateway.deliver.notice import Notice
from gateway.fhir import json
from gateway.model import Context, Delivery, Resource, Stored, Subscriber
from gateway.protect import links
from gateway.protect.links import Link

_NEWS: Final = {
    "requested": "A referral is waiting for your answer.",
    "accepted": "You accepted a referral. When the person was served, say so by this link.",
    "in-progress": "A referral of yours is under way. When the person was served, say so here.",
    "on-hold": "A referral of yours is on hold. When the person was served, say so here.",
    "cancelled": "A referral that was sent to you was taken back.",
    "entered-in-error": "A referral that was sent to you was sent by mistake.",
}


def is_news(before: Resource | None, now: Resource) -> bool:
    """Whether a Task's version is written about: another status, which its owner didn't end by."""
    status = now.get("status")
    return status in _NEWS and (before is None or before.get("status") != status)


class Letters:
    """Words them. ``secret`` signs the links, which lead to ``root`` and are good for ``keep``."""

    def __init__(self, secret: bytes, root: str, keep: float) -> None:
        self._secret = secret
        self._root = root
        self._keep = keep

    def letter(self, told: Subscriber, delivery: Delivery, stored: Stored) -> Notice:
        """The e-mail about one version, as the subscriber's agency may see it."""
        resource = json.loads(stored.body)
        owner = Context(told.agency, told.id).organization
        mine = (resource.get("owner") or {}).get("reference") == owner
        if stored.type == "Task" and mine and resource.get("status") in _NEWS:
            return self._referral(told, delivery, resource)
        lines: tuple[str, ...] = ("Something that you follow has changed.",)
        if told.content != "empty":
            lines += (f"{self._root}/fhir/{stored.reference}",)
        return _notice(delivery, "News", lines)

    def _referral(self, told: Subscriber, delivery: Delivery, task: Resource) -> Notice:
        status = str(task["status"])
        link = Link.make(told.agency, str(task["id"]), self._keep, id=delivery.id)
        token = links.sign(self._secret, link)
        lines = (_NEWS[status], f"{self._root}/light/{token}", *self._hints(link))
        return _notice(delivery, _NEWS[status].partition(".")[0], lines)

    def _hints(self, link: Link) -> tuple[str, ...]:
        return (
            f"The link works until {link.until:%Y-%m-%d} and is for your agency alone: whoever "
            "has it can answer. Please don't pass it on.",
        )


def _notice(delivery: Delivery, title: str, lines: tuple[str, ...]) -> Notice:
    return Notice(delivery.id, "\n\n".join((*lines, "")).encode(), TEXT, title=title)
