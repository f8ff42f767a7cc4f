"""Lines of log: one form for all, and a library that repeats itself is cut short."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from motcua import logs
from motcua.logs import LINES, Limit
from tests.support.waiting import eventually


class Kept(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def kept() -> Iterator[Kept]:
    before = logs.suppressed.copy()
    logs.suppressed.clear()
    yield Kept()
    logs.suppressed.clear()
    logs.suppressed.update(before)


def speak(kept: Kept, name: str, *lines: str) -> None:
    for line in lines:
        kept.handle(logging.LogRecord(name, logging.ERROR, "", 0, line, None, None))


def test_a_flood_is_some_lines_and_one_that_says_how_many_more_there_were(kept: Kept) -> None:
    kept.addFilter(Limit(kept, seconds=0.5))
    flood = [f"Unable connect to node with id {number}: [Errno 111]" for number in range(1_000)]
    # Not a library that a broker of another test may still be crying through in this process.
    speak(kept, "mode.worker", *flood)
    assert kept.lines == flood[:LINES]
    assert logs.suppressed["mode"] == 1_000 - LINES
    eventually(lambda: len(kept.lines) > LINES, "the last line of the flood", 30)
    assert kept.lines[LINES:] == ["suppressed 995 lines like: Unable connect to node with id #: [Errno #]"]


def test_after_a_flood_the_same_line_is_news_again(kept: Kept) -> None:
    kept.addFilter(Limit(kept, seconds=0.05))
    speak(kept, "kafka.conn", *["connection lost"] * 100)
    eventually(lambda: kept.lines[-1].startswith("suppressed"), "the last line of the flood", 30)
    speak(kept, "kafka.conn", "connection lost")
    assert kept.lines[-1] == "connection lost"


def test_lines_that_differ_in_words_or_by_logger_are_told_apart(kept: Kept) -> None:
    kept.addFilter(Limit(kept, seconds=60))
    for name in ("aiokafka.client", "faust.transport", "kafka.conn"):
        speak(kept, name, *[text for text in ("connection lost", "heartbeat failed") for _ in range(9)])
    assert len(kept.lines) == 3 * 2 * LINES


def test_the_programs_own_lines_and_those_of_other_libraries_are_never_cut(kept: Kept) -> None:
    kept.addFilter(Limit(kept, seconds=60))
    speak(kept, "aiohttp.server", *["the same"] * 50)
    assert len(kept.lines) == 50


def test_no_flood_of_ever_new_lines_is_remembered_whole(kept: Kept) -> None:
    limit = Limit(kept, seconds=60)
    kept.addFilter(limit)
    words = ["".join(chr(97 + int(digit)) for digit in str(number)) for number in range(1_000)]
    speak(kept, "faust", *words)
    assert len(limit._seen) <= 256


SPEAKING = """
import logging, structlog
from motcua import logs
logs.configure("info", "{form}")
structlog.get_logger("page").info("đã ghi", count=3, secret_free=True)
structlog.get_logger("page").debug("not at this level")
logging.getLogger("aiokafka.client").error("no node %d", 1)
logging.getLogger("kafka.net.selector").warning("Task %r ran for %.3fs (>%.3fs threshold)." % ("t", 1, 0.1))
try:
    password = "tuyệt mật"
    raise ValueError("wrong")
except ValueError:
    logging.getLogger("aiohttp.server").exception("a handler failed")
"""


def said(form: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SPEAKING.format(form=form)], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return done.stderr


def test_as_json_each_line_is_one_object_of_the_same_shape() -> None:
    lines = [json.loads(line) for line in said("json").splitlines()]
    assert [line["event"] for line in lines] == ["đã ghi", "no node 1", "a handler failed"]
    assert [line["level"] for line in lines] == ["info", "error", "error"]
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert lines[0]["count"] == 3
    assert lines[1]["logger"] == "aiokafka.client"
    assert "ValueError: wrong" in lines[2]["exception"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_shows_no_values_of_variables(form: str) -> None:
    heard = said(form)
    assert "ValueError: wrong" in heard
    assert heard.count("tuyệt mật") == 0


def test_as_text_an_event_stands_beside_its_fields() -> None:
    assert "đã ghi count=3 secret_free=True" in " ".join(said("text").split())
