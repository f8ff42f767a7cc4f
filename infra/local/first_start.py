"""What the broker's very first start on a machine leaves for all later ones, in the cache beside the jars.

Its empty storage, so that a new data directory needs no Java of its own to make it; and its classes as the
Java machine keeps them once they are read and checked (class data sharing), which halves a start. Both belong
to one set of jars and one Java: others are made anew. A Java that cannot keep its classes does without.
"""

import base64
import contextlib
import fcntl
import hashlib
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.local import lifeline, ports
from infra.local.broker_settings import JAVA_OPTIONS, properties
from infra.local.jars import Java, cache_dir
from infra.local.trouble import Away

MAIN = "kafka.Kafka"
_WITHIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Kept:
    """`java`: the beginning of a command line, up to the class that is to run."""

    java: tuple[str, ...]
    jars: Path
    home: Path

    def storage(self, log: Path) -> None:
        """A new cluster's empty storage at `log`, which is not there yet."""
        shutil.copytree(self.home / "storage", log)
        said = {"version": 1, "node.id": 1, "cluster.id": _fresh_id(), "directory.id": _fresh_id()}
        (log / "meta.properties").write_text("".join(f"{name}={value}\n" for name, value in said.items()))


def kept(program: Java, jars: Path, say: Callable[[str], None]) -> Kept:
    """What is there for these jars and this Java; it is made if need be, in some seconds. Raises Away."""
    java = (program.path, *JAVA_OPTIONS, "-cp", f"{jars}/*")
    belongs = "\n".join([*java, program.build, str((jars / "complete").stat().st_mtime_ns)])
    home = cache_dir() / "broker" / hashlib.sha256(belongs.encode()).hexdigest()[:16]
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with (home.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever held the lock may have made it.
            if not home.exists():
                say("the broker is started once, so that it starts quickly from now on (some seconds)")
                _make(java, home)
    classes = home / "classes.jsa"
    quick = (f"-XX:SharedArchiveFile={classes}",) if classes.exists() else ()
    return Kept((java[0], *quick, *java[1:]), jars, home)


def _make(java: tuple[str, ...], home: Path) -> None:
    with TemporaryDirectory(dir=home.parent) as folder:
        scratch = Path(folder)
        fresh, log, settings = scratch / "kept", scratch / "log", scratch / "server.properties"
        address, controller = (
            f"{ports.HOST}:{ports.settle(scratch, name)}" for name in ("broker", "controller")
        )
        settings.write_text(properties(address, controller, log))
        tool = [*java, "kafka.tools.StorageTool", "format", "-c", str(settings), "-t", _fresh_id()]
        told = subprocess.run(tool, capture_output=True, text=True, check=False)
        if told.returncode:
            last = last_words(told.stdout + told.stderr)
            raise Away(f"the broker's storage could not be made:\n  {last}\nthen run: motcua doctor")
        shutil.copytree(log, fresh / "storage")
        archive = (f"-XX:ArchiveClassesAtExit={fresh / 'classes.jsa'}",)
        output = scratch / "said"
        with output.open("wb") as said:
            command = [java[0], *archive, *java[1:], MAIN, str(settings)]
            broker = subprocess.Popen(
                lifeline.tied(command), stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        try:
            _used(address, broker)
        finally:
            broker.terminate()
            try:
                broker.wait(_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                broker.kill()
                broker.wait()
        fresh.replace(home)


def _used(address: str, broker: "subprocess.Popen[bytes]") -> None:
    """Uses it as a stack does, so that the classes of that are kept; a broker that ends is used no more."""
    from kafka import KafkaConsumer, KafkaProducer
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    deadline = time.monotonic() + _WITHIN_SECONDS
    while not ports.answers(address):
        if broker.poll() is not None or time.monotonic() > deadline:
            return
        time.sleep(0.05)
    with contextlib.suppress(KafkaError, OSError):
        admin = KafkaAdminClient(bootstrap_servers=address)
        admin.create_topics({"once": {"num_partitions": 1, "replication_factor": 1}})
        admin.wait_for_topics(["once"])
        producer = KafkaProducer(bootstrap_servers=address)
        producer.send("once", b"once").get(timeout=10)
        consumer = KafkaConsumer(
            "once", bootstrap_servers=address, group_id="once", auto_offset_reset="earliest"
        )
        consumer.poll(timeout_ms=10_000)
        for client in (consumer, producer, admin):
            client.close()


def _fresh_id() -> str:
    # 16 bytes in base64; Kafka's own tools refuse one that looks like an option.
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def last_words(output: str) -> str:
    """The end of what a Java program said."""
    # Of a Java stack trace the frames say the least.
    said = [line for line in output.splitlines() if not line.lstrip().startswith(("at ", "... "))]
    return "\n  ".join(said[-6:])
