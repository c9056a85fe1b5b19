"""What a check says of good tokens that were changed at random."""

from __future__ import annotations

import random

import pytest

from pluct_ledger.domain.tokens import TokenCheck, TokenCode
from tests.unit.hostile_tokens import ALPHABET, eddsa
from tests.unit.token_forge import CLAIMS, ED_KID, HEADER, as_bytes, forged, header_with
from tests.unit.token_judge import checked


def _mutated(token: str, draw: random.Random) -> str:
    at, upto = sorted((draw.randrange(len(token) + 1), draw.randrange(len(token) + 1)))
    alphabet = ALPHABET + ".="
    match draw.randrange(9):
        case 0:
            return token[:at] + draw.choice(alphabet) + token[at + 1 :]
        case 1:
            return token[:at] + draw.choice(alphabet) + token[at:]
        case 2:
            return token[:at] + token[at + 1 :]
        case 3:
            return token[:at] + token[upto:]
        case 4:
            return token[:upto] + token[at:]
        case 5:
            return token[:at] + token[at:upto][::-1] + token[upto:]
        case 6:
            return (
                token[:at]
                + chr(draw.choice([0, 10, 32, 127, 160, 0x660, 0xD800, 0xFEFF, 0x1F600]))
                + token[at:]
            )
        case 7:
            return token[:at].swapcase() + token[at:]
        case _:
            parts = token.split(".")
            draw.shuffle(parts)
            return ".".join(parts)


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA"])
def test_no_mutation_of_a_good_token_is_valid(algorithm: str) -> None:
    """Of 10,000 changes to a good token, one to three in a row, none is accepted and none raises."""
    token = forged() if algorithm == "HS256" else eddsa(header_with(alg="EdDSA", kid=ED_KID))
    assert checked(token).valid
    draw = random.Random(algorithm)
    tried = 0
    while tried < 10_000:
        mutant = token
        for _ in range(draw.randint(1, 3)):
            mutant = _mutated(mutant, draw)
        if mutant == token:
            continue
        tried += 1
        verdict = checked(mutant)
        assert verdict in _BLIND, mutant


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA"])
def test_no_other_character_anywhere_is_valid(algorithm: str) -> None:
    """At every place of a good token, every other character of base64url breaks it."""
    token = forged() if algorithm == "HS256" else eddsa(header_with(alg="EdDSA", kid=ED_KID))
    for at, right in enumerate(token):
        for wrong in "AQgwz09-_." if at < len(token) - 1 else ALPHABET:
            if wrong != right:
                assert not checked(token[:at] + wrong + token[at + 1 :]).valid


_BLIND = [
    TokenCheck(valid=False, code=code)
    for code in (TokenCode.MALFORMED, TokenCode.UNKNOWN_KEY, TokenCode.BAD_SIGNATURE)
]


def test_no_mutation_under_our_own_signature_raises() -> None:
    """10,000 random changes of the parts, signed again by our own key, are judged without raising."""
    draw = random.Random(5)
    seen = set()
    for _ in range(10_000):
        header, claims = bytearray(as_bytes(HEADER)), bytearray(as_bytes(CLAIMS))
        part = header if draw.random() < 0.5 else claims
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(part))
            part[at : at + draw.randint(0, 2)] = draw.choice(
                [b"", b'"', b"9", b"[", b"{", b"}", b"\\", b"\xff", b",", b"e"]
            )
        verdict = checked(forged(bytes(header), bytes(claims)))
        seen.add(verdict.code)
        assert verdict.valid is (verdict.code is TokenCode.VALID)
    assert {TokenCode.MALFORMED, TokenCode.UNKNOWN_KEY, TokenCode.BAD_SIGNATURE, TokenCode.WRONG_TYPE} <= seen
