"""Commands, one or many, done in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pluct_ledger.domain.arguments import MAX_BATCH, check_flag, check_items
from pluct_ledger.domain.commands import Command
from pluct_ledger.domain.entries import Receipt
from pluct_ledger.domain.intents import Intent
from pluct_ledger.errors import InvalidArgument, Refused
from pluct_ledger.explaining import Explaining
from pluct_ledger.storage.unit_of_work import UnitOfWork
from pluct_ledger.storage.writes import Plan, perform


class Writing(Explaining):
    """A ledger that does commands."""

    def apply(self, command: Command) -> Receipt:
        """Do one command.

        Raises:
            InvalidArgument: it is not a command, or an argument of it is wrong.
            Refused: as the method of the same name does.
        """
        _check_public(command)
        return _receipt(self._perform([self.desk.intent(command)], atomic=True))

    def apply_many(self, commands: Iterable[Command], *, atomic: bool = False) -> list[Receipt | Refused]:
        """Do up to 10,000 commands in one transaction; later ones see what earlier ones did.

        Args:
            commands: in the order in which they are to be done.
            atomic: raise the first refusal and do nothing at all.

        Returns:
            For each command, its receipt or its refusal.

        Raises:
            InvalidArgument: a command is wrong (its place is `index`), or there are too many; nothing was done.
            Refused: with `atomic`, the first refusal; its place is `index`.
        """
        check_flag(atomic, "atomic")
        wanted = check_items(commands, "commands", most=MAX_BATCH)
        intents = [self._intent_at(index, command) for index, command in enumerate(wanted)]
        if not intents:
            return []
        outcomes = self._perform(intents, atomic=atomic, numbered=True).outcomes
        return [outcome for outcome in outcomes if outcome is not None]

    def _intent_at(self, index: int, command: object) -> Intent:
        try:
            _check_public(command)
            return self.desk.intent(command)
        except InvalidArgument as error:
            error.index = index
            raise

    def _perform(self, intents: Sequence[Intent], *, atomic: bool, numbered: bool = False) -> Plan:
        def job(work: UnitOfWork) -> Plan:
            now = self.desk.now()
            return perform(work, intents, names=self.desk.names, now=now, atomic=atomic, numbered=numbered)

        keys = tuple(intent.key for intent in intents if intent.key is not None)
        plan = self.desk.door.write(job, keys=keys)
        self.desk.tell(plan.outcomes)
        return plan


def _check_public(command: object) -> None:
    if not isinstance(command, Command):
        raise InvalidArgument("command", f"{type(command).__name__} is not a command")


def _receipt(plan: Plan) -> Receipt:
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Receipt)
    return outcome
