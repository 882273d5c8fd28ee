"""``/metrics`` for Prometheus: text format 0.0.4, or OpenMetrics 1.0 where the scraper asks for it.

Who may read: an admin, a key that is good for nothing else (``gateway key create --metrics``), or
anybody where ``GATEWAY_METRICS_PUBLIC`` says so. There is no person in it, but who belongs and how
much each sends is the community's own affair.
"""

from __future__ import annotations

from typing import Final, cast

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response

from gateway.api.endpoint import Call, Docs, Endpoint
from gateway.protect.policy import Policy

_TEXT: Final = "text/plain"
_EXAMPLE: Final = """\
# HELP gateway_writes_stored_total The same units of work, where their transaction is on disk.
# TYPE gateway_writes_stored_total counter
gateway_writes_stored_total 1042.0
"""


async def metrics(call: Call) -> Response:
    """What this process counted and how the hub stands."""
    encode, kind = choose_encoder(call.request.headers.get("accept", ""))
    # It asks for no more of a registry than that it collects.
    source = cast(CollectorRegistry, call.api.pipeline.vitals)
    body = await call.read(lambda: encode(source))
    return Response(body, headers={"content-type": kind})


METRICS = (
    Endpoint(
        "metrics",
        "GET",
        "/metrics",
        Policy.METRICS,
        metrics,
        Docs(
            "Health",
            "How it goes, in numbers",
            "For Prometheus: text, or OpenMetrics by Accept. No number is about a person. Needs an "
            "admin's key or one of `gateway key create --metrics`, unless "
            "`GATEWAY_METRICS_PUBLIC` opens it.",
            response={_TEXT: {"A counter": _EXAMPLE}},
        ),
        "probe",
    ),
)
