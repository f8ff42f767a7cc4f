"""The embedded ClickHouse engine as a process: `python -m infra.local.engine --data DIR --port N`.

It owns the data directory and serves ClickHouse's HTTP interface, on loopback unless a password is set.
When it is ready it prints one line, `engine ready on HOST:PORT`. SIGTERM and SIGINT stop it: requests under
way get three seconds, then whatever is not committed is given up, as a kill would, and nothing acknowledged
is lost.

Exit 0 after a stop, 1 when it cannot listen or open the data, 2 for wrong use, 3 when the directory is in
use.

Passwords: MOTCUA_ENGINE_PASSWORD is asked of the writer (`default`), MOTCUA_ENGINE_READER_PASSWORD of
everybody else.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import fcntl
import ipaddress
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import uvloop

# The server waits so long for requests to end, and as long again for those that it then cuts short.
_GRACE_S = 1.5
_MIB = 1 << 20


class _Stop(Exception):
    """What to say, and the exit code."""

    def __init__(self, code: int, line: str) -> None:
        super().__init__(line)
        self.code = code


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    try:
        _check_host(options.host)
        lock = _claim(options.data)
        with lock, _listener(options.host, options.port) as listener:
            return uvloop.run(_serve(options, listener))
    except _Stop as stop:
        sys.stderr.write(f"engine: {stop}\n")
        return stop.code


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local.engine")
    parser.add_argument("--data", type=Path, required=True, help="the data directory; made if missing")
    parser.add_argument("--port", type=int, required=True, help="0 = any free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--memory", type=int, default=3072, help="MiB, the whole engine, soft (3072)")
    parser.add_argument("--query-memory", type=int, default=1536, help="MiB, one statement (1536)")
    parser.add_argument("--reader-memory", type=int, default=512, help="MiB, one reader's query (512)")
    return parser.parse_args(argv)


def _check_host(host: str) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback and not os.environ.get("MOTCUA_ENGINE_PASSWORD"):
        raise _Stop(2, f"{host} is open to the network: set MOTCUA_ENGINE_PASSWORD, or use --host 127.0.0.1")


def _claim(directory: Path) -> TextIO:
    """The lock on the data directory, held while the file is open."""
    if "?" in str(directory):
        raise _Stop(2, f"the engine cannot use a path with a question mark: choose another for {directory}")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "engine.lock").open("a+")
    except OSError as error:
        raise _Stop(
            1, f"cannot write to {directory} ({error.strerror}): choose another with --data"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        raise _in_use(directory, f" by process {holder}" if holder else "") from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _in_use(directory: Path, whose: str = "") -> _Stop:
    return _Stop(
        3, f"{directory} is in use{whose}: stop that with motcua down, or choose another with --data"
    )


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Now, not when the engine is open: of two that bound the same port only one can listen.
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise _Stop(
                1, f"port {port} on {host} is taken: choose another, or --port 0 for a free one"
            ) from None
        raise _Stop(
            1, f"cannot listen on {host}:{port} ({error}): choose another with --host and --port"
        ) from None
    return listener


async def _serve(options: argparse.Namespace, listener: socket.socket) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    # The engine takes its time zone from the process when it is loaded, and its Native blocks carry none.
    os.environ["TZ"] = "UTC"
    time.tzset()
    from aiohttp import web

    from infra.local.engine_door import Door
    from infra.local.engine_errors import EngineError
    from infra.local.engine_request import Passwords
    from infra.local.engine_session import Caps, Engine

    caps = Caps(options.memory * _MIB, options.query_memory * _MIB, options.reader_memory * _MIB)
    try:
        engine = Engine(options.data.resolve(), caps)
    except EngineError as error:
        if "EmbeddedServer" in error.text:
            raise _in_use(options.data) from None
        raise _Stop(1, f"cannot open {options.data}: {error.text}; choose another with --data") from None
    passwords = Passwords(
        os.environ.get("MOTCUA_ENGINE_PASSWORD", ""), os.environ.get("MOTCUA_ENGINE_READER_PASSWORD", "")
    )
    door = Door(engine, passwords)
    runner = web.AppRunner(
        door.application(),
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=3600,
        max_line_size=_MIB,
        max_field_size=_MIB,
        read_bufsize=_MIB,
        shutdown_timeout=_GRACE_S,
    )
    await runner.setup()
    await web.SockSite(runner, listener).start()
    host, port = listener.getsockname()[:2]
    sys.stdout.write(f"engine ready on {host}:{port}\n")
    sys.stdout.flush()

    await stop.wait()
    await runner.cleanup()
    if door.dismiss():
        # It would hold the process for as long as it runs; the data are safe against a kill.
        sys.stderr.flush()
        os._exit(0)
    engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
