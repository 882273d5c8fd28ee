"""Which agency gets the referral: the directory of members, and the choice among their services.

``decide`` is the whole of it, over values alone:

    facts      what routing goes by, and what it says: Referral, Candidate, Verdict, Decision
    gates      what ends the matter: need, consent, agreement, bar list, pseudonym
    fit        whether a service suits the person: area, age, insurance, language, hours
    concepts   coverage, accessibility and documents, as both sides code them
    capacity   whether it has room, how long its word counts, and how it is told
    choice     who is asked, and in which order the others stand
    places     ZIP, county, state, circles and shapes
    services   HealthcareService and Location to Candidate
    requests   ServiceRequest, Patient and Consent to Referral (needs: what a diagnosis tells)
    pseudonym  what tells who a person is, to or from a victim service provider
    timing     when who was asked must have answered
    decision   a Decision as JSON, kept and shown
    directory  the members by every name that they go by
    referral   a Task's owner, where the request names a member
"""

from __future__ import annotations

from gateway.route.choice import HOPS, decide
from gateway.route.facts import Candidate, Decision, Referral, Verdict

__all__ = ["HOPS", "Candidate", "Decision", "Referral", "Verdict", "decide"]
