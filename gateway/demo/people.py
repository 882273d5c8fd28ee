"""The people of Cedar County. All are invented; ZIP codes are those of `referral-protocol.md`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Person:
    """A patient as a clinic registers one; the fields are the names in ``templates``."""

    mrn: str
    family: str
    given: str
    birth: str
    sex: str
    street: str
    city: str
    zip: str
    phone: str

    @property
    def name(self) -> str:
        """Given and family name."""
        return f"{self.given} {self.family}"

    def values(self) -> dict[str, str]:
        """What a template is filled with."""
        return asdict(self)


_REGISTER: Final = """\
710001|Quillfeather|Marisol|19790412|F|12 Elm St|Iowa City|52240|5550111
710002|Brightwater|Desmond|19640923|M|3 Oak Ave|Burlington|52601|5550112
710003|Thistlewood|Ines|19880130|F|77 Mill Rd|Clinton|52732|5550113
710004|Ashgrove|Tobias|19551107|M|9 Pine Ct|Iowa City|52240|5550114
710005|Lanternby|Noor|19960618|F|41 River Dr|Burlington|52601|5550115
710006|Fernhollow|Emeka|19720203|M|8 Hill St|Clinton|52732|5550116
710007|Silverbrook|Yuki|20010815|O|160 Lake Rd|Iowa City|52240|5550117
710008|Marlowe-Finch|Rosa|19430527|F|25 Depot St|Burlington|52601|5550118
710009|Winterbourne|Kofi|19820316|M|14 Orchard Rd|Clinton|52732|5550119
710010|Applegarth|Sunniva|19910711|F|6 Canal St|Iowa City|52240|5550120
710011|Hollowell|Mateo|19780902|M|52 Prairie Ln|Burlington|52601|5550121
710012|Larkspur|Adaeze|20030129|F|19 Church St|Clinton|52732|5550122
710013|Vesperfield|Anselm|19690617|M|30 Ferry Rd|Iowa City|52240|5550123
710014|Oakenshaw|Leilani|19851109|F|11 Bluff St|Burlington|52601|5550124
"""

PEOPLE: Final = tuple(Person(*line.split("|")) for line in _REGISTER.splitlines())
