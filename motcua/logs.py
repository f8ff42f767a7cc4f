"""Structured lines on stderr, the program's own and its libraries' alike."""

import logging
import sys

import structlog


def configure(level: str) -> None:
    """Structured lines on stderr; the libraries' own loggers go the same way, at warning and above."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    handler.addFilter(_tells_something)
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


def _tells_something(record: logging.LogRecord) -> bool:
    """Not the first join of a fresh broker, whose coordinator is made at that moment: it is asked again."""
    return "GroupCoordinatorNotAvailableError" not in record.getMessage()
