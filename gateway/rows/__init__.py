"""Rows of CSV files and JSON records, from files to what they mean; nothing here writes to the hub.

came       the files of a load: one, several, a folder, an archive
records    a file's records in order, each with its map
staging    what lookups need of a load's files, in an index on disk
joins      lookups answered: of the load, and of what was kept
dry        a load without a hub: what its rows become
"""

from gateway.rows.came import Came, gathered, lying
from gateway.rows.dry import Made, read
from gateway.rows.joins import Joins, Kept
from gateway.rows.records import MARK, MASK, Before, Record, Records, counted, header_names
from gateway.rows.staging import Staged, Staging, name_of

__all__ = [
    "MARK",
    "MASK",
    "Before",
    "Came",
    "Joins",
    "Kept",
    "Made",
    "Record",
    "Records",
    "Staged",
    "Staging",
    "counted",
    "gathered",
    "header_names",
    "lying",
    "name_of",
    "read",
]
