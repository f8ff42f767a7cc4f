"""How the broker is set: its properties, and the options of its Java.

It keeps what it is given, whatever its time, and is quick to start rather than quick when it is large.
"""

from pathlib import Path

STARTED = "Kafka Server started"
"""What it says when it answers."""
LARGEST_MESSAGE = 16 * 1024 * 1024
_FOR_EVER = 2**63 - 1
JAVA_OPTIONS = (
    "-Xms64m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    # A broker that lives on after it could not keep a message is worse than one that is started again.
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    # It says STARTED.
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
    # Each warns once at every ordinary start or stop.
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.controller.QuorumController=error",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.clients.NetworkClient=error",
)


def properties(address: str, controller: str, log: Path) -> str:
    """The text of `server.properties`."""
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
        # One node has nobody to show that it still leads: by default it writes so twice a second.
        "metadata.max.idle.interval.ms": 10_000,
        "num.network.threads": 2,
        "num.io.threads": 2,
        "background.threads": 2,
        "log.cleaner.dedupe.buffer.size": 2 * 1024 * 1024,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
