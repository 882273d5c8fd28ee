"""What can go wrong, a class a stage.

Every refusal names a *place* (``PID-5.1``, ``Client.csv:12:DOB``, ``Task.status``) and never a
value. One error serves three readers: the sender's ACK (ERR-3 by ``condition``, HL7 table 0357),
an OperationOutcome (``issue``, FHIR issue-type, and ``status``, HTTP) and the log (``log``).
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, Literal, Self

Severity = Literal["fatal", "error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding: a text without values, the place that it is about, and its codes.

    ``code`` is from FHIR's issue-type, ``condition`` from HL7 table 0357 ("207": internal error).
    """

    text: str
    place: str | None = None
    code: str = "processing"
    condition: str = "207"
    severity: Severity = "error"


@dataclass(frozen=True, slots=True)
class Lack:
    """A code that a table lacks, and where it stood; ``system`` is what it said of itself (CWE.3).

    The code is what a sender wrote: whoever keeps the table may see it, and no text or log.
    """

    table: str
    code: str = field(repr=False)
    system: str = field(repr=False)
    place: str


UNSUPPORTED: Final = frozenset({"200", "201", "202", "203"})
"""HL7 table 0357: message type, event code, processing id and version that aren't supported."""


class GatewayError(Exception):
    """The root. ``issues`` holds one or more findings, the first of which names the error."""

    stage: ClassVar[str] = "gateway"
    code: ClassVar[str] = "processing"
    condition: ClassVar[str] = "207"
    status: ClassVar[int] = 500
    rejects: ClassVar[bool] = False

    def __init__(
        self,
        text: str,
        *,
        place: str | None = None,
        code: str | None = None,
        condition: str | None = None,
        more: Iterable[Issue] = (),
    ) -> None:
        super().__init__(text)
        first = Issue(text, place, code or self.code, condition or self.condition)
        self.issues: tuple[Issue, ...] = (first, *more)

    @property
    def acknowledgement(self) -> Literal["AE", "AR"]:
        """HL7 v2.8.2 §2.9.2: AR for what isn't for us (its type, version or sender), else AE."""
        return "AR" if self.rejects or self.issues[0].condition in UNSUPPORTED else "AE"

    @property
    def place(self) -> str | None:
        """Where the first finding is."""
        return self.issues[0].place

    def moved(self, place: str, *, instead: str = "") -> Self:
        """The same error of a resource that stands at ``place``: ``Task.status`` is there now
        ``Bundle.entry[3].resource.status``. ``instead`` is where it seemed to stand (else: alone).
        """
        moved = copy(self)
        places = (_under(place, each.place or "", instead) for each in self.issues)
        moved.issues = tuple(
            replace(each, place=where) for each, where in zip(self.issues, places, strict=True)
        )
        return moved

    def log(self) -> dict[str, str | None]:
        """The fields of a log line: stage, kind, place and code. Never a value."""
        first = self.issues[0]
        return {
            "stage": self.stage,
            "error": type(self).__name__,
            "place": first.place,
            "code": first.code,
        }


def _under(place: str, inner: str, instead: str) -> str:
    """A path behind another, without what it begins with: its type, or ``instead``."""
    if instead and inner.startswith(instead):
        return place + inner.removeprefix(instead)
    rest = inner.partition(".")[2]
    return f"{place}.{rest}" if rest else place


class Internal(GatewayError):
    """A fault of ours. Its text says the kind of the exception, and nothing that it said."""

    stage = "store"
    code = "exception"

    def __init__(self, fault: BaseException) -> None:
        super().__init__(f"an internal error: {type(fault).__name__}", place="MSH")


class SettingError(GatewayError):
    """A setting, an agency's folder or a command's argument is unusable."""

    stage = "settings"
    code = "invalid"
    status = 500


class ReceiveError(GatewayError):
    """Bytes that are no message, or from nobody we know. Answered AR or 4xx."""

    stage = "receive"
    code = "invalid"
    condition = "100"
    status = 400
    rejects = True


class SequenceError(GatewayError):
    """A message out of its turn (MSH-13). Answered AE or CE, with the number that is expected."""

    stage = "receive"
    code = "conflict"
    status = 409


