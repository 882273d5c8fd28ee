"""An HL7 v2 message's journey from its bytes to its answer, and what may happen to it later.

meaning        what it says, worked out without the hub: parsed, translated, made ready
understanding  that, in processes beside the writer's
intake         taken in one unit: what it led to, or why it failed
entering       what it led to, written
sequence       whose turn it is on a numbered link (MSH-13)
asking         a status query, answered in the place of its ACK
unmapped       codes that tables lack: who is asked, what waits
replays        tried again: by hand, and what waited by itself
"""
