"""The message structure (MSH-9.3) of an event that doesn't name its own: HL7 table 0354.

Several events share one structure: A04 and A08 are built like A01. An event that isn't listed
has a structure of its own name.
"""

from __future__ import annotations

from typing import Final

_SHARED: Final = {
    "ADT_A01": "A01 A04 A08 A13",
    "ADT_A05": "A05 A14 A28 A31",
    "ADT_A06": "A06 A07",
    "ADT_A09": "A09 A10 A11",
    "ADT_A21": "A21 A22 A23 A25 A26 A27 A29 A32 A33",
    "ADT_A30": "A30 A34 A35 A36 A46 A47 A48 A49",
    "ADT_A39": "A39 A40 A41 A42",
    "ADT_A43": "A43 A44",
    "ADT_A50": "A50 A51",
    "ADT_A52": "A52 A53",
    "ADT_A54": "A54 A55",
    "ADT_A61": "A61 A62",
    "CRM_C01": "C01 C02 C03 C04 C05 C06 C07 C08",
    "CSU_C09": "C09 C10 C11 C12",
    "MDM_T01": "T01 T03 T05 T07 T09 T11",
    "MDM_T02": "T02 T04 T06 T08 T10",
    "ORU_R30": "R30 R31 R32",
    "PGL_PC6": "PC6 PC7 PC8",
    "PPG_PCG": "PCG PCH PCJ",
    "PPP_PCB": "PCB PCC PCD",
    "PPR_PC1": "PC1 PC2 PC3",
    "QBP_Q21": "Q21 Q22 Q23 Q24 Q25",
    "RDE_O11": "O11 O25",
    "REF_I12": "I12 I13 I14 I15",
    "RPA_I08": "I08 I09 I10 I11",
    "RPI_I01": "I01 I04",
    "RQA_I08": "I08 I09 I10 I11",
    "RQC_I05": "I05 I06",
    "RQI_I01": "I01 I02 I03 I07",
    "RRI_I12": "I12 I13 I14 I15",
    "SIU_S12": "S12 S13 S14 S15 S16 S17 S18 S19 S20 S21 S22 S23 S24 S26",
    "SRM_S01": "S01 S02 S03 S04 S05 S06 S07 S08 S09 S10 S11",
    "SRR_S01": "S01 S02 S03 S04 S05 S06 S07 S08 S09 S10 S11",
}
_STRUCTURES: Final = {
    (name[:3], event): name for name, events in _SHARED.items() for event in events.split()
}


def structure(message: str, event: str) -> str:
    """The structure of a message type (MSH-9.1) and trigger event (MSH-9.2, may be "").

    >>> structure("ADT", "A08"), structure("ORU", "R01"), structure("ACK", "I12")
    ('ADT_A01', 'ORU_R01', 'ACK')
    """
    if message == "ACK" or not event:
        return message
    return _STRUCTURES.get((message, event)) or f"{message}_{event}"
