"""FHIR's operations: a file each, and a line each here. Routes and documents come from the table.

To add one, write its file (an ``Operation``) and its line.
"""

from __future__ import annotations

from typing import Final

from gateway.api.endpoint import Endpoint
from gateway.api.operation import Operation
from gateway.api.operations.bulk_import import IMPORT
from gateway.api.operations.capacity import CAPACITY
from gateway.api.operations.convert import CONVERT
from gateway.api.operations.decisions import DECISIONS
from gateway.api.operations.everything import EVERYTHING
from gateway.api.operations.expand import EXPAND
from gateway.api.operations.export import EXPORT, GROUP_EXPORT, PATIENT_EXPORT
from gateway.api.operations.get_ws_binding_token import GET_WS_BINDING_TOKEN
from gateway.api.operations.lookup import LOOKUP
from gateway.api.operations.match import MATCH
from gateway.api.operations.meta import META, META_ADD, META_DELETE
from gateway.api.operations.purge import PURGE
from gateway.api.operations.reindex import REINDEX
from gateway.api.operations.resend import RESEND
from gateway.api.operations.route import ROUTE
from gateway.api.operations.subscription_events import EVENTS
from gateway.api.operations.subscription_status import STATUS
from gateway.api.operations.subsumes import SUBSUMES
from gateway.api.operations.summary import SUMMARY
from gateway.api.operations.translate import TRANSLATE
from gateway.api.operations.validate import VALIDATE
from gateway.api.operations.validate_code import SET_CODE, SYSTEM_CODE
from gateway.api.operations.versions import VERSIONS

OPERATIONS: Final[tuple[Operation, ...]] = (
    VERSIONS,
    VALIDATE,
    EVERYTHING,
    SUMMARY,
    MATCH,
    META,
    META_ADD,
    META_DELETE,
    CONVERT,
    LOOKUP,
    SUBSUMES,
    SYSTEM_CODE,
    SET_CODE,
    EXPAND,
    TRANSLATE,
    EXPORT,
    PATIENT_EXPORT,
    GROUP_EXPORT,
    IMPORT,
    ROUTE,
    DECISIONS,
    CAPACITY,
    REINDEX,
    PURGE,
    STATUS,
    EVENTS,
    RESEND,
    GET_WS_BINDING_TOKEN,
)

ROWS: Final[tuple[Endpoint, ...]] = tuple(row for one in OPERATIONS for row in one.rows())
