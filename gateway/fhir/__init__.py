"""FHIR R4 (4.0.1): definitions as data, the gates, JSON to the digit, search, references.

Pure: no I/O beyond reading the definitions, which ``definitions/build.py`` made from HL7's own.
Only here is a ``ValidResource`` made (``gates.check``), and only here fhir.resources is known.
"""
