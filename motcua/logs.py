"""Structured lines on stderr, the program's own and its libraries' alike: one line for each fact.

As text a line reads `2026-01-05T02:30:00Z [info] partitions assigned count=12 epoch=1`, as JSON it is one
object with `event`, `level`, `timestamp` and the fields. Libraries speak at warning and above, and a library
that repeats itself is cut short: of lines that are alike but for their numbers and addresses, so many in a
while, then one that says how many more there were.
"""

import logging
import re
import sys
import threading
import time
from collections import Counter, OrderedDict
from typing import Final, NamedTuple

import structlog

LINES: Final = 5
"""So many lines that are alike"""
WHILE_SECONDS: Final = 10.0
"""are logged in so many seconds."""
_LIKENESSES: Final = 256
"""So many kinds of lines are remembered."""
_FLOODING: Final = ("aiokafka", "kafka", "librdkafka", "faust", "mode")
_VARYING: Final = re.compile(r"\d+|0x[0-9a-f]+|'[^']*'|\"[^\"]*\"")

suppressed: Counter[str] = Counter()
"""Lines that were not logged, by the library that they are of."""


def configure(level: str, form: str = "text") -> None:
    """Structured lines on stderr, from `level` on; `form` text or json."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor
    if form == "json":
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        )
    )
    handler.addFilter(_tells_something)
    handler.addFilter(Limit(handler))
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


class Limit(logging.Filter):
    """Lets `LINES` lines that are alike pass in `seconds`; then one line says how many more there were.

    Lines are alike if they come from one logger at one level and differ in numbers and quoted names alone.
    The program's own lines are not limited: they are one for each fact. `handler` gets the last line.
    """

    def __init__(self, handler: logging.Handler, seconds: float = WHILE_SECONDS) -> None:
        super().__init__()
        self._handler = handler
        self._seconds = seconds
        self._seen: OrderedDict[_Likeness, tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        library = record.name.partition(".")[0]
        if library not in _FLOODING:
            return True
        likeness = _Likeness(record.name, record.levelno, _VARYING.sub("#", record.getMessage()))
        now = time.monotonic()
        with self._lock:
            since, count = self._seen.pop(likeness, (now, 0))
            if count <= LINES and now - since >= self._seconds:
                since, count = now, 0
            count += 1
            self._seen[likeness] = since, count
            if len(self._seen) > _LIKENESSES:
                self._seen.popitem(last=False)
            if count <= LINES:
                return True
            suppressed[library] += 1
        if count == LINES + 1:
            telling = threading.Timer(since + self._seconds - now, self._tell, (likeness,))
            telling.daemon = True
            telling.start()
        return False

    def _tell(self, likeness: "_Likeness") -> None:
        with self._lock:
            _, count = self._seen.pop(likeness, (0.0, 0))
        if count > LINES:
            said = "suppressed %d lines like: %s", (count - LINES, likeness.text)
            self._handler.handle(logging.LogRecord(likeness.logger, likeness.level, "", 0, *said, None))


class _Likeness(NamedTuple):
    logger: str
    level: int
    text: str


def _tells_something(record: logging.LogRecord) -> bool:
    """Not what is no news to anybody.

    A fresh broker makes its coordinator at the first join and is asked again; and on a busy machine a step of
    kafka-python's own loop may have to wait.
    """
    message = record.getMessage()
    waited = record.name.startswith("kafka.net") and message.startswith("Task ") and " ran for " in message
    return not waited and "GroupCoordinatorNotAvailableError" not in message
