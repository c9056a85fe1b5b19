"""Tokens that were made to fool a check, by name: what is wrong with each is its only fault."""

from __future__ import annotations

import json
import string
from base64 import b64encode

from tests.unit.token_forge import (
    CLAIMS,
    ED25519,
    ED_KID,
    HEADER,
    ISSUED,
    KID,
    OTHER_SECRET,
    PUBLIC_PEM,
    as_bytes,
    base64url,
    claims_with,
    forged,
    header_with,
    hs256,
    sealed,
    without,
)

GOOD = forged()
HEAD, BODY, SIGNATURE = GOOD.split(".")
JWK = {"kty": "oct", "k": base64url(OTHER_SECRET)}
POINT = ED25519.public_key().public_bytes_raw()
ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
PLAIN = b64encode(as_bytes({**CLAIMS, "scope": "~~~ ??? >>> ~>?~"})).decode().rstrip("=")


def with_unused_bit(part: str) -> str:
    """Return another spelling of the same bytes: the last character's unused low bit set."""
    return part[:-1] + ALPHABET[ALPHABET.index(part[-1]) | 1]


def spaced(members: object, rest: int) -> bytes:
    """Return JSON with spaces after it, until its length leaves `rest` when divided by three."""
    raw = as_bytes(members)
    return raw + b" " * ((rest - len(raw)) % 3)


def raw_claims(name: str, value: str) -> str:
    """Return good claims as JSON text in which one value is written as it stands."""
    return json.dumps(without(CLAIMS, name))[:-1] + f', "{name}": {value}}}'


def eddsa(header: object, claims: object = CLAIMS) -> str:
    """Return a token of these parts with the private key's signature."""
    signed = f"{base64url(as_bytes(header))}.{base64url(as_bytes(claims))}"
    return f"{signed}.{base64url(ED25519.sign(signed.encode()))}"


NOT_TOKENS: dict[str, object] = {
    "None": None,
    "an int": 7,
    "a float": float("nan"),
    "a bool": True,
    "bytes": GOOD.encode(),
    "a bytearray": bytearray(GOOD.encode()),
    "a list": [HEAD, BODY, SIGNATURE],
    "a dict": {"token": GOOD},
    "a class": str,
    "text of a subclass": type("Text", (str,), {"split": lambda *_: 1 / 0})(GOOD),
}

MISSHAPEN: dict[str, str] = {
    "empty": "",
    "a dot": ".",
    "two dots": "..",
    "one part": HEAD,
    "two parts": f"{HEAD}.{BODY}",
    "no signature": f"{HEAD}.{BODY}.",
    "no claims": sealed(f"{HEAD}."),
    "no header": sealed(f".{BODY}"),
    "four parts": f"{GOOD}.{SIGNATURE}",
    "five parts, as an encrypted one": f"{HEAD}.{BODY}.{BODY}.{BODY}.{SIGNATURE}",
    "a dot at the end": f"{GOOD}.",
    "a dot at the start": f".{GOOD}",
    "a space before": f" {GOOD}",
    "a space after": f"{GOOD} ",
    "a newline after": f"{GOOD}\n",
    "a carriage return within": sealed(f"{HEAD}.{BODY[:8]}\r\n{BODY[8:]}"),
    "a tab within the header": sealed(f"{HEAD[:4]}\t{HEAD[4:]}.{BODY}"),
    "NUL after": f"{GOOD}\0",
    "the word Bearer": f"Bearer {GOOD}",
    "quoted": f'"{GOOD}"',
    "percent encoding": GOOD.replace(".", "%2E"),
    "padding of the header": sealed(f"{base64url(spaced(HEADER, 2))}=.{BODY}"),
    "padding of the signature": f"{GOOD}=",
    "padding of all": ".".join(part + "=" * (-len(part) % 4) for part in GOOD.split(".")) + "=",
    "the alphabet of plain base64": sealed(f"{HEAD}.{PLAIN}"),
    "an unused bit of the signature": f"{HEAD}.{BODY}.{with_unused_bit(SIGNATURE)}",
    "an unused bit of the claims": sealed(f"{HEAD}.{with_unused_bit(base64url(spaced(CLAIMS, 2)))}"),
    "a length that base64 never has": sealed(f"{HEAD}.{base64url(spaced(CLAIMS, 0))}A"),
    "full-width letters": GOOD.translate({ord("e"): "\uff45"}),
    "a full stop of another script": GOOD.replace(".", "\u3002"),
    "a lone surrogate": GOOD + "\ud800",
    "a byte order mark": "\ufeff" + GOOD,
    "a zero-width space": HEAD + "\u200b." + BODY + "." + SIGNATURE,
    "the JSON serialisation": json.dumps({"protected": HEAD, "payload": BODY, "signature": SIGNATURE}),
    "just too long": "A" * 8193,
    "long claims, well signed": forged(claims=claims_with(sub="a" * 9000)),
    "ten megabytes": "a." * 5_000_000,
    "ten megabytes of dots": "." * 10_000_000,
}

