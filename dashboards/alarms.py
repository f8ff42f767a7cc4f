"""Grafana's alert rules: they tell what the monitor's own rules found, and whether it can find anything.

What lags, by how much and since when is decided once, by the monitor, and stands in the view `alerts_now`
(thresholds, waiting, hysteresis, too few dossiers). A rule of Grafana makes an alert of each row, so it waits
for nothing and compares with nothing else. Every subject is in every answer, firing or not: one left out
would count as a missing series, not as recovered. What fires keeps firing there while figures are stale; a
rule of its own tells of that.

An answer has text columns, the labels, and exactly one number: anything else Grafana refuses as a long table.
In provisioning files Grafana expands `$NAME` in labels and contact points, and in annotations `${NAME}`.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from msgspec import Struct

from dashboards.boards import BOARDS
from dashboards.grafana import text
from dashboards.macros import ZONE
from dashboards.plugin import FOLDERS, SOURCE, folder, panel_id, query, uid
from rates.calendar import Calendar

GROUP: Final = "motcua"
EVERY: Final = 60
"""Seconds between evaluations."""
RECEIVER: Final = "motcua"
FREE_DAYS: Final = "motcua-non-working-days"
PROVISIONED: Final = "infra/grafana/provisioning/alerting"
"""Where Grafana's container finds them, below the repository."""
LATE: Final = 900
"""Seconds: the pipe is late when figures are not complete to so long ago."""


class Rule(Struct, frozen=True, kw_only=True):
    """A rule: it fires for each row whose number is above `above`.

    `texts`: the columns that are labels, `number`: SQL for the one that is compared, `rows`: what follows
    FROM. `labels`: of all its alerts. `nothing`: what an empty answer means.
    """

    uid: str
    title: str
    texts: tuple[str, ...]
    number: str
    rows: str
    summary: str
    board: str
    panel: str
    labels: Mapping[str, str]
    above: float = 0.5
    waits: str = "0s"
    nothing: str = "KeepLast"

    @property
    def sql(self) -> str:
        texts = "".join(f"toString({name}) AS {name}, " for name in self.texts)
        return f"SELECT {texts}toFloat64({self.number}) AS value FROM {self.rows}"


_FIRES: Final = "state = 'firing' AND ifNull(toUInt32(silenced_until), 0) <= toUInt32(now())"
_TELLS: Final = "{{ $labels.rule }}: {{ $labels.subject }} ({{ $labels.severity }})"


def _of(level: str, title: str) -> Rule:
    return Rule(
        uid=f"motcua-{level}",
        title=title,
        texts=("rule", "subject", "body", "severity"),
        number=_FIRES,
        rows=f"alerts_now WHERE level = '{level}' ORDER BY rule, subject",
        summary=_TELLS,
        board="overview",
        panel="bodies",
        labels={"team": "motcua", "level": level},
    )


RULES: Final = (
    _of("province", "Địa phương cần chú ý · Province needs attention"),
    _of("ministry", "Bộ, ngành cần chú ý · Ministry needs attention"),
    # One row a body, not one for each of thousands of units: Grafana stores each instance every time.
    Rule(
        uid="motcua-units",
        title="Có đơn vị cần chú ý · Units need attention",
        texts=("body",),
        number=f"sum({_FIRES})",
        rows="alerts_now WHERE level = 'unit' GROUP BY body ORDER BY body",
        summary='{{ $labels.body }}: {{ printf "%.0f" $values.A.Value }} alerts about units',
        board="province",
        panel="units",
        labels={"team": "motcua", "level": "unit"},
    ),
    Rule(
        uid="motcua-late",
        title="Số liệu không còn mới · Figures are not current",
        texts=(),
        number="greatest(toInt64(toUInt32(now())) - toInt64(complete), 0)",
        rows="pipe",
        summary='complete to {{ printf "%.0f" $values.A.Value }} seconds ago',
        board="pipeline",
        panel="freshness",
        labels={"team": "motcua", "level": "pipeline"},
        above=LATE,
        waits="2m",
        nothing="Alerting",
    ),
    Rule(
        uid="motcua-audit",
        title="Số liệu không khớp hồ sơ · Figures disagree with dossiers",
        texts=(),
        number="sum(wrong)",
        rows="audits_now",
        summary='{{ printf "%.0f" $values.A.Value }} cells differ from their dossiers',
        board="pipeline",
        panel="audits",
        labels={"team": "motcua", "level": "pipeline"},
        waits="10m",
    ),
)


