"""Which loopback port a part listens on: the one asked for, else the one it had last time, else a free one.

Free ports are taken from below the ranges that Linux and macOS use for outgoing connections: nobody borrows
a part's port while it is down, so its address is the same after a restart.
"""

import json
import secrets
import socket
from pathlib import Path

from infra.local.trouble import Away, WrongUse

HOST = "127.0.0.1"
_LOWEST, _HIGHEST = 20_000, 31_999


def settle(data_dir: Path, name: str, requested: int = 0) -> int:
    """The port of part `name` in this data directory; it is remembered there. `requested` 0 = choose one.

    Raises WrongUse for a number that is no port, Away when the requested port is taken.
    """
    if not 0 <= requested <= 65_535:
        raise WrongUse(f"{requested} is no port: choose one of 1-65535, or 0 for any free one")
    remembered = _remembered(data_dir)
    if requested:
        if not free(requested):
            raise Away(
                f"port {requested} on {HOST}, asked for the {name}, is taken: free it, or start with port 0 "
                f"(any free one). Who has it: ss -ltnp 'sport = :{requested}'"
            )
        port = requested
    else:
        port = remembered.get(name, 0)
        if not port or not free(port):
            port = _choose(set(remembered.values()))
    if remembered.get(name) != port:
        _remember(data_dir, remembered | {name: port})
    return port


def free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: connections of an earlier run that linger in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(address: str) -> bool:
    """Whether something listens on HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
    except OSError:
        return False
    return True


def _choose(others: set[int]) -> int:
    for _ in range(1_000):
        port = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST + 1)
        if port not in others and free(port):
            return port
    raise Away(f"no free port on {HOST} between {_LOWEST} and {_HIGHEST}. What listens there: ss -ltn")


def _remembered(data_dir: Path) -> dict[str, int]:
    try:
        kept = json.loads((data_dir / "ports.json").read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(kept, dict):
        return {}
    return {name: port for name, port in kept.items() if isinstance(port, int) and 0 < port <= 65_535}


def _remember(data_dir: Path, kept: dict[str, int]) -> None:
    data_dir.mkdir(parents=True, exist_ok=True)
    fresh = data_dir / "ports.json.new"
    fresh.write_text(json.dumps(kept, indent=1) + "\n")
    fresh.replace(data_dir / "ports.json")