BAD_HEADERS: dict[str, object] = {
    "not JSON": "alg=HS256",
    "empty JSON": "{}",
    "white space": "   ",
    "an array": [HEADER],
    "a string": '"HS256"',
    "null": "null",
    "a number": "1",
    "two objects": as_bytes(HEADER) + as_bytes(HEADER),
    "trailing text": as_bytes(HEADER) + b"x",
    "a trailing comma": as_bytes(HEADER)[:-1] + b",}",
    "a comment": as_bytes(HEADER) + b"//",
    "single quotes": str(HEADER),
    "cut off": as_bytes(HEADER)[:-1],
    "a byte order mark": b"\xef\xbb\xbf" + as_bytes(HEADER),
    "UTF-16": json.dumps(HEADER).encode("utf-16"),
    "UTF-16 without a mark": json.dumps(HEADER).encode("utf-16-le"),
    "UTF-32": json.dumps(HEADER).encode("utf-32-be"),
    "overlong UTF-8": as_bytes(HEADER).replace(b"k1", b"\xc1\xab1"),
    "Latin-1": as_bytes(HEADER).replace(b"k1", b"k\xff"),
    "a control character": as_bytes(HEADER).replace(b"k1", b"k\x01"),
    "alg twice": '{"alg":"none","alg":"HS256","typ":"JWT","kid":"k1"}',
    "alg twice, once escaped": '{"alg":"HS256","typ":"JWT","kid":"k1","\\u0061lg":"none"}',
    "kid twice": '{"alg":"HS256","typ":"JWT","kid":"ed1","kid":"k1"}',
    "a member twice within a member": '{"alg":"HS256","typ":"JWT","kid":{"a":1,"a":2}}',
    "Alg for alg": {"Alg": "HS256", "typ": "JWT", "kid": KID},
    "no alg": without(HEADER, "alg"),
    "no typ": without(HEADER, "typ"),
    "no kid": without(HEADER, "kid"),
    "crit": header_with(crit=["exp"], exp=1),
    "an empty crit": header_with(crit=[]),
    "b64 false": header_with(b64=False, crit=["b64"]),
    "jku": header_with(jku="https://attacker.example/jwks.json"),
    "jwk": header_with(jwk=JWK),
    "x5u": header_with(x5u="https://attacker.example/cert.pem"),
    "x5c": header_with(x5c=["MIIB"]),
    "x5t": header_with(x5t="dGh1bWI"),
    "cty, as of a nested token": header_with(cty="JWT"),
    "zip": header_with(zip="DEF"),
    "enc": header_with(enc="A256GCM"),
    "an unknown member": header_with(foo="bar"),
    "NaN": '{"alg":"HS256","typ":"JWT","kid":NaN}',
    "alg null": header_with(alg=None),
    "alg a list": header_with(alg=["HS256"]),
    "alg a number": header_with(alg=256),
    "alg true": header_with(alg=True),
    "typ null": header_with(typ=None),
    "kid null": header_with(kid=None),
    "kid a number": header_with(kid=1),
    "kid a huge number": '{"alg":"HS256","typ":"JWT","kid":' + "9" * 300 + "}",
    "kid a list": header_with(kid=[KID]),
    "kid an object": header_with(kid={"$ne": ""}),
    "kid empty": header_with(kid=""),
    "kid a path": header_with(kid="../../../../dev/null"),
    "kid a URL": header_with(kid="https://attacker.example/key"),
    "kid SQL": header_with(kid="x' UNION SELECT 'secret';--"),
    "kid a command": header_with(kid="k1|id"),
    "kid with NUL": header_with(kid="k1\0"),
    "kid with a newline": header_with(kid="k1\n"),
    "kid a lone surrogate": header_with(kid="\ud800"),
    "kid too long": header_with(kid="k" * 65),
    "a long header": header_with(typ="J" * 400),
    "arrays nested deep": "[" * 380,
    "objects nested deep": '{"a":' * 76,
    "arrays nested deep in a member": '{"alg":"HS256","typ":"JWT","kid":' + "[" * 150 + "]" * 150 + "}",
    "escaped quotes": '"' + '\\"' * 180,
}

