"""Which agency gets the referral: the directory of members, and the choice among them."""
