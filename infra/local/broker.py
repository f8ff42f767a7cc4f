"""A real Apache Kafka broker for one data directory: one node, KRaft, on loopback, as a child process.

It keeps what it is given: retention has no end, timestamps of any year are taken (a replayed log is old, and
a wrong clock is for the worker to judge), committed offsets do not expire. Topics are made by
`motcua migrate`, never by asking. It is tuned for a fast start on two cores. Everything is under
`DATA/broker`; the port stays the same over restarts.

    python -m infra.local.broker jars                          fetch the jars alone
    python -m infra.local.broker run --data DIR [--port P]     run it in the foreground
"""

import argparse
import asyncio
import base64
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.local import jars, lifeline, ports
from infra.local.trouble import Away, Trouble

LARGEST_MESSAGE = 16 * 1024 * 1024
_FOR_EVER = 2**63 - 1
_JAVA_OPTIONS = (
    "-Xms64m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    # A broker that lives on after it could not keep a message is worse than one that is started again.
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    # Each warns once at every ordinary start or stop.
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.controller.QuorumController=error",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.clients.NetworkClient=error",
)


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that is set up and not yet started."""

    address: str
    controller: str
    command: tuple[str, ...]
    java: tuple[str, ...]
    home: Path

    def format(self) -> None:
        """Makes the storage, once, under another name first: an interrupted one is made anew. Raises Away."""
        if (self.home / "log").exists():
            return
        unfinished = self.home / "log.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        settings = self.home / "format.properties"
        settings.write_text(_settings(self.address, self.controller, unfinished))
        tool = [*self.java, "kafka.tools.StorageTool", "format", "-c", str(settings), "-t", _cluster_id()]
        told = subprocess.run(tool, capture_output=True, text=True, check=False)
        if told.returncode:
            last = _last_words(told.stdout + told.stderr)
            raise Away(
                f"the broker's storage in {self.home} could not be made:\n  {last}\nthen run: motcua doctor"
            )
        unfinished.replace(self.home / "log")
        settings.unlink()

    async def ready(self) -> bool:
        return await asyncio.to_thread(topics, self.address) is not None


def prepare(data_dir: Path, port: int = 0, *, say: Callable[[str], None]) -> Broker:
    """Finds Java, finds or fetches the jars, settles the port and writes the settings. Raises Trouble."""
    program = jars.java()
    folder = jars.fetch(say)
    home = data_dir.absolute() / "broker"
    home.mkdir(parents=True, exist_ok=True)
    address = f"{ports.HOST}:{ports.settle(data_dir, 'broker', port)}"
    controller = f"{ports.HOST}:{ports.settle(data_dir, 'controller')}"
    settings = home / "server.properties"
    settings.write_text(_settings(address, controller, home / "log"))
    java = (program.path, *_JAVA_OPTIONS, "-cp", f"{folder}/*")
    return Broker(address, controller, (*java, "kafka.Kafka", str(settings)), java, home)


def topics(address: str) -> tuple[str, ...] | None:
    """The broker's topics, or None when nothing that speaks Kafka answers there within two seconds."""
    host, _, port = address.rpartition(":")
    try:
        # The client would try for two seconds, and leaves the refused socket to the garbage collector.
        socket.create_connection((host, int(port)), timeout=2).close()
    except OSError:
        return None
    # Here and not above: the import costs every command 0.1 s, and few of them ask.
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        admin = KafkaAdminClient(
            bootstrap_servers=address, bootstrap_timeout_ms=2_000, request_timeout_ms=2_000
        )
    except (KafkaError, OSError):
        return None
    try:
        return tuple(sorted(admin.list_topics()))
    except (KafkaError, OSError):
        return None
    finally:
        admin.close()


@contextlib.contextmanager
def running(data_dir: Path, port: int = 0, *, within: float = 60) -> Iterator[Broker]:
    """A broker alone, for as long as the block lasts; what it says goes to `DATA/logs/broker.log`.

    Raises Away when it ends before it answers, or does not answer `within` seconds.
    """
    broker = prepare(data_dir, port, say=_to_stderr)
    broker.format()
    log = data_dir / "logs" / "broker.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            lifeline.tied(broker.command), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + within
        while topics(broker.address) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                last = _last_words(log.read_text(errors="replace"))
                raise Away(
                    f"the broker on {broker.address} did not start:\n  {last}\nthen run: motcua doctor"
                )
            time.sleep(0.05)
        yield broker
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _cluster_id() -> str:
    # 16 bytes in base64; Kafka's own tools refuse one that looks like an option.
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def _settings(address: str, controller: str, log: Path) -> str:
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "listeners": f"PLAINTEXT://{address},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{address}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        # Voters by setting, not in the storage: there the controller's port would be kept for ever.
        "controller.quorum.voters": f"1@{controller}",
        "log.dirs": log,
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.num.partitions": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "message.max.bytes": LARGEST_MESSAGE,
        "replica.fetch.max.bytes": LARGEST_MESSAGE,
        "replica.fetch.response.max.bytes": LARGEST_MESSAGE,
        "fetch.max.bytes": 4 * LARGEST_MESSAGE,
        "log.retention.ms": -1,
        "log.retention.bytes": -1,
        "offsets.retention.minutes": 2**31 - 1,
        "log.message.timestamp.before.max.ms": _FOR_EVER,
        "log.message.timestamp.after.max.ms": _FOR_EVER,
        # By default a segment ends when its messages' times span a week: two years make thousands of files.
        "log.roll.ms": _FOR_EVER,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1_000,
        # After a SIGKILL the next start waits for the old session to end: 4 s instead of 11 to 14.
        "broker.session.timeout.ms": 2_000,
        "broker.heartbeat.interval.ms": 500,
        "num.network.threads": 2,
        "num.io.threads": 2,
        "background.threads": 2,
        "log.cleaner.dedupe.buffer.size": 2 * 1024 * 1024,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _last_words(output: str) -> str:
    # Of a Java stack trace the frames say the least.
    said = [line for line in output.splitlines() if not line.lstrip().startswith(("at ", "... "))]
    return "\n  ".join(said[-6:])


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.broker", description="the embedded Kafka broker"
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("jars", help="fetch the jars alone")
    run = verbs.add_parser("run", help="run the broker in the foreground")
    run.add_argument("--data", type=Path, required=True, help="the data directory")
    run.add_argument("--port", type=int, default=0, help="0 = the one of last time, else any free one")
    chosen = parser.parse_args()
    try:
        if chosen.verb == "jars":
            _to_stderr(f"the broker's jars: {jars.fetch(_to_stderr)}")
        else:
            broker = prepare(chosen.data, chosen.port, say=_to_stderr)
            broker.format()
            _to_stderr(f"the broker listens on {broker.address}")
            os.execv(broker.command[0], broker.command)  # noqa: S606 (this process becomes the broker)
    except Trouble as trouble:
        _to_stderr(str(trouble))
        return trouble.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
