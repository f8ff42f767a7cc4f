"""What can go wrong, in three names and no fourth; and which of them the errors of ClickHouse and Kafka are.

    Retry    something needed is away (ClickHouse, Kafka): wait, hold what is there, acknowledge nothing
    Poison   this one event cannot be understood or stored: it becomes a dead letter, the rest goes on
    Fatal    a bug, a wrong schema, a wrong topic: the process ends with this as its last line

Poison is a value (`rates.wire.Rejection`), never an exception; the other two are raised. `Refused` is the
Fatal of one insert, whose rows the engine will not take: whoever saves them may look for the one at fault.

Sources: ClickHouse `src/Common/ErrorCodes.cpp`; the Kafka protocol's error codes,
kafka.apache.org/protocol.html#protocol_error_codes.
"""

from collections.abc import Mapping
from typing import Final


class Retry(Exception):
    """Something needed is away for now. `what` names it, the message says how it showed."""

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(f"{what}: {detail}")
        self.what = what


class Fatal(Exception):
    """The process cannot go on. The message ends with what to do next."""


class Refused(Fatal):
    """The engine does not take an insert for what is in its rows."""


CLICKHOUSE: Final[Mapping[int, tuple[type[Retry] | type[Fatal], str]]] = {
    3: (Retry, "the answer ended early"),
    6: (Refused, "a text cannot be read"),
    27: (Refused, "a value cannot be read"),
    38: (Refused, "a date cannot be read"),
    41: (Refused, "a time cannot be read"),
    69: (Refused, "a value is out of bounds"),
    70: (Refused, "a value cannot be converted"),
    117: (Refused, "wrong data"),
    131: (Refused, "a text is too long"),
    159: (Retry, "timeout exceeded"),
    164: (Retry, "read-only for now"),
    198: (Retry, "name not resolved"),
    202: (Retry, "too many simultaneous queries"),
    203: (Retry, "no free connection"),
    209: (Retry, "socket timeout"),
    210: (Retry, "network error"),
    236: (Retry, "aborted"),
    241: (Retry, "memory limit exceeded"),
    242: (Retry, "table is read-only"),
    243: (Retry, "not enough space"),
    252: (Retry, "too many parts"),
    279: (Retry, "all connection tries failed"),
    285: (Retry, "too few live replicas"),
    319: (Retry, "unknown status of insert"),
    321: (Refused, "a value is out of the range of its type"),
    349: (Refused, "a value is missing"),
    394: (Retry, "query was cancelled"),
    407: (Refused, "a decimal is too large"),
    425: (Retry, "system error"),
    469: (Refused, "a constraint is violated"),
    473: (Retry, "deadlock avoided"),
    691: (Refused, "an unknown element of an enumeration"),
    734: (Retry, "too many files in a cache"),
    745: (Retry, "the server is overloaded"),
    999: (Retry, "keeper away"),
}
"""By code; one that is not named is Fatal. 252 is two errors: too many partitions in one insert is a bug."""

KAFKA: Final[Mapping[int, tuple[type[Retry] | type[Fatal], str]]] = {
    -1: (Retry, "an unexpected error of the broker"),
    1: (Fatal, "an offset is gone: the topic was truncated or made anew"),
    2: (Retry, "a message came damaged"),
    3: (Retry, "the topic is not known here yet"),
    5: (Retry, "no leader yet"),
    6: (Retry, "another broker leads"),
    7: (Retry, "a request timed out"),
    8: (Retry, "a broker is away"),
    9: (Retry, "a replica is away"),
    10: (Fatal, "a message is too large"),
    13: (Retry, "the connection broke"),
    14: (Retry, "the coordinator is loading"),
    15: (Retry, "no coordinator yet"),
    16: (Retry, "another broker coordinates"),
    17: (Fatal, "no topic can have that name"),
    19: (Retry, "too few replicas"),
    20: (Retry, "too few replicas after the write"),
    22: (Retry, "the group has moved on"),
    25: (Retry, "the group no longer knows this member"),
    27: (Retry, "the group is being rebalanced"),
    29: (Fatal, "not authorized for the topic"),
    30: (Fatal, "not authorized for the group"),
    31: (Fatal, "not authorized for the cluster"),
    32: (Fatal, "a timestamp is out of what the topic takes"),
    33: (Fatal, "this way of logging in is not known"),
    35: (Fatal, "the broker is too old or too new"),
    38: (Fatal, "a replication factor that the cluster cannot give"),
    41: (Retry, "another broker controls"),
    56: (Retry, "the broker's disk fails"),
    58: (Fatal, "the login failed"),
    74: (Retry, "the leader changed"),
    75: (Retry, "the leader is not known yet"),
    76: (Fatal, "the compression is not known"),
    82: (Fatal, "another member took this one's name"),
    87: (Fatal, "a message is not taken"),
    89: (Retry, "the broker asks for patience"),
}
"""By the protocol's code; one that is not named is Fatal, an error without a code is Retry."""

_PASSING: Final = frozenset({"CommitFailedError", "KafkaTimeoutError", "KafkaUnavailableError"})
"""Errors of Kafka's clients that carry no code, do not call themselves retriable, and pass by themselves."""


def kafka_failure(error: Exception, brokers: str) -> Retry | Fatal:
    """The failure that an error of a Kafka client means (kafka-python and aiokafka name theirs alike)."""
    # A socket's errno is another numbering.
    code = None if isinstance(error, OSError) else getattr(error, "errno", None)
    # Kafka's own say everything twice, the whole request included.
    words = f"{type(error).__name__}: {error}"[:200]
    retriable = isinstance(error, OSError) or getattr(error, "retriable", False)
    if code is not None:
        kind, meaning = KAFKA.get(code, (Fatal, "refused"))
        words = f"{meaning} ({code}): {words}"
    else:
        kind = Retry if retriable or type(error).__name__ in _PASSING else Fatal
    if issubclass(kind, Retry):
        return Retry("kafka", f"{brokers} does not answer ({words}). Next: motcua status")
    return kind(f"Kafka at {brokers} refuses: {words}. Next: motcua doctor")
