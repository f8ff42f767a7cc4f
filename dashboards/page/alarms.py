"""The alerts as the page lists them; whoever judges them writes `alerts_now`, this only reads."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

from msgspec import Struct

from dashboards.page.asked import Asked, Lang
from dashboards.page.shown import NONE
from dashboards.page.words import Words, count, decimal, moment, say
from rates.alerts import ALL, Rule, Severity
from rates.register import Register
from rates.wire import BODY, UNIT

WORDS: Final[Mapping[str, Words]] = {
    "lead": (
        "Mỗi cảnh báo nói về ai, vì sao, và dựa trên bao nhiêu hồ sơ.",
        "Each alert says whom it is about, why, and on how many dossiers it rests.",
    ),
    "rule": ("Quy tắc", "Rule"),
    "subject": ("Về", "About"),
    "state": ("Trạng thái", "State"),
    "firing": ("đang báo động", "firing"),
    "pending": ("đang chờ", "pending"),
    "too_few": ("quá ít hồ sơ", "too few dossiers"),
    "stale": ("số liệu cũ", "stale data"),
    "ok": ("bình thường", "clear"),
    "critical": ("nghiêm trọng", "critical"),
    "warn": ("cảnh báo", "warning"),
    "inspect": ("cần xem xét", "to inspect"),
    "info": ("để biết", "for information"),
    "since": ("Từ", "Since"),
    "value": ("Giá trị", "Value"),
    "threshold": ("ngưỡng", "threshold"),
    "counts": ("Tử số / mẫu số", "Numerator / denominator"),
    "reason": ("Lý do", "Reason"),
    "silenced": ("tạm tắt đến", "silenced until"),
    "none": ("Không có cảnh báo nào đang mở.", "No alert is open."),
    "national": ("Toàn quốc", "National"),
}
_RULES: Final = {rule.id: rule for rule in ALL}
_MARKS: Final = {"firing": "⚠", "pending": "◔", "too_few": "○", "stale": "⏸"}


class Alarm(Struct, frozen=True):
    """An alert; `link`: the page of whom it is about, "" where it is about no body and no unit."""

    key: str
    rule: str
    rule_name: str
    code: str
    name: str
    link: str
    state: str
    state_name: str
    mark: str
    severity: str
    since: str
    value: str
    threshold: str
    counts: str
    reason: str
    silenced: str


def alarms(rows: Iterable[Mapping[str, Any]], register: Register, today: int, asked: Asked) -> list[Alarm]:
    """The open alerts in the order in which they are told."""
    lang = asked.lang
    made = []
    for row in rows:
        code, state = row["code"], row["state_name"]
        rule = _RULES.get(row["rule_id"])
        known = bool(UNIT.fullmatch(code))
        numerator, denominator = row["numerator"], row["denominator"]
        made.append(
            Alarm(
                key=f"{row['rule_id']}/{code}",
                rule=row["rule_id"],
                rule_name=say((rule.name_vi, rule.name_en), lang) if rule else "",
                code=code,
                name=say(register.name(code, today), lang) if code else say(WORDS["national"], lang),
                link=f"/{'body' if BODY.fullmatch(code) else 'unit'}/{code}" if known else "",
                state=state,
                state_name=say(WORDS[state], lang) if state in _MARKS else state,
                mark=_MARKS.get(state, "?"),
                severity=say(WORDS[row["severity_name"]], lang)
                if row["severity_name"] in get_args(Severity)
                else row["severity_name"],
                since=moment(row["since_time"], lang),
                value=_number(row["value"], rule, lang),
                threshold=_number(row["threshold"], rule, lang),
                counts=NONE
                if numerator is None or not denominator
                else f"{count(int(numerator), lang)} / {count(int(denominator), lang)}",
                reason=say((row["reason_vi"], row["reason_en"]), lang),
                silenced=moment(row["silenced"], lang) if row["silenced"] else "",
            )
        )
    return made


def _number(value: float | None, rule: Rule | None, lang: Lang) -> str:
    if value is None:
        return NONE
    return decimal(f"{100 * value:.1f} %" if rule and rule.shares else f"{value:.4g}", lang)
