"""What is true of any story that hosts can tell a ledger, whatever is in it: conservation, replay, order, time."""
