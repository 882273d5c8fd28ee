"""What SDOH Clinical Care 3.0 asks of a coordination platform beyond the profiles that ship here.

Resources of these profiles are stored and exchanged whole; ``$validate`` holds to them where their
package stands in a folder of ``GATEWAY_PROFILES`` (`gateway.fhir.profiles`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_R4: Final = "http://hl7.org/fhir/StructureDefinition/"
_CORE: Final = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
_SDC: Final = "http://hl7.org/fhir/uv/sdc/StructureDefinition/"

EXCHANGED: Final[Mapping[str, tuple[str, ...]]] = {
    "CareTeam": (f"{_CORE}careteam|7.0.0",),
    "Device": (f"{_R4}Device",),
    "DocumentReference": (f"{_CORE}documentreference|7.0.0",),
    "Organization": (f"{_CORE}organization|7.0.0",),
    "Patient": (f"{_CORE}patient|7.0.0",),
    "Practitioner": (f"{_CORE}practitioner|7.0.0",),
    "Questionnaire": (f"{_SDC}sdc-questionnaire-extr-smap",),
    "QuestionnaireResponse": (f"{_SDC}sdc-questionnaireresponse",),
    "RelatedPerson": (f"{_R4}RelatedPerson",),
}
"""By type, canonical URLs."""
