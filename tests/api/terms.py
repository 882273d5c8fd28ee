"""Resources that the terminology operations' documented examples hold for."""

from __future__ import annotations

from typing import Any, Final

TERMS: Final[tuple[dict[str, Any], ...]] = (
    {
        "resourceType": "CodeSystem",
        "status": "active",
        "content": "complete",
        "url": "http://cedar.example/roles",
        "concept": [{"code": "PRN", "concept": [{"code": "MTH"}]}, {"code": "female"}],
    },
    {
        "resourceType": "ValueSet",
        "status": "active",
        "compose": {
            "include": [{"system": "http://cedar.example/roles", "concept": [{"code": "female"}]}]
        },
    },
    {"resourceType": "ConceptMap", "status": "active"},
)
