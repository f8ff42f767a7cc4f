"""A reader without a database: answers each panel from rows that a test sets, as a world would give them."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from dashboards.panels import PANELS
from rates.definitions import DEFINITIONS, Definition
from rates.failures import Fatal, Retry
from rates.known import KINDS
from rates.register import Register
from rates.tallies import SYSTEMS

SIXTH = Definition(
    id="ER-SIXTH",
    basis="due",
    numerator=("e_result", "e_result_clean"),
    denominator="open",
    name_vi="Định nghĩa thứ sáu",
    name_en="A sixth definition",
    source="a test",
    valid_from="2026-01-01",
)


def told(worker: str, at: int, **changes: Any) -> dict[str, Any]:
    """A worker as the panel lists it."""
    counts = {
        "messages": 120_000,
        "batches": 1_900,
        "accepted": 2_400_000,
        "lost": 811,
        "applied": 12,
        "dead": 1_291,
        "dossiers_written": 1_204_000,
        "tallies_written": 3_220_000,
        "retries": 3,
        "rebalances": 2,
        "cached": 1_204_000,
        "loaded": 40_000,
        "buffered_bytes": 0,
        "audited": 4_000,
        "disagreements": 0,
    }
    rates = {"messages_a_second": 41.5, "events_a_second": 8_311.2, "rows_a_second": 9_120.0}
    return {
        "worker": worker, "told": at, "begun": at - 7_200, "ended": 0, "partitions": 6, "lag": 9,
        **rates, **counts, **changes,
    }  # fmt: skip


def alarm(code: str, state: str) -> dict[str, Any]:
    """An alert as the panel lists it."""
    return {
        "rule_id": "R1",
        "level_name": "department",
        "code": code,
        "body_code": code[:3],
        "state_name": state,
        "severity_name": "warn",
        "since_time": 1_696_100_000,
        "value": 0.412,
        "threshold": 0.7,
        "numerator": 42,
        "denominator": 102,
        "reason_vi": "Thấp hơn chỉ tiêu",
        "reason_en": "Below its target",
        "complete": 1_696_127_400,
        "silenced": 0,
    }


_PIPE = {"partitions": 12, "heard": 12, "expected": 12, "delay": 320, "slowest": 410, "canary": 0, "lag": 0}


class Board:
    """`sinks.client.Database` to the page: it knows a panel by its SQL and what a world holds."""

    def __init__(self, register: Register, definitions: Any = DEFINITIONS) -> None:
        self.register = register
        self.definitions = definitions
        self.failure: Retry | Fatal | None = None
        self.asked: list[tuple[str, dict[str, object]]] = []
        self.version = 0
        self.complete = 1_696_127_400
        self.rejected = {"bad_number": (1_204, 1_696_120_000), "wrong_unit": (87, 1_696_100_000)}
        self.more = 0
        self.missing_units = 2_756
        self.silent: dict[str, int] = {}
        self.disagreements = 0
        self.alarms: list[dict[str, Any]] = []
        self.workers_told = [
            told("node-a:4711", self.complete + 595),
            told("node-b:4711", self.complete + 300, lag=None),
            told("node-a:4100", self.complete + 100, ended=1),
        ]

    async def rows(self, query: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        values = dict(parameters or {})
        if self.failure is not None:
            raise self.failure
        panel = next(
            panel.id
            for panel in PANELS
            for one in self.definitions
            for form in ("reported", "clean")
            if query
            in (
                panel.text(one, form, self.definitions),
                panel.as_known().text(one, form, self.definitions),
            )
        )
        self.asked.append((panel, values))
        return list(getattr(self, panel)(query, values))

    def freshness(self, _: str, __: Mapping[str, Any]) -> list[dict[str, Any]]:
        if not self.version:
            return [{**_PIPE, "complete": 0, "latest": 0, "partitions": 0, "stamp": "0", "heard": 0}]
        complete, stamp = self.complete, str(self.version)
        return [{**_PIPE, "complete": complete, "latest": complete, "canary": complete, "stamp": stamp}]

    def activity(self, _: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Every unit was heard of a minute ago, but for those in `silent`, which were a given time ago."""
        if not self.version:
            return []
        return [
            {
                "code": code,
                "first_day": "2022-03-01",
                "last_time": self.complete - self.silent.get(code, 60),
                "complete": self.complete,
            }
            for code in self.register.one_stop_units(19_600)
            if values["only"] in ("", self.register.body(code, 19_600))
        ]

    def rhythm(self, _: str, __: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [{"code": code, "days": (1 << 29) - 1, "accepted": 400} for code in self.silent]

    def rates(self, _: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        if not self.version:
            return [{"definition": d.id, "reported": 0, "clean": 0, "total": 0} for d in self.definitions]
        scale = 1 if values["unit"] else (60 if values["body"] else 7_000)
        return [
            {
                "definition": one.id,
                "reported": (38 + 3 * index) * scale + self.more,
                "clean": (31 + 3 * index) * scale,
                "total": (103 + 2 * index) * scale if one.id != "ER-2026-METRICS" else 0,
            }
            for index, one in enumerate(self.definitions)
        ]

    def bodies(self, _: str, __: Mapping[str, Any]) -> list[dict[str, Any]]:
        codes = [*self.register.bodies(19_600), "H99"] if self.version else []
        return [
            {
                "code": code,
                "reported": 900 + 97 * (index % 23) + (self.more if index == 20 else 0),
                "clean": 800 + 91 * (index % 23),
                "total": 4_000 + 731 * (index % 17),
            }
            for index, code in enumerate(codes)
            if index % 19 != 3
        ]

    def units(self, _: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        codes = [
            u for u in self.register.one_stop_units(19_600) if self.register.body(u, 19_600) == values["body"]
        ]
        return [
            {"code": u, "reported": index % 41, "clean": index % 37, "total": 41 + index % 29}
            for index, u in enumerate(codes if self.version else [])
        ]

    def dossiers(self, _: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        if not self.version:
            return []
        found = []
        for index in range(103):
            counts = index % 3 > 0
            received = date(2023, 9, 30) - timedelta(days=index // 4)
            if values["missing"] and counts:
                continue
            time = (received - date(1970, 1, 1)).days * 86_400 + 9 * 3600 - 25_200
            found.append(
                {
                    "number": f"{values['unit']}-{received:%y%m%d}-{index:04}",
                    "system": SYSTEMS[index % 7],
                    "procedure_code": ("1.001193.000.00.00.H18", "9.900009", "")[index % 3],
                    "status": 10 if counts else 4,
                    "received_time": time,
                    "completed_time": time + 200_000 if counts else 0,
                    "due_time": time + 400_000,
                    "counted_day": received.isoformat(),
                    "counts": int(counts),
                }
            )
        return found[values["offset"] : values["offset"] + values["limit"]]

    def rejections(self, _: str, __: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {"reason_code": reason, "events": events, "latest": latest}
            for reason, (events, latest) in self.rejected.items()
            if self.version
        ]

    def workers(self, _: str, __: Mapping[str, Any]) -> list[dict[str, Any]]:
        return self.workers_told

    def stages(self, _: str, __: Mapping[str, Any]) -> list[dict[str, Any]]:
        spent = {"decode": 14.2, "load": 3.1, "fold": 21.7, "dossiers": 9.4, "tallies": 12.9, "progress": 1.2}
        return [{"stage": name, "spent": time, "recent": time / 60} for name, time in spent.items()]

    def batches(self, _: str, __: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [{"at_most": 10**power, "batches": 1_500 >> power} for power in range(1, 5)]

    def partitions(self, _: str, __: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "partition": index,
                "complete": self.complete - index,
                "latest": self.complete - index,
                "lag": None if index == 11 else index % 3,
                "told": self.complete,
                "delay_ms": None if index == 11 else 310 + 17 * index,
                "canary": self.complete - 30,
            }
            for index in range(12)
            if self.version
        ]

    def audits(self, _: str, __: Mapping[str, Any]) -> list[dict[str, Any]]:
        checked = self.complete - 60
        return [
            {
                "cohorts": 4_211,
                "wrong": self.disagreements,
                "found": self.disagreements,
                "newest": checked,
                "oldest": checked - 7_000,
                "found_latest": 0,
                "repaired_latest": 0,
            }
        ]

    def rejections_by_unit(self, _: str, __: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "code": "H18.21",
                "reason_code": reason,
                "rejected": 1,
                "events": events,
                "unsettled": 1,
                "latest": latest,
            }
            for reason, (events, latest) in self.rejected.items()
            if self.version
        ]

    def scoreboard_bodies(self, _: str, __: Mapping[str, Any]) -> list[dict[str, Any]]:
        if not self.version:
            return []
        rows = []
        for index, code in enumerate(self.register.bodies(19_600)):
            ministry = code.startswith("G")
            results = (1_078, 2_448) if ministry else (1_314, 3_894)
            for year, with_result in zip(("2022", "2023"), results, strict=True):
                rows.append(
                    {
                        "code": code,
                        "year": year,
                        "with_result": with_result,
                        "total": 10_000,
                        "dossiers": 11_000,
                        "digitising": 8_400,
                        "connected": 0 if ministry and index >= 15 else 17,
                    }
                )
        return rows

    def scoreboard_units(self, _: str, __: Mapping[str, Any]) -> list[dict[str, Any]]:
        codes = self.register.one_stop_units(19_600) if self.version else ()
        theirs = [code for code in codes if code.startswith("H18.")]
        others = [code for code in codes if not code.startswith("H18.")]
        return [{"code": code, "digitising": 5} for code in (*theirs, *others[self.missing_units :])]

    def trend(self, _: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Twenty-one months, the first nine of them the year before; a unit has few dossiers in some."""
        scale = 1 if values["unit"] else 10
        months = [date(2022 + at // 12, at % 12 + 1, 1).isoformat() for at in range(21)]
        return [
            {
                "month": month,
                "reported": (9 + at) * scale,
                "clean": (6 + at) * scale,
                "total": (90 if at % 5 else 29) * scale,
            }
            for at, month in enumerate(months)
            if self.version and values["first"] <= month <= values["last"]
        ]

    def backlog(self, _: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        scale = 1 if values["unit"] else 50
        return [
            {"age": age, "dossiers": dossiers * scale}
            for age, dossiers in (
                ("overdue_30", 7),
                ("overdue", 12),
                ("today", 1),
                ("later", 30),
                ("no_due", 4),
            )
            if self.version
        ]

    def systems(self, _: str, __: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {"code": code, "reported": 90 + at, "clean": 70 + at, "total": 250 if at < 6 else 29}
            for at, code in enumerate(SYSTEMS)
            if self.version
        ]

    def system_bodies(self, query: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [row for row in self.bodies(query, values) if values["only"] in ("", row["code"])]

    def connections(self, _: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The first three bodies of each kind never used the population database, the fourth not lately."""
        rows = []
        for kind in ("ministry", "province"):
            for at, code in enumerate(self.register.bodies(19_600, kind)):
                used = 0 if at < 3 else 40
                latest = "2023-03-01" if at == 3 else "2023-09-28"
                rows += [
                    {
                        "code": code,
                        "system_code": system,
                        "dossiers": 120,
                        "connected": used,
                        "latest": "2023-09-29",
                        "connected_first": "2023-01-04" if used else "1970-01-01",
                        "connected_latest": latest if used else "1970-01-01",
                    }
                    for system in ("civil_status", "land")
                ]
        return [row for row in rows if self.version and values["only"] in ("", row["code"])]

    def inspection(self, _: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        found = [
            {
                "code": f"H18.{number:02}",
                "body_code": "H18",
                "dossiers": 400 - number,
                "reported": 300 - number,
                "clean": 120,
                "total": 380 - number,
                "digitising": 400 - number if number == 2 else 100,
                "connected": 30,
                "results": 310 - number,
                "found": 60,
            }
            for number in range(2, 62)
        ]
        return found[values["offset"] : values["offset"] + values["limit"]] if self.version else []

    def evidence(self, _: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """One unit above the ordinary beyond doubt, and one that chance explains."""
        found = [
            {"code": code, "body_code": "H18", "detector_id": "G2", "matching": matching, "total": 40}
            for code, matching in (("H18.02", 20), ("H18.03", 1))
        ]
        return found if self.version and values["only"] in ("", "H18") else []

    def evidence_dossiers(self, text: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        return self.dossiers(text, {**values, "missing": 0}) if values["detector"] == "G2" else []

    def restatement(self, _: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Two months of one body: a rate that rose by late links, and one that fell by late dossiers."""
        return self._restated("H18") if values["only"] in ("", "H18") else []

    def restatement_units(self, _: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        return self._restated(values["unit"] or "H18.02")

    def _restated(self, code: str) -> list[dict[str, Any]]:
        found = []
        for month, published, moves in (
            ("2023-08-01", (1_200, 4_000), {"result_added": (400, 0), "withdrawn": (-3, -12)}),
            ("2023-07-01", (900, 3_000), {"learnt_late": (10, 2_000)}),
        ):
            kinds = {kind: moves.get(kind, (0, 0)) for kind in KINDS}
            row: dict[str, Any] = {"month": month, "code": code}
            for at, (name, of) in enumerate((("numerator", ""), ("denominator", "_of"))):
                row |= {f"published_{name}": published[at]}
                row |= {name: published[at] + sum(one[at] for one in kinds.values())}
                row |= {f"by_{kind}{of}": one[at] for kind, one in kinds.items()}
            found.append({**row, "found": 2})
        return found if self.version else []

    def dossier(self, _: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Told three times: received, ended, and its result linked a month later."""
        if not self.version or not values["number"].startswith("H18.02-"):
            return []
        begun = self.complete - 60 * 86_400
        told = (
            ("learnt_late", 0, 4, 0, 0),
            ("status_changed", 3, 4, 10, 0),
            ("result_added", 33, 10, 10, 1),
        )
        return [
            {
                "learnt_time": begun + after * 86_400,
                "change_kind": kind,
                "status": progress or record,
                "record_status": record,
                "record_time": begun + after * 86_400 - 600,
                "progress_status": progress,
                "progress_time": begun + 3 * 86_400 if progress else 0,
                "system": "civil_status",
                "procedure_code": "1.001193.000.00.00.H18",
                "sector_code": "G15-HT01",
                "received_time": begun,
                "completed_time": begun + 2 * 86_400 if counts else 0,
                "due_time": begun + 5 * 86_400,
                "within": 1,
                "counts": counts,
            }
            for kind, after, record, progress, counts in told
            if begun + after * 86_400 < values.get("known", self.complete)
        ]

    def swaps(self, _: str, __: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "swapped_time": self.complete - at * 86_400,
                "swap_number": 2 - at,
                "swap_kind": kind,
                "rehearsal": "nine",
                "swapped_months": months,
                "swapped_by": "an",
                "because": because,
                "swap_state": "done",
            }
            for at, (kind, months, because) in enumerate(
                (("back", "", "a log was missing"), ("swap", "2023-07, 2023-08", "parity"))
            )
        ]

    def alert_history(self, _: str, __: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "changed_time": row["since_time"],
                "alert_name": f"R1 {row['code']}",
                "state_name": row["state_name"],
            }
            for row in self.alarms
        ]

    def distribution(self, _: str, __: Mapping[str, Any]) -> list[dict[str, Any]]:
        bands = {f"from_{low}": low // 10 for low in range(0, 100, 10)}
        return [{"month": "2023-09-01", **bands}] if self.version else []

    def alerts(self, _: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [row for row in self.alarms if values["only"] in ("", row["body_code"])]
