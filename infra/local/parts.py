"""The two parts of the stack that live in this room, for the caller's list: the broker and the engine."""

import sys
from collections.abc import Callable
from pathlib import Path

from infra.local import broker, ports
from infra.local.broker_settings import STARTED
from infra.local.stack import Part


def broker_part(data_dir: Path, port: int = 0, *, say: Callable[[str], None]) -> Part:
    """A real Kafka. `say` hears of the jars being fetched, once. Raises Trouble: no Java, no Maven, port
    taken."""
    prepared = broker.prepare(data_dir, port, say=say)
    return Part(
        name="broker",
        argv=prepared.command,
        ready=STARTED,
        address=prepared.address,
        announced={"kafka": prepared.address},
        before=prepared.format,
        needs=(),
    )


def engine_part(data_dir: Path, port: int = 0, *, password: str = "") -> Part:
    """A real ClickHouse behind its HTTP interface, which asks for the password if there is one.

    Raises Trouble when the port is taken.
    """
    settled = ports.settle(data_dir, "engine", port)
    address = f"{ports.HOST}:{settled}"
    command = (sys.executable, "-m", "infra.local.engine", "--data", str(data_dir.absolute() / "engine"))
    return Part(
        name="engine",
        argv=(*command, "--port", str(settled)),
        ready=f"engine ready on {address}",
        address=address,
        announced={"clickhouse": f"http://{address}"},
        environment={"MOTCUA_ENGINE_PASSWORD": password} if password else {},
        needs=(),
    )
