"""What columns are called in spreadsheets and JSON, in English and Spanish, and what that means.

Names are small words without accents (``guesses.Column.words``); the first that fits counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

ROLE: Final = (
    r"\b(clients?|persons?|participants?|guests?|members?|patients?|customers?|residents?|applicants?"
    r"|cliente|paciente|persona)('?s)? (?=.)"
)
"""Words that only say whose a column is: without them a name is tried again."""

OTHERS: Final = (
    r"(?!emergency).*\b(provider|case ?manager|attorney|lawyer|doctor|physician|worker|staff"
    r"|advocate|opposing|landlord|spouse|mother|father|parent|guardian|insurance|insurer|employer"
    r"|school|race|ethnicity|raza)\b.*"
    r"|(phones?|emails?|address(es)?|contacts?|names?) (type|kind|label|use)"
)
"""Columns of somebody else than the person, or that no element of a person holds."""

_WHOSE: Final = (
    r"(client|person|participant|guest|member|patient|card|household|hh|customer|personal|resident"
    r"|applicant)"
)

NAMED: Final[Sequence[tuple[str, str, str]]] = (
    (r".*\bemergency\b.*\b(phone|number|tel|cell|mobile)\b.*", "contact", "phone"),
    (r".*\bemergency\b.*", "contact", "name"),
    (_WHOSE + r" ?(id|no|nr|number|num|code|#)", "person", "key"),
    (r"mrn|medical record.*|chart( ?(no|number|id|#))?", "person", "key"),
    (r"(num|numero|no|id)( de)? ?(cliente|paciente|persona|participante|tarjeta)", "person", "key"),
    (r"(ssn|social security.*|seguro social)", "person", "ssn"),
    (r"(visit|service|referral|record|row|case|entry|intake|event|encounter|enrollment|order|ticket"
     r"|appointment|stay|booking|matter|caso|visita)? ?(id|no|nr|number|num|#)", "record", "key"),
    (r"(organi[sz]ation|agency|provider|site|organizacion|agencia)( name)?",
     "organization", "name"),
    (r"(.* )?name,? (last first|first last)|(last|first) name (first|last) name",
     "person", "name.text"),
    (r".*\b(first|given|fore) ?name|(.* )?name (first|given)|first|given|nombres?( de pila)?",
     "person", "name.given"),
    (r".*\b(last|family|sur) ?name|(.* )?name (last|family)|last|surname|family|apellidos?",
     "person", "name.family"),
    (r".*middle( name| initial)?|mi|segundo nombre", "person", "name.middle"),
    (r"(full |legal |client |guest |patient |person |member )?name|nombre (completo|y apellidos?)"
     r"|clients?|guests?|patients?", "person", "name.text"),
    (r".*(dob|birth ?date|date of birth|birthday|born|nacimiento|fec nac).*",
     "person", "birthDate"),
    (r".*\b(sex|gender|sexo|genero)\b.*", "person", "gender"),
    (r".*\b(e ?mail|correo)\b.*", "person", "telecom.email"),
    (r".*\b(phone|mobile|cell|telephone|tel|telefono|celular|movil)\b.*",
     "person", "telecom.phone"),
    (r".*\b(address( 1| line 1)?|street|direccion|calle|domicilio)", "person", "address.line"),
    (r".*\b(city|town|ciudad|municipio)\b.*", "person", "address.city"),
    (r".*\b(state|province|provincia)\b.*", "person", "address.state"),
    (r".*\b(zip|postal|postcode|zipcode).*", "person", "address.postalCode"),
    (r".*\b(county|condado)\b.*", "person", "address.district"),
    (r".*\b(languages?|lang|idioma|lengua)\b.*", "person", "language"),
    (r".*\b(closed|ended|end date|check ?out|discharged?|exit(ed)?|departed|departure"
     r"|salida|cierre)\b.*", "record", "end"),
    (r".*\b(date|day|when|timestamp|created|visited|served|opened|check ?in|admitted|admission"
     r"|arriv(al|ed)|started|start|fecha|dia)\b.*", "record", "date"),
    (r".*\b(service|program|type|reason|need|took|given|received|item|help|problem|servicio"
     r"|programa|tipo|motivo|necesidad)\b.*", "record", "type"),
    (r".*\b(time|at|hora)\b.*", "record", "date"),
)  # fmt: skip
"""A pattern over the whole name, whose element it is, and which."""
