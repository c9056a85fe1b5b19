"""The tests of pluct-ledger; `conftest.py` tells which fixtures there are."""
