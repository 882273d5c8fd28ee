"""The hub as SDOH Clinical Care 3.0's Coordination Platform: the indirect flow, and its timers.

A referral that nobody owns is the hub's to place. For each agency that it asks it makes a child
ServiceRequest (``filler-order``, basedOn) and a child Task (partOf); a refusal asks the next one;
the asker's own Task tells throughout what came of it (`referral-protocol.md`, sections 3 and 5).

    nouns       what the resources are called, and whose
    children    the child ServiceRequest and Task of one hop (pure)
    parent      what the asker's Task says, by how its parts stand (pure)
    flow        one part after another: whom to ask, what a decision leads to
    permitted   whether who is named may be asked
    following   a child's answer, the asker's withdrawal, the navigator's word
    navigator   the queue of what nobody takes, and the ledger of unmet needs
    ledger      the ledger, read and counted
    waitlist    Lists, woken when a place opens
    timers      what is due, done once, whatever crashed in between
"""
