"""A state machine of credit on terms: the ledger beside a second telling of the rules.

`purse` knows what an account is and what time does to it, `rules` what commands do, `machine` drives both sides.
"""
