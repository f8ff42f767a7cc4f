"""How a state is said: a mark, a word and the reason, for the pipe, for an office, for a body's offices.

Never by colour alone, and never louder than it is: offices that fell silent long ago, as all of them did in a
year that is looked at later, are told of as calmly as any other fact.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from msgspec import Struct

from dashboards.page.asked import Lang
from dashboards.page.words import WORDS, Words, ago, count, decimal, moment, say
from rates.freshness import Office, Pipe, State

_LATELY: Final = 20
"""For so many working days a silence is news."""

_MARKS: Final[Mapping[State, str]] = {"fresh": "✓", "stale": "⏸", "silent": "◌", "unknown": "?"}
_LABELS: Final[Mapping[State, Words]] = {
    "fresh": ("Kịp thời", "Fresh"),
    "stale": ("Đường truyền chậm", "Pipe stale"),
    "silent": ("Im lặng", "Silent"),
    "unknown": ("Chưa rõ", "Unknown"),
}
_PIPE: Final[Mapping[str, Words]] = {
    "in_time": ("Đường truyền theo kịp hiện tại.", "The pipe keeps up with the present."),
    "behind": (
        "Số liệu dừng lại ở thời điểm đó; đường truyền chậm hoặc đứng. Tiếp theo: motcua doctor",
        "They stand still at that time; the pipe is slow or stopped. Next: motcua doctor",
    ),
    "catching_up": (
        "Số liệu đang chuyển động nhưng chưa tới hiện tại.",
        "They are moving, but have not come to the present yet.",
    ),
    "nothing": ("Chưa có gì tới qua đường truyền.", "Nothing has come through the pipe yet."),
    "partly": ("Chưa phải mọi phân vùng đều đã được đọc.", "Not all partitions have been heard of yet."),
    "clocks": (
        "Đó là một thời điểm ở tương lai: đồng hồ của các máy lệch nhau.",
        "That is a time to come: the clocks of the machines disagree.",
    ),
    "no_canaries": (
        "Không gửi thông điệp dò (canary_seconds = 0), nên không phân biệt được yên tĩnh với chậm.",
        "No canaries are sent (canary_seconds = 0), so quiet cannot be told from slow.",
    ),
}
_OFFICE: Final[Mapping[str, Words]] = {
    "pipe": (
        "Đường truyền không kịp thời, nên không nói gì về đơn vị.",
        "The pipe is not fresh, so nothing is said of the office.",
    ),
    "heard": (
        "Chưa qua trọn một ngày làm việc nào từ lần ghi nhận cuối.",
        "No whole working day has passed since it was last heard of.",
    ),
    "quiet": ("Khoảng lặng này vẫn trong nhịp của đơn vị.", "A pause like this is within its own rhythm."),
    "silence": (
        "Lâu hơn mọi khoảng lặng trước đó, khi theo nhịp thì lẽ ra đã có hồ sơ",
        "Longer than any pause before, while by its rhythm dossiers were due",
    ),
    "never": ("Chưa có ghi nhận nào.", "There is no record of it yet."),
    "ended": ("Đơn vị đã chấm dứt hoạt động theo danh mục.", "By the register the office has ended."),
    "history": ("Lịch sử quá ngắn để biết nhịp.", "Too little history to know its rhythm."),
    "calendar": (
        "Chưa biết lịch nghỉ lễ của năm này.",
        "The public holidays of that year are not known.",
    ),
}
_LAST: Final[Words] = ("ghi nhận cuối", "last heard of")
_WORKING_DAYS: Final[Words] = ("ngày làm việc trọn vẹn", "whole working days")
_DUE: Final[Words] = ("hồ sơ theo nhịp", "dossiers due by its rhythm")
_SINCE: Final[Words] = ("từ", "since")
_OFFICES: Final[Words] = ("đơn vị im lặng", "silent")
_DELAY: Final[Words] = ("độ trễ", "delay")
_MOST: Final[Words] = ("tối đa", "at most")
_WAITING: Final[Words] = ("thông điệp đang chờ", "messages waiting")
_COMPLETE: Final[Words] = ("Số liệu đầy đủ đến", "Figures are complete to")


class Said(Struct, frozen=True):
    """A state ready to be shown. `calm`: nobody has to look at it now."""

    state: State | Literal["known"]
    mark: str
    label: str
    detail: str
    calm: bool = True


def pipe(through: Pipe, lang: Lang) -> Said:
    """The pipe's state, with why and since when."""
    detail = []
    if through.complete_to:
        detail.append(f"{say(_COMPLETE, lang)} {moment(through.complete_to, lang)}.")
    if through.why == "partly":
        detail.append(f"{count(through.heard, lang)} / {count(through.expected, lang)}:")
    detail.append(say(_PIPE[through.why], lang))
    return _said(through.state, lang, " ".join(detail), calm=through.state != "stale")


