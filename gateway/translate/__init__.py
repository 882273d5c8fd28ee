"""The mapping language: maps loaded, checked and compiled; Records made into FHIR R4 resources.

The guide is ``mappings/README.md``. A map's way is ``source`` (YAML with places), ``maps`` (which
file is in force), ``rules``, ``verbs`` and ``resources`` (checked against R4), ``plans`` (by
event); ``library`` holds the whole and translates. Each resource and data type becomes a Python
function of its own, written by its rules (``code``) and compiled when it is first called;
``elements`` fills a resource, ``making`` makes all that a map makes. ``include`` puts parts into
message maps. ``feeds`` and ``records`` are the same for rows and JSON (``columns``, ``queries``:
their paths), and ``rows`` translates them. What a data type map made of the same text before isn't
made again (``memory``). ``coverage`` counts what messages held and no rule read.
"""

from gateway.translate.agency import is_agency_id
from gateway.translate.coverage import Coverage, Held
from gateway.translate.feeds import Feed, File
from gateway.translate.ids import identity
from gateway.translate.library import Library, load, translate
from gateway.translate.merge import merge
from gateway.translate.records import Lookup, RecordPlan
from gateway.translate.rows import Rows

__all__ = [
    "Coverage",
    "Feed",
    "File",
    "Held",
    "Library",
    "Lookup",
    "RecordPlan",
    "Rows",
    "identity",
    "is_agency_id",
    "load",
    "merge",
    "translate",
]