BAD_CLAIMS: dict[str, object] = {
    "not JSON": "sub=ada",
    "one byte": b"\x00",
    "an array": [CLAIMS],
    "null": "null",
    "no members": "{}",
    "UTF-16": json.dumps(CLAIMS).encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + as_bytes(CLAIMS),
    "not UTF-8": as_bytes(CLAIMS).replace(b"ada", b"ad\xe9"),
    "a surrogate in UTF-8": as_bytes(CLAIMS).replace(b"ada", b"\xed\xa0\x80"),
    "two objects": as_bytes(CLAIMS) * 2,
    "sub twice": json.dumps(CLAIMS)[:-1] + ', "sub": "eve"}',
    "exp twice, once escaped": json.dumps(CLAIMS)[:-1] + ', "\\u0065xp": 9999999999}',
    "an unknown claim": claims_with(admin=True),
    "a claim of depth": claims_with(extra={"a": [1]}),
    "exp NaN": raw_claims("exp", "NaN"),
    "exp infinite": raw_claims("exp", "Infinity"),
    "exp infinite by its exponent": raw_claims("exp", "1e999"),
    "exp a float": raw_claims("exp", f"{ISSUED + 60}.0"),
    "exp with an exponent": raw_claims("exp", "1e10"),
    "exp a string": claims_with(exp=str(ISSUED + 60)),
    "exp true": claims_with(exp=True),
    "exp null": claims_with(exp=None),
    "exp a list": claims_with(exp=[ISSUED + 60]),
    "exp negative": claims_with(exp=-1),
    "exp minus zero": raw_claims("exp", "-0"),
    "exp with a plus": raw_claims("exp", f"+{ISSUED}"),
    "exp with a leading zero": raw_claims("exp", f"0{ISSUED + 60}"),
    "exp hexadecimal": raw_claims("exp", "0xFFFFFFFF"),
    "exp in other digits": raw_claims("exp", "\u0661\u0662\u0663"),
    "exp beyond the year 9999": claims_with(exp=253_402_300_800),
    "exp in milliseconds": claims_with(exp=(ISSUED + 60) * 1000),
    "exp of 17 digits": claims_with(exp=10**16),
    "exp of 5000 digits": raw_claims("exp", "9" * 5000),
    "exp before nbf": claims_with(exp=ISSUED - 1),
    "exp at nbf": claims_with(exp=ISSUED),
    "nbf a string": claims_with(nbf="0"),
    "nbf true": claims_with(nbf=True),
    "iat false": claims_with(iat=False),
    "iat a float": claims_with(iat=1.5),
    "sub a number": claims_with(sub=7),
    "sub null": claims_with(sub=None),
    "sub an object": claims_with(sub={"$gt": ""}),
    "sub empty": claims_with(sub=""),
    "sub too long": claims_with(sub="a" * 256),
    "sub with NUL": claims_with(sub="ada\0eve"),
    "sub a lone surrogate": claims_with(sub="\ud800"),
    "iss a list": claims_with(iss=["pluct"]),
    "aud null": claims_with(aud=None),
    "aud a list": claims_with(aud=["shop"]),
    "aud empty": claims_with(aud=""),
    "book a number": claims_with(book=1),
    "jti a path": claims_with(jti="../7"),
    "jti a number": claims_with(jti=7),
    "jti with a leading zero": claims_with(jti="00112233445566778899aabbccddeeff.07"),
    "jti in upper case": claims_with(jti="00112233445566778899AABBCCDDEEFF.7"),
    "scope a list": claims_with(scope=["read"]),
    "scope null": claims_with(scope=None),
    "scope with two spaces": claims_with(scope="read  write"),
    "scope with a space before": claims_with(scope=" read"),
    "scope with a tab": claims_with(scope="read\twrite"),
    "scope with a quote": claims_with(scope='re"ad'),
    "scope twice": claims_with(scope="read read"),
    "cost zero": claims_with(cost=0),
    "cost negative": claims_with(cost=-1),
    "cost a float": claims_with(cost=1.0),
    "cost true": claims_with(cost=True),
    "cost a string": claims_with(cost="1"),
    "cost beyond 2^53-1": claims_with(cost=2**53),
    "arrays nested deep": "[" * 6000,
    "objects nested deep": '{"a":' * 1200,
    "arrays nested deep in a claim": raw_claims("sub", "[" * 2000 + "]" * 2000),
    "quotes that never close": '{"' + '\\"' * 2500,
    **{f"no {name}": without(CLAIMS, name) for name in CLAIMS},
}


