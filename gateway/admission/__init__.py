"""How resources enter the hub, whichever way they came.

rules     the rules before, the consequences after, in one transaction
referral  what the hub itself does about a referral
merging   what it does when one Patient takes another's place
"""
