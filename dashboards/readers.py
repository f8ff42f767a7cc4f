"""Who may read the page, and of which body: a file of names with digests of their passwords.

    [an]                      # a name, as the browser asks for it
    sha256 = "9f86d0…"        # of the password
    body = "H18"              # optional: only what counts for this ministry or province

A digest says nothing of a long random password, and a short one can be guessed from it, so passwords are made
here (`motcua page --new-reader an`). Whoever may write the file may let anybody in: one that others may write
is refused. Without a file the page is for this machine alone.
"""

import base64
import binascii
import hmac
import ipaddress
import re
import secrets
import stat
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

_NAME: Final = 64
_BODY: Final = "([HG][0-9]{2})?"
_EMPTY: Final = sha256(b"").hexdigest()


class ReadersError(Exception):
    """The file cannot be used; the message says where and what to do."""


class Reader(Struct, frozen=True, forbid_unknown_fields=True):
    """A person or program that may read; `body` "" = everything."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    body: Annotated[str, Meta(pattern=f"^{_BODY}$")] = ""


class Readers:
    """The readers by name."""

    def __init__(self, readers: Mapping[str, Reader]) -> None:
        self._readers = dict(readers)

    @staticmethod
    def read(path: Path, body: str = "") -> "Readers":
        """The readers of a file. Where the whole installation is limited to `body`, so is every reader."""
        next_step = "Next: correct it as docs/security.md shows"
        try:
            with path.open("rb") as file:
                mode = path.stat().st_mode
                found = msgspec.toml.decode(file.read(), type=dict[str, Reader])
        except OSError as error:
            msg = f"the readers of the page, {path}: {error.strerror}. {next_step}"
            raise ReadersError(msg) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            msg = f"the readers of the page, {path}: {error}. {next_step}"
            raise ReadersError(msg) from error
        if mode & (stat.S_IWGRP | stat.S_IWOTH):
            msg = f"others may write the readers of the page in {path}. Next: chmod 600 {path}"
            raise ReadersError(msg)
        readers: dict[str, Reader] = {}
        for name, reader in found.items():
            why = _wrong(name, reader, body)
            if why:
                msg = f"the readers of the page, {path}: {name!r} {why}. {next_step}"
                raise ReadersError(msg)
            readers[name] = Reader(reader.sha256, reader.body or body)
        if not readers:
            msg = f"the readers of the page, {path}: there is none in it. {next_step}"
            raise ReadersError(msg)
        return Readers(readers)

    def admitted(self, authorization: str) -> Reader | None:
        """The reader that an `Authorization` header proves to be, or None."""
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
            reader = self._readers.get(name.decode())
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return None
        # Compared in any case: how long an answer takes does not tell which names there are.
        expected = reader.sha256 if reader else _EMPTY
        proven = hmac.compare_digest(expected, sha256(password).hexdigest())
        return reader if proven else None


def new(name: str, body: str = "") -> tuple[str, str]:
    """A new password for a reader, and the lines for the file. Raises ReadersError."""
    if not re.fullmatch(_BODY, body):
        raise ReadersError(f"{body!r} is no ministry or province (H18, G09)")
    if why := _wrong(name, Reader(""), ""):
        raise ReadersError(f"{name!r} {why}")
    password = secrets.token_urlsafe(24)
    limit = f'body = "{body}"\n' if body else ""
    table = msgspec.json.encode(name).decode()
    return password, f'[{table}]\nsha256 = "{sha256(password.encode()).hexdigest()}"\n{limit}'


def loopback(host: str) -> bool:
    """Whether a host is this machine and reached from nowhere else."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _wrong(name: str, reader: Reader, body: str) -> str:
    if not name or len(name) > _NAME or ":" in name or not name.isprintable():
        return f"is no name: 1 to {_NAME} printable characters without a colon"
    if reader.sha256 == _EMPTY:
        return "has an empty password"
    if body and reader.body not in ("", body):
        return f"may read {reader.body}, but this installation is limited to {body}"
    return ""