def known(day: str, lang: Lang) -> Said:
    """That figures are as they were known on a day, as it is written."""
    label = f"{say(WORDS['known_on'], lang)} {day}"
    return Said("known", "⟲", label, f"{label}. {say(WORDS['known_note'], lang)}")


def delay(through: Pipe, lang: Lang) -> str:
    """The measured delay and what is waiting, where they are known; coarse, so that it changes seldom."""
    told = []
    if through.delay is not None and through.slowest is not None:
        text = f"{say(_DELAY, lang)} {_seconds(through.delay, lang)}"
        if _seconds(through.slowest, lang) != _seconds(through.delay, lang):
            text += f", {say(_MOST, lang)} {_seconds(through.slowest, lang)}"
        told.append(text)
    if through.lag:
        told.append(f"{count(through.lag, lang)} {say(_WAITING, lang)}")
    return " · ".join(told)


def age(through: Pipe, now: int, lang: Lang) -> str:
    """How long ago figures were complete; of a pipe that is not fresh never "just now"."""
    if not through.complete_to:
        return ""
    told = ago(now - through.complete_to, lang)
    return told if through.state == "fresh" or told != ago(0, lang) else ""


def office(found: Office | None, lang: Lang) -> Said:
    """An office's state, with why and since when; None: there is no record of it."""
    found = found or Office("unknown", "never")
    detail = [say(_OFFICE[found.why], lang)]
    if found.why in ("quiet", "silence"):
        days = f"{count(found.silent_days, lang)} {say(_WORKING_DAYS, lang)}"
        due = f"≈ {count(round(found.expected), lang)} {say(_DUE, lang)}"
        detail.append(f"({days}, {due})")
    if found.since:
        detail.append(f"· {say(_LAST, lang)} {moment(found.since, lang)}")
    said = _said(found.state, lang, " ".join(detail), calm=not _news(found))
    if found.state != "silent":
        return said
    day = moment(found.since, lang).split(" ")[1 if lang == "vi" else 0]
    return Said(said.state, said.mark, f"{said.label} {say(_SINCE, lang)} {day}", said.detail, said.calm)


def body(found: Iterable[Office], through: Pipe, lang: Lang) -> Said:
    """Of a body's offices that can be judged, how many are silent."""
    every = list(found)
    states = Counter(one.state for one in every)
    judged = states["fresh"] + states["silent"]
    if through.state != "fresh":
        return pipe(through, lang)
    if not judged:
        return _said("unknown", lang, say(_OFFICE["history" if every else "never"], lang))
    told = f"{count(states['silent'], lang)} / {count(judged, lang)} {say(_OFFICES, lang)}"
    if not states["silent"]:
        return _said("fresh", lang, told)
    return Said("silent", _MARKS["silent"], told, told, calm=not any(map(_news, every)))


def _news(found: Office) -> bool:
    return found.state == "silent" and found.silent_days <= _LATELY


def _said(state: State, lang: Lang, detail: str, *, calm: bool = True) -> Said:
    return Said(state, _MARKS[state], say(_LABELS[state], lang), detail, calm)


def _seconds(millis: int, lang: Lang) -> str:
    return f"{decimal(f'{millis / 1000:.1f}', lang)} s"
