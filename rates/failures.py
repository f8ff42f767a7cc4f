"""What can go wrong, in three names and no fourth.

    Retry    something needed is away (ClickHouse, Kafka): wait, hold what is there, acknowledge nothing
    Poison   this one event cannot be understood or stored: it becomes a dead letter, the rest goes on
    Fatal    a bug, a wrong schema, a wrong topic: the process ends with this as its last line

Poison is a value (`rates.wire.Rejection`), never an exception; the other two are raised.
"""


class Retry(Exception):
    """Something needed is away for now. `what` names it, the message says how it showed."""

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(f"{what}: {detail}")
        self.what = what


class Fatal(Exception):
    """The process cannot go on. The message ends with what to do next."""
