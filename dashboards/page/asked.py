"""What an address asks for: language, definition, form, period, order, page; anything else is refused.

The same values are carried along by every link, so that an address says the whole question. What is not
understood is never guessed: it is a `Refused`, which names the parameter and what it may be.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, Literal, TypeAlias, get_args
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from dashboards.panels import FIRST_DAY, LAST_DAY
from rates.definitions import FORMS, Definition, Form
from rates.sheets import day_number
from rates.tallies import SYSTEMS
from rates.wire import BODY, DAY, LOCAL, UNIT, unit_of

Lang: TypeAlias = Literal["vi", "en"]
Sort: TypeAlias = Literal["rate", "total", "name"]
LANGS: Final[tuple[Lang, ...]] = get_args(Lang)
SORTS: Final[tuple[Sort, ...]] = get_args(Sort)
DOSSIERS_A_PAGE: Final = 50

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PAGE: Final = re.compile(r"[1-9][0-9]{0,6}")


class Refused(Exception):
    """A parameter that cannot be used: its name, what was given, and the key of the words that say why."""

    def __init__(self, name: str, given: str, why: str, options: Sequence[str] = ()) -> None:
        super().__init__(f"{name}={given!r}: {why}")
        self.name = name
        self.given = given[:80]
        self.why = why
        self.options = tuple(options)


class NotYours(Exception):
    """What is asked for is there, but not for this reader, who is limited to one body."""


class Asked(Struct, frozen=True, kw_only=True):
    """The question of an address. Days `YYYY-MM-DD`, inclusive at both ends; "" for no limit.

    `known`: figures as they were known at the end of that day, "" for now.
    `only` is the one body that whoever asks may read, "" for all; it comes from the door, never the address.
    """

    lang: Lang
    definition: Definition
    form: Form = "reported"
    first: str = ""
    last: str = ""
    sort: Sort = "name"
    missing: bool = False
    page: int = 1
    system: str = ""
    known: str = ""
    only: str = ""

    @property
    def known_until(self) -> int:
        """The first instant that `known` leaves out, in seconds since 1970 UTC."""
        return (day_number(date.fromisoformat(self.known)) + 1) * DAY - LOCAL

    def period(self) -> dict[str, object]:
        """The period as parameters of a panel."""
        return {"first": self.first or FIRST_DAY, "last": self.last or LAST_DAY}

    def year_before(self, reached: date) -> dict[str, object] | None:
        """The same days of the year before, as far as data go; None without a first day.

        `reached`: the day that figures are complete to. A period that is still running is held against as
        many days.
        """
        if not self.first:
            return None
        last = min(date.fromisoformat(self.last), reached) if self.last else reached
        first = date.fromisoformat(self.first)
        if first > last or first.year <= 1971:
            return None
        return {"first": _earlier(first).isoformat(), "last": _earlier(last).isoformat()}

    def query(self, **changes: object) -> str:
        """The query of a link that asks the same, but for the changes; what is a default is left out."""
        asked = msgspec.structs.replace(self, **changes)
        pairs = {
            "definition": asked.definition.id,
            "form": asked.form if asked.form != "reported" else "",
            "from": asked.first,
            "to": asked.last,
            "sort": asked.sort if asked.sort != "name" else "",
            "show": "missing" if asked.missing else "",
            "system": asked.system,
            "known": asked.known,
            "page": str(asked.page) if asked.page > 1 else "",
            "lang": asked.lang,
        }
        return "?" + urlencode({name: value for name, value in pairs.items() if value})


def language(query: Mapping[str, str], accepted: str) -> Lang:
    """The language asked for, else the first of ours that the browser names, else Vietnamese."""
    given = query.get("lang", "")
    for lang in LANGS:
        if given == lang:
            return lang
    for part in accepted.lower().split(","):
        for lang in LANGS:
            if part.strip().startswith(lang):
                return lang
    return "vi"


def asked(
    query: Mapping[str, str], lang: Lang, definitions: Sequence[Definition], today: str, only: str = ""
) -> Asked:
    """The question of an address, or `Refused`. `today`: the last day that something can be known on."""
    if query.get("lang", lang) not in LANGS:
        raise Refused("lang", query["lang"], "choose", LANGS)
    first, last = _day(query, "from"), _day(query, "to")
    if first and last and first > last:
        raise Refused("from", first, "turned")
    known_on = _day(query, "known")
    if known_on > today:
        raise Refused("known", known_on, "to_come")
    page = query.get("page") or "1"
    if not _PAGE.fullmatch(page):
        raise Refused("page", page, "no_page")
    known = {definition.id: definition for definition in definitions}
    identifier = query.get("definition") or definitions[0].id
    if identifier not in known:
        raise Refused("definition", identifier, "choose", tuple(known))
    return Asked(
        lang=lang,
        definition=known[identifier],
        form=FORMS[_choice(query, "form", FORMS)],
        first=first,
        last=last,
        sort=SORTS[_choice(query, "sort", SORTS, "name")],
        missing=bool(_choice(query, "show", ("all", "missing"))),
        page=int(page),
        system=("", *SYSTEMS)[_choice(query, "system", ("", *SYSTEMS))],
        known=known_on,
        only=only,
    )


def body_code(code: str) -> str:
    """The code of a ministry or province, or `Refused`."""
    if not BODY.fullmatch(code):
        raise Refused("body", code, "no_body")
    return code


def unit_code(code: str) -> str:
    """The code of a unit, in either form, or `Refused`."""
    if not UNIT.fullmatch(code):
        raise Refused("unit", code, "no_unit")
    return code


def dossier_number(number: str) -> str:
    """The number of a dossier, which begins with a unit's code, or `Refused`."""
    if unit_of(number) is None:
        raise Refused("number", number, "no_number")
    return number


def _earlier(day: date) -> date:
    """The same day a year before; of the 29th of February the 28th."""
    if (day.month, day.day) == (2, 29):
        day = day.replace(day=28)
    return day.replace(year=day.year - 1)


def _choice(query: Mapping[str, str], name: str, options: Sequence[str], default: str = "") -> int:
    given = query.get(name) or default or options[0]
    if given not in options:
        raise Refused(name, given, "choose", options)
    return options.index(given)


def _day(query: Mapping[str, str], name: str) -> str:
    given = query.get(name, "")
    if not given:
        return ""
    if not _DAY.fullmatch(given):
        raise Refused(name, given, "no_day")
    try:
        date.fromisoformat(given)
    except ValueError:
        raise Refused(name, given, "no_day") from None
    if not FIRST_DAY <= given <= LAST_DAY:
        raise Refused(name, given, "far_day")
    return given
