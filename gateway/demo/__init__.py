"""Cedar County: simulated agencies that speak real protocols over real sockets.

Nothing here reaches into the gateway: a clinic is an MLLP client and listener, a partner a FHIR
client and rest-hook receiver, volunteers have e-mail and a browser, and what they know of a
referral they were told on the wire (`reference/referral-protocol.md`, section 5). All people are
invented.
"""
