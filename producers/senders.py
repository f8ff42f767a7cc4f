"""Who may send through the intake: tokens, each of one body (a ministry or a province).

The file holds a line for each token: the body's code, and the SHA-256 of the token, never the token itself.

    H18 sha256:5f2c…  # the province's one-stop system, since 2026-01-05

A body may have several tokens, so that one can be replaced without a gap. Tokens are random (256 bits), so a
plain digest of one cannot be reversed, and reading the file gives nobody access; writing it does, so a file
that others may write is refused.
"""

import hmac
import re
import secrets
import stat
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Raw, Struct, UnsetType

from rates.failures import Fatal

_LINE: Final = re.compile(r"([HG][0-9]{2})\s+sha256:([0-9a-f]{64})")
_BEARER: Final = re.compile(r"Bearer +([A-Za-z0-9_-]{1,128})", re.IGNORECASE)
_SESSION: Final = re.compile(rb'"([A-Za-z0-9_-]{1,128})"')


class Sender(Struct, frozen=True, gc=False):
    """A token's body and its digest, which also names the token in counts and limits."""

    body: str
    digest: bytes


class Senders(Struct, frozen=True, gc=False):
    """All tokens that are known."""

    known: tuple[Sender, ...]

    def find(self, token: str) -> Sender | None:
        """Whose token it is. Takes the same time whichever it is, and whether or not it is one."""
        digest = sha256(token.encode()).digest()
        found = None
        for sender in self.known:
            if hmac.compare_digest(sender.digest, digest):
                found = sender
        return found

    def by_header(self, authorization: str) -> Sender | None:
        """The sender of an `Authorization: Bearer …` header."""
        bearer = _BEARER.fullmatch(authorization)
        return self.find(bearer[1]) if bearer else None

    def by_session(self, call: bytes) -> Sender | None:
        """The sender that a call's own `session` names, whatever else the bytes are."""
        try:
            written = _as_opening.decode(call).session
        except (msgspec.DecodeError, RecursionError):
            return None
        session = _SESSION.fullmatch(bytes(written)) if isinstance(written, Raw) else None
        return self.find(session[1].decode()) if session else None


class _Opening(Struct, gc=False):
    session: Raw | UnsetType = msgspec.UNSET


_as_opening = msgspec.json.Decoder(_Opening)


def read(path: Path) -> Senders:
    """The tokens of a file. Raises Fatal, which names the line and what to do, and shows none of it."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = path.stat().st_mode
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        detail = getattr(error, "strerror", None) or "it is not UTF-8"
        raise Fatal(f"the tokens in {path} cannot be read: {detail}. Next: {_NEXT}") from error
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Fatal(f"others may write the tokens in {path}. Next: chmod 600 {path}")
    known = []
    for number, line in enumerate(lines, 1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        found = _LINE.fullmatch(entry)
        if found is None:
            raise Fatal(
                f"{path}:{number} is not a body and the sha256:… of its token; a token itself must not stand "
                f"there. Next: {_NEXT}"
            )
        known.append(Sender(found[1], bytes.fromhex(found[2])))
    if not known:
        raise Fatal(f"there is no token in {path}. Next: {_NEXT}")
    return Senders(tuple(known))


def new(body: str) -> tuple[str, str]:
    """A new token for a body, and the line for the file."""
    token = secrets.token_urlsafe(32)
    return token, f"{body} sha256:{sha256(token.encode()).hexdigest()}"


_NEXT: Final = "motcua intake --new-token BODY, and put the line that it prints into that file"
