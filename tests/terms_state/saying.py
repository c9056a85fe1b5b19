"""A command on trial: the copies that it is done to, and how it is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.terms_state.purse import Purse, Reserve


class No(Exception):
    """A refusal: the code and the facts that the ledger's own is to have."""

    def __init__(self, code: str, **facts: object) -> None:
        self.code = code
        self.facts = facts
        super().__init__(f"{code} {facts}")


class Trial:
    """What one command touches, until it is known that nothing refuses it."""

    def __init__(self, purses: Mapping[str, Purse], ids: Callable[[str], str], now: int) -> None:
        self.purses = purses
        self.ids = ids
        self.now = now
        self.touched: dict[str, Purse] = {}

    def open(self, owner: str) -> Purse:
        """Open an account."""
        self.touched[owner] = Purse(owner, self.now)
        return self.touched[owner]

    def take(self, owner: str) -> Purse:
        """Return an account to be changed; a closed one is refused by `settle`."""
        self.touched[owner] = self.purses[owner].copy()
        return self.touched[owner]

    def settle(self, *purses: Purse, uses: bool = False) -> int:
        """Refuse closed accounts, and with `uses` a frozen first one; then do what is due, and return the instant."""
        for purse in purses:
            if purse.status == "closed":
                raise No("account_closed", owner=purse.owner)
        if uses and purses[0].status == "frozen":
            raise No("account_frozen", owner=purses[0].owner)
        at = max(self.now, *(purse.last_at for purse in purses))
        for purse in purses:
            purse.settle(at)
        return at

    def afford(self, purse: Purse, amount: int, *, up_to: bool = False) -> int:
        """Return what may be taken: the amount, or with `up_to` as much as there is."""
        if purse.limit is None or purse.available + purse.limit >= amount:
            return amount
        if up_to and purse.available + purse.limit > 0:
            return purse.available + purse.limit
        raise No("insufficient_credit", owner=purse.owner, requested=amount, available=purse.available)

    def open_reserve(self, purse: Purse, seq: int) -> Reserve:
        """Return a hold that lives."""
        reserve = purse.reserves.get(seq)
        if reserve is None:
            raise No("hold_not_found", hold_id=self.id_of(purse, seq))
        if reserve.status != "open":
            raise No("hold_closed", hold_id=self.id_of(purse, seq), status=reserve.status)
        return reserve

    def id_of(self, purse: Purse, seq: int) -> str:
        """Return the id of an entry or hold."""
        return f"{self.ids(purse.owner)}.{seq}"
