"""Tells people of alerts: through Alertmanager, a webhook, mail or a file, one notice for each province.

A way out is told when an alert of a body fires, gets worse or ends, and reminded of those that go on. What it
was told is kept in the database, so nothing is told twice, whichever worker tells. A notice that cannot be
delivered is tried again at once, then at every look until it is; meanwhile `motcua alerts` and a metric say
so, and no other way out waits for it. Whoever dies after telling and before noting tells again.

A silenced alert is not told. It does not end by that: the end of an alert that was told before is not.
"""

import asyncio
import json
import smtplib
import ssl
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

import aiohttp
import structlog
from tenacity import AsyncRetrying, RetryError, retry_if_exception_type, stop_after_attempt, wait_exponential

from infra.local.trouble import WrongUse
from motcua import clock
from motcua.settings import Settings
from rates.alerts import RULES
from sinks import alerts
from sinks.client import Database

log = structlog.get_logger(__name__)

_TRIES: Final = 3
_SECONDS: Final = 5.0
"""How long one try may take."""
_LISTED: Final = 100
"""So many alerts are listed in a letter; `motcua alerts` has all."""
_APART: Final = 10
"""Seconds that clocks may be apart."""
_LONG: Final = 7 * 24.0
"""Hours that Alertmanager believes an alert which nobody is reminded of."""
_RULES: Final = {rule.id: rule for rule in RULES}


class Undelivered(Exception):
    """A notice did not arrive; says why."""


class Alert(NamedTuple):
    """One alert of a notice. Times in seconds since 1970 UTC; `over`: it has ended."""

    rule: str
    level: str
    subject: str
    severity: str
    since: int
    reason_vi: str
    reason_en: str
    over: bool = False


class Notice(NamedTuple):
    """What a way out is told of one body at `at`: the alerts that fire and those that ended since."""

    body: str
    name_vi: str
    name_en: str
    at: int
    until: int
    alerts: Sequence[Alert]


class Channel(Protocol):
    """A way out. `send` raises `Undelivered`."""

    @property
    def name(self) -> str: ...

    async def send(self, notice: Notice) -> None: ...


class Post(NamedTuple):
    """Alertmanager's API v2, or whoever takes the same body."""

    name: str
    url: str

    async def send(self, notice: Notice) -> None:
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self.url, json=posted(notice)) as answer,
            ):
                if answer.status >= 300:
                    text = (await answer.text())[:200]
                    raise Undelivered(f"HTTP {answer.status}: {text}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Undelivered(f"{type(error).__name__}: {error}"[:300]) from error


class Mail(NamedTuple):
    """A mail server and those who are sent mail."""

    url: str
    sender: str
    to: Sequence[str]
    name: str = "mail"

    async def send(self, notice: Notice) -> None:
        try:
            await asyncio.to_thread(self._send, written(notice, self.sender, self.to))
        except (smtplib.SMTPException, OSError) as error:
            raise Undelivered(f"{type(error).__name__}: {error}"[:300]) from error

    def _send(self, message: EmailMessage) -> None:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or 0
        secure = ssl.create_default_context()
        server = (
            smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=secure)
            if parts.scheme == "smtps"
            else smtplib.SMTP(host, port, timeout=_SECONDS)
        )
        with server:
            if parts.scheme == "smtp+starttls":
                server.starttls(context=secure)
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)


