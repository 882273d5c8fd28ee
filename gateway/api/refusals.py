"""What HTTP itself can get wrong, before any stage is reached. RFC 9110; FHIR R4 http.html."""

from __future__ import annotations

from gateway.errors import GatewayError


class RequestError(GatewayError):
    """A request that can't be understood: 400."""

    stage = "api"
    code = "invalid"
    status = 400


class UnknownPath(RequestError):
    """No such route or resource type: 404."""

    code = "not-found"
    status = 404


class WrongMethod(RequestError):
    """The route doesn't know the method: 405, with ``Allow``."""

    code = "not-supported"
    status = 405


class NotAcceptable(RequestError):
    """No answer in a format that the client accepts: 406."""

    code = "not-supported"
    status = 406


class TooSlow(RequestError):
    """The client left, or its body came too slowly: 408."""

    code = "timeout"
    status = 408


class TooLarge(RequestError):
    """A body above the limit: 413."""

    code = "too-long"
    status = 413


class WrongMedia(RequestError):
    """A body in a format or encoding that isn't read here: 415."""

    code = "not-supported"
    status = 415


class Unexpected(GatewayError):
    """Our own fault: 500. What happened stands in the log, not in the answer."""

    stage = "api"
    code = "exception"
    status = 500