def files() -> dict[str, str]:
    """What Grafana's provisioning reads: file name → text."""
    return {
        "rules.json": text({"apiVersion": 1, "groups": [provisioned()]}),
        "non-working-days.json": text({"apiVersion": 1, "muteTimes": [{"orgId": 1, **free_days()}]}),
    }


def provisioned(rules: Sequence[Rule] = RULES) -> dict[str, Any]:
    """The rules as a group of a provisioning file."""
    return {
        "orgId": 1,
        "name": GROUP,
        "folder": FOLDERS["vi"],
        "interval": f"{EVERY}s",
        "rules": [
            {
                **_shared(rule),
                "labels": {name: value.replace("$", "$$") for name, value in rule.labels.items()},
                "dashboardUid": _shared(rule)["annotations"]["__dashboardUid__"],
                "panelId": panel_id(rule.panel),
            }
            for rule in rules
        ],
    }


def pushed(rules: Sequence[Rule] = RULES) -> dict[str, Any]:
    """The rules as the body of `PUT /api/v1/provisioning/folder/{uid}/rule-groups/{group}`."""
    return {
        "title": GROUP,
        "folderUid": folder("vi"),
        "interval": EVERY,
        "rules": [
            {
                **_shared(rule),
                "labels": dict(rule.labels),
                "orgID": 1,
                "folderUID": folder("vi"),
                "ruleGroup": GROUP,
            }
            for rule in rules
        ],
    }


def _shared(rule: Rule) -> dict[str, Any]:
    board = next(one for one in BOARDS if one.id == rule.board)
    return {
        "uid": rule.uid,
        "title": rule.title,
        "condition": "C",
        "for": rule.waits,
        "noDataState": rule.nothing,
        "execErrState": "Error",
        "annotations": {
            "summary": rule.summary,
            "__dashboardUid__": uid(board, "vi"),
            "__panelId__": str(panel_id(rule.panel)),
        },
        "data": [
            {
                "refId": "A",
                "datasourceUid": SOURCE["uid"],
                "relativeTimeRange": {"from": 600, "to": 0},
                "model": query(rule.sql),
            },
            {
                "refId": "C",
                "datasourceUid": "__expr__",
                "relativeTimeRange": {"from": 600, "to": 0},
                "model": {
                    "refId": "C",
                    "type": "threshold",
                    "datasource": {"type": "__expr__", "uid": "__expr__"},
                    "expression": "A",
                    "conditions": [{"evaluator": {"type": "gt", "params": [rule.above]}}],
                },
            },
        ],
    }


def free_days(calendar: Calendar | None = None) -> dict[str, Any]:
    """Weekends and public holidays, as a mute timing: what is found then is told on the next working day."""
    runs: list[tuple[date, date]] = []
    for holiday in sorted((calendar or Calendar.shipped()).holidays, key=lambda one: one.day):
        day = date(1970, 1, 1) + timedelta(days=holiday.day)
        if runs and runs[-1][1] == day - timedelta(days=1) and runs[-1][1].month == day.month:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    whole = [{"start_time": "00:00", "end_time": "24:00"}]
    listed: list[dict[str, Any]] = [{"weekdays": ["saturday", "sunday"]}]
    listed += [
        {
            "years": [str(first.year)],
            "months": [str(first.month)],
            "days_of_month": [str(first.day) if first == last else f"{first.day}:{last.day}"],
        }
        for first, last in runs
    ]
    return {
        "name": FREE_DAYS,
        "time_intervals": [{"times": whole, "location": ZONE, **one} for one in listed],
    }
