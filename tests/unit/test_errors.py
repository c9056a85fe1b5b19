"""The errors: one tree, drawn where it is written, each with a code and facts that survive a pickle."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from typing import Any, get_type_hints

import pytest

import pluct_ledger
from pluct_ledger import errors
from pluct_ledger.errors import Contended, IdempotencyMismatch, InvalidArgument, PluctError, Refused

ALL: list[type[PluctError]] = [getattr(errors, name) for name in errors.__all__]
SAMPLES: dict[Any, Any] = {str: "ada", int: 5, str | None: None, tuple[str, ...]: ("k1", "k2")}


def made(kind: type[PluctError]) -> tuple[PluctError, dict[str, Any]]:
    """Make an error of arguments of the right types, and return it with them."""
    if kind.__init__ in {PluctError.__init__, Exception.__init__}:
        return kind(), {}
    hints = get_type_hints(kind.__init__)
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    arguments = {
        name: f"the {name}" if hints[name] is str else SAMPLES[hints[name]]
        for name in (each.name for each in parameters)
    }
    return kind(**arguments), arguments


def test_the_tree_is_as_drawn() -> None:
    """The tree at the top of the module is that of the classes, in every branch."""
    drawn: dict[str, str] = {}
    branch = ["PluctError"]
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"((?:│   )*)[├└]── (\w+)", line):
            depth = len(found[1]) // 4 + 1
            branch[depth:] = [found[2]]
            drawn[found[2]] = branch[depth - 1]

    assert drawn == {
        kind.__name__: kind.__base__.__name__ for kind in ALL if kind is not PluctError and kind.__base__
    }


def test_every_error_is_exported() -> None:
    """Every class of the tree stands in the module's list and in the package's."""
    written = {
        value.__name__
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, PluctError)
    }

    assert written == set(errors.__all__)
    assert written <= set(pluct_ledger.__all__)
    assert all(getattr(pluct_ledger, name) is getattr(errors, name) for name in errors.__all__)


def test_every_error_has_a_code_of_its_own() -> None:
    """Codes are the classes' names in small letters, and no two are the same."""
    for kind in ALL:
        assert vars(kind)["code"] == re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
    assert len({kind.code for kind in ALL}) == len(ALL)


@pytest.mark.parametrize("kind", ALL)
def test_an_error_says_in_a_sentence_what_is_so(kind: type[PluctError]) -> None:
    """The docstring of an error is one sentence."""
    said = " ".join((vars(kind)["__doc__"] or "").split())

    assert re.fullmatch(r"[A-Z].*[.]", said)
    assert not re.search(r"[.!?] [A-Z]", said)


@pytest.mark.parametrize("kind", ALL)
def test_an_error_survives_a_pickle(kind: type[PluctError]) -> None:
    """An error that was copied or came out of a pickle has the same type, message and facts."""
    error, arguments = made(kind)
    if isinstance(error, Refused | InvalidArgument):
        error.index = 7

    for same in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own pickle
        assert type(same) is kind
        assert (str(same), same.args, same.code) == (str(error), error.args, error.code)
        assert same.facts == error.facts
    if kind is not Contended:  # its message is no fact
        assert arguments.items() <= (error.facts | {"message": arguments.get("message")}).items()


@pytest.mark.parametrize("kind", ALL)
def test_a_message_tells_the_facts(kind: type[PluctError]) -> None:
    """An error's message names whom and what it concerns; only the keys of an unknown outcome are left to its facts."""
    error, arguments = made(kind)

    for name, value in arguments.items():
        if isinstance(value, str | int):
            assert str(value) in str(error), name


def test_a_place_is_a_fact_only_where_there_is_one() -> None:
    """The place in a batch is among the facts of an error that has one."""
    refused = IdempotencyMismatch(owner="ada", field="amount")
    assert refused.facts == {"owner": "ada", "field": "amount"}

    refused.index = 0
    assert refused.facts == {"owner": "ada", "field": "amount", "index": 0}


def test_an_invalid_argument_is_a_value_error() -> None:
    """Who catches ValueError catches a bad argument, and no refusal."""
    assert {kind.__name__ for kind in ALL if issubclass(kind, ValueError)} == {InvalidArgument.__name__}


def test_a_key_in_doubt_is_named() -> None:
    """An unknown outcome names the key to retry with: the first of all."""
    error = errors.OutcomeUnknown(keys=("k1", "k2"))
    assert (error.key, error.keys) == ("k1", ("k1", "k2"))
    assert errors.OutcomeUnknown(keys=()).key is None