class ParseError(GatewayError):
    """A message or file that can't be taken apart."""

    stage = "parse"
    code = "structure"
    condition = "100"
    status = 400


class MapError(GatewayError):
    """A map that can't be loaded; ``place`` is file:line. Raised at load, never on the wire."""

    stage = "translate"
    code = "invalid"


class TranslateError(GatewayError):
    """A record that its map refuses: a missing key, a code that a required binding lacks.

    ``lacks`` are the codes that its tables lacked and somebody is to be asked about.
    """

    stage = "translate"
    code = "value"
    condition = "102"
    status = 422
    lacks: tuple[Lack, ...] = ()


class Refused(GatewayError):
    """A record that its map says may not go in. ``keeps``: it is kept, with the reason."""

    stage = "protect"
    code = "business-rule"
    status = 422

    def __init__(self, text: str, *, place: str | None = None, keeps: bool = True) -> None:
        super().__init__(text, place=place)
        self.keeps = keeps


class IdentifyError(GatewayError):
    """Records of persons that can't be joined as a message asks."""

    stage = "identify"
    code = "duplicate"
    condition = "205"
    status = 422


class InvalidResource(GatewayError):
    """A resource that isn't R4: gate 1 (schema), gate 2 (models) or a rule on top."""

    stage = "store"
    code = "invalid"
    condition = "102"
    status = 400


class InvalidParameter(InvalidResource):
    """A SearchParameter that no search here can be made of."""

    status = 422


class PatchError(GatewayError):
    """A patch that is understood and can't be applied to the resource as it stands."""

    stage = "store"
    code = "processing"
    status = 422


class InvalidSearch(GatewayError):
    """A search parameter, modifier or prefix that isn't one. ``place`` is the parameter."""

    stage = "store"
    code = "not-supported"
    status = 400


class Denied(GatewayError):
    """A caller without the right. Never says whether the thing exists."""

    stage = "protect"
    code = "forbidden"
    status = 403
    rejects = True


class Throttled(GatewayError):
    """An agency that asks more than its share: 429, try again after ``again`` seconds."""

    stage = "protect"
    code = "throttled"
    status = 429

    def __init__(self, text: str, again: float) -> None:
        super().__init__(text)
        self.again = again


class Unauthenticated(Denied):
    """A caller without a valid key."""

    code = "login"
    status = 401


class StoreError(GatewayError):
    """The hub refuses."""

    stage = "store"
    status = 500


class Unavailable(StoreError):
    """The disk or the database can't take it now: 503, try again."""

    code = "transient"
    status = 503


_REFUSED: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})


@contextmanager
def on_disk() -> Iterator[None]:
    """What a full or failing disk refuses comes out as ``Unavailable``: no fault of ours."""
    try:
        yield
    except OSError as error:
        if error.errno in _REFUSED:
            raise Unavailable("the disk can't take it now") from None
        raise


class Full(Unavailable):
    """The gateway has as much in hand as it can hold: 503, try again."""

    code = "throttled"


class Cut(Unavailable):
    """A load that was ended before its time: what went in stays, and the rest may be sent again."""


class NotFound(StoreError):
    """No such resource, or none that this caller may know of: the two are one answer."""

    code = "not-found"
    condition = "204"
    status = 404


class Gone(StoreError):
    """It was here and was deleted."""

    code = "deleted"
    condition = "204"
    status = 410


class Conflict(StoreError):
    """Another write came first, or what is referred to is not there."""

    code = "conflict"
    condition = "206"
    status = 409


class PreconditionFailed(StoreError):
    """If-Match or a conditional criterion doesn't hold."""

    code = "conflict"
    status = 412


class RouteError(GatewayError):
    """A referral for which no rule gives an answer."""

    stage = "route"
    code = "business-rule"
    status = 422


class DeliverError(GatewayError):
    """An endpoint that can't be reached, refuses, or may not be called."""

    stage = "deliver"
    code = "transient"
    status = 502


class CloseError(GatewayError):
    """A move that the referral's state machine doesn't know: 409."""

    stage = "close"
    code = "business-rule"
    status = 409
