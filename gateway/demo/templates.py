r"""What the clinics say, as ER7 text (HL7 v2.5.1; LF stands for the segment's CR).

``{name}`` is filled by ``Clinic.send``; nobody in here exists. Referrals bear the code of need in
DG1 (ICD-10-CM Z codes, Gravity Project) and the performer in PRD (HL7 table 0286: RP refers, RT is
referred to).
"""

from __future__ import annotations

from typing import Final

MSH: Final = (
    r"MSH|^~\&|{application}|{facility}|GATEWAY|CEDARCOUNTY|{at}||{event}|{control_id}|P|2.5.1"
    "\n"
)
PID: Final = (
    "PID|1||{mrn}^^^{facility}^MR||{family}^{given}||{birth}|{sex}|||"
    "{street}^^{city}^IA^{zip}^USA^H||^PRN^PH^^1^319^{phone}\n"
)
VISIT: Final = "PV1|1|O|FAMMED^^^{facility}||||1093817465^Okafor^Ngozi^^^Dr^MD\n"

REGISTER: Final = MSH.replace("{event}", "ADT^A04^ADT_A01") + "EVN|A04|{at}\n" + PID + VISIT

REFERRAL: Final = (
    "RF1|P^Pending^HL70283|R^Routine^HL70280|||O^Outgoing^HL70284|{referral}^{facility}|{at}|||"
    "{reason}\n"
    "PRD|RP^Referring Provider^HL70286|Okafor^Ngozi^^^Dr^MD|||||1093817465^NPI\n"
    "PRD|RT^Referred to Provider^HL70286|||^^^^^^^^{performer}\n" + PID + "DG1|1|"
    "|{code}^{reason}^I10|||W\n"
)
REFER: Final = MSH.replace("{event}", "REF^I12^REF_I12") + REFERRAL
CANCEL: Final = MSH.replace("{event}", "REF^I14^REF_I12") + REFERRAL

REFER_ANYONE: Final = "\n".join(line for line in REFER.splitlines() if "PRD|RT" not in line) + "\n"
"""A referral that names nobody: the hub looks for somebody who can help."""

REFER_PSEUDONYM: Final = MSH.replace("{event}", "REF^I12^REF_I12") + REFERRAL.replace(
    PID, "PID|1||{pseudonym}^^^{facility}^ANON||{pseudonym}^^^^^^S\n"
)
"""A referral to a victim service provider: of the person, a pseudonym (HL7 table 0200: S)."""

ORDER: Final = (
    r"MSH|^~\&|{application}|{facility}|GATEWAY|{performer}|{at}||OMG^O19^OMG_O19|{control_id}|P|2.5.1"
    "|||||||||360X\n" + PID + "ORC|NW|{referral}^{facility}-REF|||||||{at}"
    "|||1740293857^Berger^Lena^^^^MD^^NPI^L^^^NPI\n"
    "TQ1|1||||||{at}||A^ASAP^HL70485\n"
    "OBR|1|{referral}^{facility}-REF||57133-1^Referral note^LN"
    "|||||||||||||||||||||||||||{code}^{reason}^I10C\n"
    "DG1|1||{code}^{reason}^I10C||{at}|W\n"
)
"""A referral by IHE 360X: an order, MSH-21 360X, whom it asks in MSH-6."""

MERGE: Final = (
    MSH.replace("{event}", "ADT^A40^ADT_A39")
    + "EVN|A40|{at}\n"
    + PID
    + "MRG|{old}^^^{facility}^MR||||||{family}^{given}\n"
)
"""Two records of one person become one: MRG-1 is retired."""

RESULT: Final = (
    MSH.replace("{event}", "ORU^R01^ORU_R01")
    + PID
    + VISIT
    + "OBR|1|{order}^{facility}|{order}-L^{facility}|4548-4^Hemoglobin A1c^LN|||{at}"
    "|||||||||1093817465^Okafor^Ngozi^^^Dr^MD||||||{at}||CH|F\n"
    "OBX|1|NM|4548-4^Hemoglobin A1c/Hemoglobin.total in Blood^LN||{value}|%^percent^UCUM"
    "|4.0-5.6|H|||F|||{at}\n"
)

ACK: Final = (
    r"MSH|^~\&|{application}|{facility}|GATEWAY|CEDARCOUNTY|{at}||ACK^{event}^ACK|{control_id}|P|2.5.1"
    "\nMSA|AA|{acknowledged}\n"
)
