"""What the hub itself offers everybody to read: its SubscriptionTopics, as R4 holds them."""

from __future__ import annotations

from gateway.fhir import gates
from gateway.fhir.search import parse_query
from gateway.fhir.topic_basic import TYPES, basic
from gateway.fhir.topics import Topics
from gateway.members import KEEPER
from gateway.model import Grant
from gateway.store import Transaction


def offer(tx: Transaction, topics: Topics) -> None:
    """Write the Basics of the topics in force, and take away those of others."""
    asked = [("code", f"{TYPES}|SubscriptionTopic"), ("_count", "1000"), ("_total", "none")]
    page = tx.search(KEEPER, parse_query("Basic", asked))
    left = {each.id for each in page.entries if each.owner == KEEPER.agency}
    for topic in topics.values():
        made = gates.check(basic(topic.source), type="Basic")
        left.discard(made["id"])
        written = tx.put(KEEPER, made, interaction="update")
        tx.grant(Grant(written.reference, "*", written.reference))
    for id in left:
        tx.delete(KEEPER, "Basic", id)
