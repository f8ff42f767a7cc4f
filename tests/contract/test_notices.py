"""Notices of alerts reach a mail server, a web server, a file and a real Alertmanager, each once."""

import json
import shutil
import socket
import subprocess
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from motcua.notices import Channel, File, Mail, Notifier, Post, channels
from motcua.settings import Settings
from rates.alerts import Level, Reading
from rates.calendar import Calendar
from rates.verdicts import Key, Ruling, State, Status
from sinks import alerts, migrate, reference
from sinks.alerts import Alerts
from sinks.client import Database, connect
from tests.support.receivers import mails, posts
from tests.support.waiting import eventually

NOON = 1_678_683_600  # 2023-03-13 12:00 local
UNIT = "H18.21.01"
_names = count(1)


@pytest.fixture
async def database(engine_url: str) -> AsyncIterator[Database]:
    async with connect(engine_url, f"notices_{next(_names)}") as connected:
        await migrate.migrate(connected, NOON, lambda _line: None)
        await reference.save(connected, NOON)
        yield connected


async def alert(
    database: Database,
    at: int,
    status: Status = "firing",
    subject: str = "H18",
    level: Level = "province",
    rule: str = "R1",
    severity: str = "warn",
) -> None:
    """Put an alert where the rules would have put it at a moment."""
    state = State(status, severity, at, 0)  # type: ignore[arg-type]
    said = f"Tỷ lệ của {subject}", f"Rate of {subject}"
    ruling = Ruling(Key(rule, level, subject), subject[:3], State(), state, Reading("bad"), *said, tells=True)
    await Alerts(database, Calendar.shipped()).save([ruling], at, fresh=True)


class Telling:
    """A notifier over some ways out, and what it counts."""

    def __init__(self, database: Database, *ways: Channel, reminder_hours: float = 24) -> None:
        self.counts: Counter[str] = Counter()
        self.database = database
        self.ways: Sequence[Channel] = ways
        self.reminder_hours = reminder_hours

    async def at(self, now: int) -> None:
        """One look, by a notifier that remembers nothing of the one before."""
        await Notifier(
            self.database, self.ways, reminder_hours=self.reminder_hours, counts=self.counts, wait=0.01
        ).notify(now, lambda code: (f"Tỉnh {code}", f"Province {code}"))


def labels(body: list[dict]) -> list[tuple[str, str, str]]:
    return [(one["labels"]["rule"], one["labels"]["subject"], one["labels"]["severity"]) for one in body]


async def test_a_webhook_is_told_once_of_each_province_of_what_fires_and_what_ends(
    database: Database,
) -> None:
    async with posts() as hook:
        telling = Telling(database, Post("webhook", hook.url))
        await alert(database, NOON)
        await alert(database, NOON, subject=UNIT, level="unit", rule="R4", severity="critical")
        await alert(database, NOON, subject="H01")
        await alert(database, NOON, subject="H05", status="pending")
        for later in range(3):
            await telling.at(NOON + later)
        assert [labels(body) for body in hook.bodies] == [
            [("R1", "H01", "warn")],
            [("R4", UNIT, "critical"), ("R1", "H18", "warn")],
        ]
        assert hook.bodies[1][-1]["annotations"]["summary_vi"] == "Tỷ lệ của H18"
        await alert(database, NOON + 60, status="ok")
        await telling.at(NOON + 60)
        (over,) = [one for one in hook.bodies[2] if one["labels"]["subject"] == "H18"]
        assert over["endsAt"] == "2023-03-13T12:00:50+07:00"
        await telling.at(NOON + 61)
        assert len(hook.bodies) == 3
    assert telling.counts["notices_sent_webhook"] == 3


async def test_mail_is_one_letter_a_province_in_vietnamese_and_english(database: Database) -> None:
    async with mails() as server:
        readers = ("a@example.invalid", "b@example.invalid")
        telling = Telling(database, Mail(server.url, "motcua@example.invalid", readers))
        await alert(database, NOON)
        await telling.at(NOON)
        ((to, letter),) = server.letters
        assert to == list(readers)
        assert letter["Subject"] == "[motcua] Tỉnh H18 (H18): 1 cảnh báo / firing, 0 đã hết / over"
        text = letter.get_content()
        assert "Tỷ lệ của H18" in text
        assert "Rate of H18" in text


async def test_a_file_gets_a_line_and_a_reminder_once_it_is_due(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "alerts.ndjson"
    telling = Telling(database, File(path), reminder_hours=2)
    await alert(database, NOON)
    for minutes in (0, 60, 119, 120, 180, 241):
        await telling.at(NOON + 60 * minutes)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["at"][11:16] for line in lines] == ["12:00", "14:00", "16:01"]
    assert {line["body"] for line in lines} == {"H18"}


async def test_what_is_silenced_is_not_told_and_is_told_once_the_silence_ends(database: Database) -> None:
    async with posts() as hook:
        telling = Telling(database, Post("webhook", hook.url))
        await alert(database, NOON)
        silenced = {"rule": "R1", "subject": "H18", "reason": "known", "by": "a test"}
        await alerts.silence(database, **silenced, until=NOON + 7200, now=1)
        await telling.at(NOON)
        assert hook.bodies == []
        await alerts.silence(database, **silenced, until=NOON, now=2)
        await telling.at(NOON + 10)
        assert [labels(body) for body in hook.bodies] == [[("R1", "H18", "warn")]]
        await alerts.silence(database, **silenced, until=NOON + 7200, now=3)
        await telling.at(NOON + 20)
        assert len(hook.bodies) == 1  # a silence is no end