BAD_SIGNATURES: dict[str, str] = {
    "alg none with our signature": forged(header_with(alg="none")),
    "alg None": forged(header_with(alg="None")),
    "alg NONE": forged(header_with(alg="NONE")),
    "alg none, a signature of zeros": f"{base64url(as_bytes(header_with(alg='none')))}.{BODY}.AAAA",
    "alg empty": forged(header_with(alg="")),
    "alg in lower case": forged(header_with(alg="hs256")),
    "alg HS512": forged(header_with(alg="HS512")),
    "alg RS256": forged(header_with(alg="RS256")),
    "alg EdDSA under the secret's kid": forged(header_with(alg="EdDSA")),
    "the public PEM as a secret": forged(header_with(kid=ED_KID), secret=PUBLIC_PEM.encode()),
    "the public PEM without its newline": forged(header_with(kid=ED_KID), secret=PUBLIC_PEM.strip().encode()),
    "the public point as a secret": forged(header_with(kid=ED_KID), secret=POINT),
    "the public point in base64url": forged(header_with(kid=ED_KID), secret=base64url(POINT).encode()),
    "the public PEM, alg EdDSA": forged(header_with(kid=ED_KID, alg="EdDSA"), secret=PUBLIC_PEM.encode()),
    "our secret under the public key's kid": forged(header_with(kid=ED_KID)),
    "the private key under the secret's kid": eddsa(header_with(alg="EdDSA")),
    "the private key, alg HS256": eddsa(header_with(kid=ED_KID)),
    "a stranger's secret": forged(secret=OTHER_SECRET),
    "an empty secret": forged(secret=b""),
    "the kid as a secret": forged(secret=KID.encode()),
    "a signature cut short": GOOD[:-3],
    "a signature of one byte": f"{HEAD}.{BODY}.AA",
    "a longer signature": f"{HEAD}.{BODY}.{base64url(b'a' * 64)}",
    "a signature of zeros": f"{HEAD}.{BODY}.{base64url(bytes(32))}",
    "a signature over the claims alone": f"{HEAD}.{BODY}.{hs256(BODY)}",
    "a signature over the decoded parts": f"{HEAD}.{BODY}.{hs256(json.dumps(HEADER) + '.' + json.dumps(CLAIMS))}",
    "the signature in hexadecimal": f"{HEAD}.{BODY}.{base64url(b'a' * 32).encode().hex()[:64]}",
    "another token's claims": f"{HEAD}.{base64url(as_bytes(claims_with(sub='eve')))}.{SIGNATURE}",
    "another token's header": f"{base64url(as_bytes(HEADER) + b' ')}.{BODY}.{SIGNATURE}",
    "EdDSA with a signature of zeros": f"{base64url(as_bytes(header_with(alg='EdDSA', kid=ED_KID)))}.{BODY}."
    + base64url(bytes(64)),
}
