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
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.local import first_start, jars, lifeline, ports
from infra.local.broker_settings import properties
from infra.local.first_start import Kept, last_words
from infra.local.trouble import Away, Trouble


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that is set up and not yet started."""

    address: str
    controller: str
    command: tuple[str, ...]
    kept: Kept
    home: Path

    def format(self) -> None:
        """Makes the storage, once, under another name first: an interrupted one is made anew. Raises Away."""
        if (self.home / "log").exists():
            return
        unfinished = self.home / "log.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            self.kept.storage(unfinished)
            unfinished.replace(self.home / "log")
        except OSError as error:
            raise Away(
                f"the broker's storage in {self.home} could not be made: {error}. Make room or choose "
                "another data directory with MOTCUA_DATA_DIR, then run: motcua doctor"
            ) from error

    async def ready(self) -> bool:
        """Whether it answers, for who does not hear what it says."""
        return await asyncio.to_thread(topics, self.address) is not None


def fetch(say: Callable[[str], None]) -> Kept:
    """All that is fetched and made once, for every broker of this machine. Raises Away."""
    program = jars.java()
    return first_start.kept(program, jars.fetch(say), say)


def prepare(data_dir: Path, port: int = 0, *, say: Callable[[str], None]) -> Broker:
    """Finds Java, finds or fetches the jars, settles the port and writes the settings. Raises Trouble."""
    kept = fetch(say)
    home = data_dir.absolute() / "broker"
    home.mkdir(parents=True, exist_ok=True)
    address = f"{ports.HOST}:{ports.settle(data_dir, 'broker', port)}"
    controller = f"{ports.HOST}:{ports.settle(data_dir, 'controller')}"
    settings = home / "server.properties"
    settings.write_text(properties(address, controller, home / "log"))
    return Broker(address, controller, (*kept.java, first_start.MAIN, str(settings)), kept, home)


def topics(address: str) -> tuple[str, ...] | None:
    """The broker's topics, or None when nothing that speaks Kafka answers there within two seconds."""
    # The client would try for two seconds, and leaves the refused socket to the garbage collector.
    if not ports.answers(address):
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
                last = last_words(log.read_text(errors="replace"))
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
            _to_stderr(f"the broker's jars: {fetch(_to_stderr).jars}")
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
