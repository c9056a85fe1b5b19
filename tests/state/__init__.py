"""A state machine that drives the ledger beside a model of it.

`model` knows the rules, `expected` how they show in the ledger's values, `drawn` what is drawn, `machine` does it.
To teach it a new operation: a row in the table at the end of `model`, a strategy in `drawn`, a rule in `machine`, and
its name in `test_state`, which fails where a rule or a refusal was never met.
"""
