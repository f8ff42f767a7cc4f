"""One request as ClickHouse's HTTP interface means it: who asks, for what database, with which settings and
parameters.

Everything in the URL that is neither a word of the interface nor a query parameter (`param_…`) is a
setting. Sessions do not exist: `session_id` is dropped, and statements that would need one are refused by
the door.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from infra.local.engine_errors import AUTHENTICATION_FAILED, BAD_ARGUMENTS, EngineError

WRITER = "default"

_WORDS = frozenset({
    "buffer_size", "cancel_http_readonly_queries_on_client_close", "client_protocol_version", "close_session",
    "compress", "database", "decompress", "default_format", "enable_http_compression",
    "http_headers_progress_interval_ms", "http_response_headers", "http_write_exception_in_output_format",
    "http_zlib_compression_level", "password", "query", "query_id", "quota_key", "readonly", "role",
    "send_progress_in_http_headers", "session_check", "session_id", "session_timeout", "stacktrace", "user",
    "wait_end_of_query",
})  # fmt: skip
_SETTING = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Passwords:
    """The writer's and the readers'; both empty = none is asked. With a writer's alone, readers stay out."""

    writer: str = ""
    reader: str = ""

    def admit(self, user: str, password: str) -> None:
        if not self.writer and not self.reader:
            return
        expected = self.writer if user == WRITER else self.reader
        shut = user != WRITER and not expected
        if shut or not hmac.compare_digest(expected.encode(), password.encode()):
            raise EngineError.refused(
                AUTHENTICATION_FAILED,
                "AUTHENTICATION_FAILED",
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name.",
            )


@dataclass(frozen=True, slots=True)
class Ask:
    """A request but for its body. Every user other than `default` is a reader, and so is every GET."""

    query: str
    database: str
    query_id: str
    format: str
    protocol: int
    whole: bool
    reader: bool
    settings: Mapping[str, str]
    parameters: Mapping[str, str]

    @classmethod
    def read(
        cls, method: str, params: Mapping[str, str], headers: Mapping[str, str], passwords: Passwords
    ) -> Ask:
        user, password = _credentials(params, headers)
        passwords.admit(user, password)
        if params.get("decompress", "0") != "0" or params.get("compress", "0") != "0":
            raise EngineError.refused(
                BAD_ARGUMENTS,
                "BAD_ARGUMENTS",
                "compress and decompress are not served: use Content-Encoding.",
            )
        settings: dict[str, str] = {}
        parameters: dict[str, str] = {}
        for name, value in params.items():
            if name.startswith("param_"):
                parameters[name.removeprefix("param_")] = value
            elif name not in _WORDS:
                if not _SETTING.fullmatch(name):
                    raise EngineError.refused(115, "UNKNOWN_SETTING", f"Unknown setting '{name}'.")
                settings[name] = value
        version = params.get("client_protocol_version", "0")
        return cls(
            query=params.get("query", ""),
            database=params.get("database") or headers.get("X-ClickHouse-Database", ""),
            query_id=params.get("query_id", ""),
            format=params.get("default_format") or headers.get("X-ClickHouse-Format", "TabSeparated"),
            protocol=int(version) if version.isascii() and version.isdigit() else 0,
            whole=params.get("wait_end_of_query", "0") != "0",
            reader=method != "POST" or user != WRITER or params.get("readonly", "0") != "0",
            settings=settings,
            parameters=parameters,
        )


def _credentials(params: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
    basic = headers.get("Authorization", "")
    if basic.startswith("Basic "):
        try:
            user, _, password = (
                base64.b64decode(basic.removeprefix("Basic "), validate=True).decode().partition(":")
            )
        except (binascii.Error, UnicodeDecodeError):
            raise EngineError.refused(
                AUTHENTICATION_FAILED, "AUTHENTICATION_FAILED", "Invalid authentication: not Basic."
            ) from None
        return user or WRITER, password
    user = headers.get("X-ClickHouse-User") or params.get("user") or WRITER
    return user, headers.get("X-ClickHouse-Key") or params.get("password", "")
