from __future__ import annotations

import pytest

from gateway.errors import Denied
from gateway.model import HUB, Context
from gateway.protect.policy import Policy, admit

MEMBER = Context("food-bank", "key-1")
ADMIN = Context(HUB, "key-2", admin=True)


@pytest.mark.parametrize(
    ("policy", "context", "open"),
    [
        (Policy.PUBLIC, MEMBER, True),
        (Policy.MEMBER, MEMBER, True),
        (Policy.MEMBER, ADMIN, True),
        (Policy.AGENCY, MEMBER, True),
        (Policy.AGENCY, ADMIN, False),
        (Policy.ADMIN, MEMBER, False),
        (Policy.ADMIN, ADMIN, True),
    ],
)
def test_each_door_opens_to_its_own_callers(policy: Policy, context: Context, open: bool) -> None:
    if open:
        admit(policy, context)
    else:
        with pytest.raises(Denied):
            admit(policy, context)
