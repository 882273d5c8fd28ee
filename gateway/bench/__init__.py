"""The bench: what whoever makes a map wants to know of it.

``draft`` begins a map from a sample, ``check`` tells whether the maps load, ``trials`` whether
samples become what is expected, ``explained`` where an element came from, ``coverage`` what no rule
read, and ``Bench`` asks of what a hub keeps, too: what would come out otherwise. Each result has a
form for programs (``as_json``) and one for people (``tables``), in its own module. Nothing here
shows a value of a record unless it is asked to.
"""

from gateway.bench.at_hub import Bench
from gateway.bench.checking import check
from gateway.bench.counting import coverage
from gateway.bench.drafting import draft, write
from gateway.bench.explaining import asked, explained, explained_rows
from gateway.bench.sources import agency, messages_in, messages_of, owner, samples, with_folders
from gateway.bench.trying import bless, trials
from gateway.bench.unread import columns

__all__ = [
    "Bench",
    "agency",
    "asked",
    "bless",
    "check",
    "columns",
    "coverage",
    "draft",
    "explained",
    "explained_rows",
    "messages_in",
    "messages_of",
    "owner",
    "samples",
    "trials",
    "with_folders",
    "write",
]