async def test_an_installation_of_one_body_tells_of_that_body_alone(database: Database) -> None:
    async with posts() as hook:
        for subject in ("H01", "H18"):
            await alert(database, NOON, subject=subject)
        ways = [Post("webhook", hook.url)]
        notifier = Notifier(database, ways, reminder_hours=24, counts=Counter(), only="H18")
        await notifier.notify(NOON, lambda code: (code, code))
        assert [labels(body) for body in hook.bodies] == [[("R1", "H18", "warn")]]


async def test_a_notice_that_fails_is_tried_again_and_seen_until_it_arrives(database: Database) -> None:
    async with posts() as hook, posts() as other:
        hook.refuse = 503
        telling = Telling(database, Post("alertmanager", hook.url), Post("webhook", other.url))
        await alert(database, NOON)
        await telling.at(NOON)
        await telling.at(NOON + 30)
        assert hook.refused == 6
        assert len(other.bodies) == 1
        (row,) = await alerts.failing(database)
        assert (row["channel"], row["body"], row["tries"]) == ("alertmanager", "H18", 2)
        assert row["failing"] == "HTTP 503: not now"
        assert telling.counts["notices_failed_alertmanager"] == 2
        hook.refuse = 0
        await telling.at(NOON + 60)
        assert [labels(body) for body in hook.bodies] == [[("R1", "H18", "warn")]]
        assert await alerts.failing(database) == []


async def test_an_alert_that_gets_worse_ends_under_its_old_severity(database: Database) -> None:
    async with posts() as hook:
        telling = Telling(database, Post("webhook", hook.url))
        await alert(database, NOON)
        await telling.at(NOON)
        await alert(database, NOON + 60, severity="critical")
        await telling.at(NOON + 60)
        worse, old = hook.bodies[1]
        assert (worse["labels"]["severity"], old["labels"]["severity"]) == ("critical", "warn")
        assert old["endsAt"] == "2023-03-13T12:00:50+07:00" < worse["endsAt"]


def test_the_ways_out_are_those_that_are_set() -> None:
    assert channels(Settings()) == []
    ways = channels(
        Settings.model_validate(
            {
                "alertmanager_url": "http://am:9093/",
                "webhook_url": "https://hook.example/x",
                "smtp_url": "smtp://mail:25",
                "mail_to": "a@example.invalid, b@example.invalid",
                "alerts_file": "alerts.ndjson",
            }
        )
    )
    assert ways == [
        Post("alertmanager", "http://am:9093/api/v2/alerts"),
        Post("webhook", "https://hook.example/x"),
        Mail("smtp://mail:25", "motcua@mail", ("a@example.invalid", "b@example.invalid")),
        File(Path("alerts.ndjson")),
    ]


def _held(url: str) -> list[dict] | None:
    """The alerts that an Alertmanager has; None while it does not answer."""
    try:
        with urllib.request.urlopen(f"{url}/api/v2/alerts", timeout=5) as answer:
            return list(json.load(answer))
    except OSError:
        return None


@contextmanager
def alertmanager(folder: Path) -> Iterator[str]:
    """Debian's Alertmanager on a port of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (folder / "am.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n", encoding="utf-8")
    with subprocess.Popen(
        [
            "prometheus-alertmanager",
            f"--config.file={folder / 'am.yml'}",
            f"--storage.path={folder / 'am'}",
            f"--web.listen-address={address}",
            f"--web.external-url=http://{address}",
            "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            eventually(
                lambda: process.poll() is not None or _held(f"http://{address}") is not None, "it answers"
            )
            assert process.poll() is None, "Alertmanager ended; its package may be incomplete"
            yield f"http://{address}"
        finally:
            process.terminate()


@pytest.mark.skipif(
    not shutil.which("prometheus-alertmanager"),
    reason="prometheus-alertmanager is missing (apt-get install prometheus-alertmanager)",
)
async def test_alertmanager_holds_what_fires_and_lets_go_of_what_has_ended(
    database: Database, tmp_path: Path
) -> None:
    now = int(await database.value("SELECT toUnixTimestamp(now())"))
    with alertmanager(tmp_path) as url:
        telling = Telling(database, Post("alertmanager", f"{url}/api/v2/alerts"))
        await alert(database, now - 60)
        await telling.at(now)
        eventually(lambda: bool(_held(url)), "the alert is there")
        (one,) = _held(url) or []
        assert one["labels"]["subject"] == "H18"
        assert one["labels"]["alertname"] == "Lagging behind its target"
        assert one["annotations"]["summary"] == "Rate of H18"
        assert one["status"]["state"] in ("active", "unprocessed")
        await alert(database, now, status="ok")
        await telling.at(now + 1)
        eventually(lambda: _held(url) == [], "the alert is gone", within=20)
        assert await alerts.failing(database) == []
