"""The way out: from a version in the log to a delivery that somebody acknowledged.

following  which events concern a subscriber
drains     one pass for one subscriber, in order; handshakes and heartbeats
reading    the log read on, and what is due
notifying  what goes out, made when it is about to go; rights are asked again here
letters    what an e-mail says
attempts   one attempt, and what is noted of it
noting     notes of what was taken, written together
together   what many drains ask of the hub at once
standing   a subscription's status as it changes by itself
leases     one drain at a time over all processes
binding    sockets bound to subscriptions
dispatch   the keeper's view: set aside, replayed, explained
"""