class File(NamedTuple):
    """A file, one JSON document a line."""

    path: Path
    name: str = "file"

    async def send(self, notice: Notice) -> None:
        line = {
            "at": clock.iso(notice.at),
            "body": notice.body,
            "name_vi": notice.name_vi,
            "name_en": notice.name_en,
            "alerts": posted(notice),
        }
        try:
            await asyncio.to_thread(self._append, json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            raise Undelivered(str(error)) from error

    def _append(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line)


def channels(settings: Settings) -> list[Channel]:
    """The ways out that are set; `WrongUse` where one cannot be meant."""
    found: list[Channel] = []
    if settings.alertmanager_url:
        found.append(Post("alertmanager", settings.alertmanager_url.rstrip("/") + "/api/v2/alerts"))
    webhook = settings.webhook_url.get_secret_value()
    if webhook:
        if urlsplit(webhook).scheme not in ("http", "https"):
            raise WrongUse("webhook_url is no http:// or https:// address. Next: motcua config")
        found.append(Post("webhook", webhook))
    smtp = settings.smtp_url.get_secret_value()
    to = tuple(one.strip() for one in settings.mail_to.split(",") if one.strip())
    if bool(smtp) != bool(to):
        raise WrongUse("mail needs both smtp_url and mail_to. Next: motcua config")
    if smtp:
        parts = urlsplit(smtp)
        if parts.scheme not in ("smtp", "smtps", "smtp+starttls") or not parts.hostname:
            raise WrongUse("smtp_url looks like smtp://host:25. Next: motcua config")
        found.append(Mail(smtp, settings.mail_from or f"motcua@{parts.hostname}", to))
    if settings.alerts_file:
        found.append(File(Path(settings.alerts_file)))
    return found


def posted(notice: Notice) -> list[dict[str, Any]]:
    """A notice in the body of Alertmanager's `POST /api/v2/alerts`."""
    return [
        {
            "labels": {
                "alertname": _RULES[one.rule].name_en if one.rule in _RULES else one.rule,
                "rule": one.rule,
                "level": one.level,
                "subject": one.subject,
                "body": notice.body,
                "severity": one.severity,
            },
            "annotations": {
                "summary": one.reason_en,
                "summary_vi": one.reason_vi,
                "runbook": _RULES[one.rule].anchor if one.rule in _RULES else "",
            },
            "startsAt": clock.iso(one.since or notice.at),
            "endsAt": clock.iso(_ended(one, notice.at) if one.over else notice.until),
        }
        for one in notice.alerts
    ]


def _ended(one: Alert, at: int) -> int:
    # To an Alertmanager whose clock is behind, an end that lies ahead is none, and the alert would go on.
    return max(one.since + 1, at - _APART)


def written(notice: Notice, sender: str, to: Sequence[str]) -> EmailMessage:
    """A notice as mail, in Vietnamese, then in English."""
    firing = [one for one in notice.alerts if not one.over]
    still = {(one.rule, one.subject) for one in firing}
    over = [one for one in notice.alerts if one.over and (one.rule, one.subject) not in still]
    message = EmailMessage()
    message["From"], message["To"] = sender, ", ".join(to)
    message["Subject"] = (
        f"[motcua] {notice.name_vi} ({notice.body}): "
        f"{len(firing)} cảnh báo / firing, {len(over)} đã hết / over"
    )
    lines = []
    for vi, heads in ((True, ("Đang cảnh báo", "Đã hết")), (False, ("Firing", "Over"))):
        lines.append(f"{notice.name_vi if vi else notice.name_en} ({notice.body})")
        for head, those in zip(heads, (firing, over), strict=True):
            if not those:
                continue
            lines += ["", f"{head}:"]
            for one in those[:_LISTED]:
                rule = _RULES.get(one.rule)
                name = (rule.name_vi if vi else rule.name_en) if rule else one.rule
                since = clock.iso(one.since)[:16].replace("T", " ")
                lines.append(f"- {one.rule} {name}, {one.subject} [{one.severity}, {since}]")
                if not one.over:
                    lines.append(f"  {one.reason_vi if vi else one.reason_en}")
            if len(those) > _LISTED:
                more = len(those) - _LISTED
                lines.append(f"… và {more} cảnh báo nữa" if vi else f"… and {more} more")
        lines += ["", ""]
    message.set_content("\n".join(lines).rstrip() + "\n")
    return message


class Notifier:
    """Tells what fires in one database through its channels; at most one notice a body and channel at a time.

    `counts`: where deliveries and failures are counted by channel. `only`: the one body to tell of, "" for
    all. `wait`: seconds before a second try.
    """

    def __init__(
        self,
        database: Database,
        ways: Sequence[Channel],
        *,
        reminder_hours: float,
        counts: MutableMapping[str, int],
        only: str = "",
        wait: float = 0.5,
    ) -> None:
        self._database = database
        self._ways = ways
        self._reminder = round(3600 * reminder_hours)
        self._counts = counts
        self._only = only
        self._wait = wait

    async def notify(self, now: int, name: Callable[[str], tuple[str, str]]) -> None:
        """Tell whatever is new or due. `now` in seconds since 1970 UTC. Raises `Retry` and `Fatal`.

        `name`: what a body is called, in Vietnamese and English.
        """
        if not self._ways:
            return
        firing: dict[str, dict[str, Alert]] = {}
        silenced: set[str] = set()
        for row in await alerts.now(self._database, alerts.Asked(state="firing", body=self._only)):
            if row["rule"] in _RULES and _RULES[row["rule"]].quiet:
                continue
            key = f"{row['rule']} {row['level']} {row['subject']}"
            if row["silenced_until"]:
                silenced.add(key)
                continue
            firing.setdefault(row["body"], {})[key] = Alert(
                row["rule"], row["level"], row["subject"], row["severity"], row["since"],
                row["reason_vi"], row["reason_en"],
            )  # fmt: skip
        known = await alerts.told(self._database)
        for way in self._ways:
            before = {
                body: one
                for (channel, body), one in known.items()
                if channel == way.name and self._only in ("", body)
            }
            for body in sorted({*firing, *before}):
                theirs = firing.get(body, {})
                if not await self._tell(way, body, theirs, silenced, before.get(body), now, name):
                    break  # the others would wait for the same

    async def _tell(
        self,
        way: Channel,
        body: str,
        firing: Mapping[str, Alert],
        silenced: set[str],
        before: "alerts.ToldNotice | None",
        now: int,
        name: Callable[[str], tuple[str, str]],
    ) -> bool:
        was: dict[str, tuple[str, int]] = (
            {key: (one[0], one[1]) for key, one in json.loads(before.told).items()} if before else {}
        )
        fresh = {key: (one.severity, one.since) for key, one in firing.items()}
        over = []
        for key, (severity, since) in was.items():
            gone = key not in fresh and key not in silenced
            if gone or (key in fresh and fresh[key][0] != severity):
                rule, level, subject = key.split(" ")
                over.append(Alert(rule, level, subject, severity, since, "", "", over=True))
        changed = fresh != was and bool(over or set(fresh.items()) - set(was.items()))
        due = bool(before and fresh and self._reminder and now - before.told_at >= self._reminder)
        if not changed and not due:
            if before and (fresh != was or before.failing):
                # What is silenced is forgotten, so that what fires after the silence is told.
                text = json.dumps(fresh)
                await alerts.save_told(self._database, way.name, body, text, before.told_at, 0, "")
            return True
        until = now + (2 * self._reminder or round(3600 * _LONG))
        notice = Notice(body, *name(body), now, until, [*firing.values(), *over])
        counts = self._counts
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(Undelivered),
                stop=stop_after_attempt(_TRIES),
                wait=wait_exponential(self._wait, max=4 * self._wait),
            ):
                with attempt:
                    await way.send(notice)
        except RetryError as failed:
            why = str(failed.last_attempt.exception())
            counts[f"notices_failed_{way.name}"] += 1
            tries = (before.tries if before else 0) + 1
            if tries == 1:
                log.warning("a notice was not delivered", channel=way.name, body=body, reason=why)
            told, told_at = (before.told, before.told_at) if before else ("{}", 0)
            await alerts.save_told(self._database, way.name, body, told, told_at, tries, why)
            return False
        counts[f"notices_sent_{way.name}"] += 1
        await alerts.save_told(self._database, way.name, body, json.dumps(fresh), now, 0, "")
        return True
