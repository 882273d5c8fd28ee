"""The API's own pages, offline: ``/openapi.json`` and ``/docs`` (Swagger UI, vendored, Apache-2.0).

Nothing is loaded from elsewhere, and the page's Content-Security-Policy keeps it so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.responses import FileResponse, Response

from gateway.api.endpoint import Call, Docs, Endpoint
from gateway.api.refusals import UnknownPath
from gateway.protect.policy import Policy

STATIC: Final = Path(__file__).parent / "static"
_FILES: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "start.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_SAFE: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


async def docs_page(call: Call) -> Response:
    """The page."""
    return FileResponse(STATIC / "docs.html", headers=_SAFE, media_type="text/html")


async def docs_file(call: Call) -> Response:
    """One of the page's files: a fixed few, so that no path leads out of the folder."""
    name = call.path("file")
    if name not in _FILES:
        raise UnknownPath("no such file", place="file")
    return FileResponse(STATIC / name, headers=_SAFE, media_type=_FILES[name])


async def openapi_json(call: Call) -> Response:
    """The document that ``gateway openapi`` prints."""
    return Response(call.request.app.state.openapi, media_type="application/json")


DOCS = (
    Endpoint("docs_page", "GET", "/docs", Policy.PUBLIC, docs_page, Docs("", "")),
    Endpoint("docs_file", "GET", "/docs/{file}", Policy.PUBLIC, docs_file, Docs("", "")),
    Endpoint("openapi_json", "GET", "/openapi.json", Policy.PUBLIC, openapi_json, Docs("", "")),
)
