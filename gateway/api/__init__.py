"""The HTTP side: FHIR under ``/fhir``, HL7 v2 under ``/intake``, health, and its own documents.

interactions   the FHIR interactions, a row each; intake, admin, health and docs have theirs
endpoint       the door before every row: policy, key, the answer to every error
requests       what a request says; refusals, what is wrong with it; answers, bytes out
reading        read, vread, history, search; writing: create, update, transaction
operation      a FHIR operation: its routes and documents; operations, a file each
parameters     what an operation is given; bulk, what follows $export and $import
openapi        the document, from the rows; examples are its examples
application    all of it as one ASGI application
deadline       slow clients, cut
websocket      the socket that notifications go out on
"""

from gateway.api.application import build_api
from gateway.api.endpoint import TakeIn
from gateway.api.openapi import openapi_document, openapi_text

__all__ = ["TakeIn", "build_api", "openapi_document", "openapi_text"]
