"""Bytes come in and are answered: the rim on which HL7 v2 senders knock.

``mllp`` listens, ``framing`` cuts the stream into messages, ``ack`` peeks at a header and words
the answer. What a message means, and whether it is kept, others decide.
"""
