"""An independent recount of event logs: the same answer as `motcua rates`, by the slowest plain way.

It shares no code with the project, only the reference CSV files, so that a difference between the two is
a mistake in one of them. It follows a log the whole way: what `publish` would send (bad lines skipped,
calls split by unit and cut to 500 records), what a consumer would read from each message, the fold of
every event in order of arrival, and at the end the five definitions over the dossiers that remain.
It promises an answer for any bytes, and refuses only a group or definition that does not exist.

    python -m tests.recount.recount LOG… --by unit,day --form both --json
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.recount.reading import (
    DAY,
    Record,
    day_of,
    end_of_day,
    instant,
    read_record,
    received_at_of,
    strict_json,
    text_of,
)
from tests.recount.register import SHIPPED, Register, is_unit, register_in

MOST_RECORDS = 500
MOST_BYTES = 8 * 1024 * 1024
RECORDS, PROGRESS = "DongBoHoSoMC", "CapNhatTienDoHoSoMC"
STATUSES = {str(code): code for code in range(1, 11)}
RECEIVED = frozenset({2, 4, 5, 6, 7, 8, 9, 10})
COMPLETED = frozenset({9, 10})
DONE = frozenset({7, 9, 10})
DEFINITIONS = ("ER-2026-METRICS", "ER-766-DOC", "ER-766-PORTAL", "ER-PROV-DONE", "ER-PROV-SCORE")
BASES = {
    "ER-2026-METRICS": "completed",
    "ER-766-DOC": "received",
    "ER-766-PORTAL": "received",
    "ER-PROV-DONE": "completed",
    "ER-PROV-SCORE": "received",
}
FORMS = {"reported": ("reported",), "clean": ("clean",), "both": ("clean", "reported")}
GROUPS = ("unit", "body", "day", "month", "system")
# Of a call's fields, those that some rule reads: what weighs in a message after `publish` has pruned it.
DECLARED = frozenset(
    {
        *("service", "madonvi", "isUpdating", "data", "MaHoSo", "MaTTHC", "MaLinhVuc", "NgayNopHoSo"),
        *("NgayTiepNhan", "NgayHenTra", "NgayKetThucXuLy", "NgayTra", "NgayTuChoi", "TrangThaiHoSo"),
        *("TrangThai", "ThoiDiemXuLy", "HoSoCoThanhPhanSoHoa", "TaiKhoanDuocXacThucVoiVNeID"),
        *("DSKetNoiCSDL", "MaCSDL", "TaiLieuNop", "DuongDanTaiTepTin", "DuocSoHoa"),
        *("DanhSachGiayToKetQua", "DuongDanTepTinKetQua", "DanhSachHoSoBoSung", "NgayBoSung"),
        "NgayTiepNhanBoSung",
    }
)


@dataclass(slots=True)
class Dossier:
    """The newest full record and, beside it, the newest progress row (its time and code)."""

    unit: str
    record: Record | None = None
    progress: tuple[int, int] | None = None

    @property
    def status(self) -> int | None:
        """The status that counts; None while only progress rows have come."""
        if self.record is None:
            return None
        if self.progress and self.progress[0] > self.record.rank[0]:
            return self.progress[1]
        return self.record.status


@dataclass(slots=True)
class Recount:
    """What the events left behind: dossiers, rejections by reason, bad lines."""

    register: Register
    dossiers: dict[str, Dossier] = field(default_factory=dict)
    rejections: Counter[str] = field(default_factory=Counter)
    bad_lines: int = 0

    # ---- the way in: a line of a log, as `publish` reads and sends it

    def line(self, raw: bytes) -> None:
        """One line of an event log: its call is sent as messages, or it is bad and skipped."""
        try:
            line = strict_json(raw)
        except (ValueError, RecursionError):
            line = None
        received_at = received_at_of(line.get("received_at")) if isinstance(line, dict) else None
        if not isinstance(line, dict) or "call" not in line or received_at is None:
            self.bad_lines += 1
            return
        for key, call in split(line["call"]):
            if len(raw) > MOST_BYTES and len(pruned(call)) > MOST_BYTES:
                self.rejections["too_large"] += 1
            else:
                self._call(key, call, received_at)

    # ---- the way on: a message, as a consumer reads it

    def message(self, key: bytes | None, value: bytes | None, timestamp_ms: int) -> None:
        """One Kafka message."""
        value = value or b""
        if len(value) > MOST_BYTES:
            self.rejections["too_large"] += 1
            return
        try:
            call = strict_json(value)
        except RecursionError:
            self.rejections["too_deep"] += 1
        except ValueError:
            self.rejections["not_json"] += 1
        else:
            self._call(key, call, timestamp_ms // 1000)

    def _call(self, key: bytes | None, call: object, received_at: int) -> None:
        data = call.get("data") if isinstance(call, dict) else None
        if isinstance(data, list) and len(data) > MOST_RECORDS:
            self.rejections["too_many_records"] += 1
            return
        if not isinstance(call, dict) or not is_call(call) or not isinstance(data, list):
            self.rejections["not_a_call"] += 1
            return
        whole = call["service"] == RECORDS
        for fields in data:
            reason = self._event(key, text_of(call, "madonvi"), fields, received_at, whole=whole)
            if reason:
                self.rejections[reason] += 1

    def _event(
        self, key: bytes | None, sender: str, fields: object, received_at: int, *, whole: bool
    ) -> str | None:
        """Fold one record or progress row; the reason where it is rejected."""
        if not isinstance(fields, dict):
            return "bad_field"
        number = text_of(fields, "MaHoSo")
        unit = number.partition("-")[0]
        if not is_unit(unit):
            return "bad_number"
        if key != unit.encode() or sender not in self.register.senders(unit):
            return "wrong_unit"
        status = STATUSES.get(text_of(fields, "TrangThaiHoSo" if whole else "TrangThai"))
        if status is None:
            return "unknown_status"
        if whole:
            record = read_record(fields, status, received_at)
            dossier = self.dossiers.setdefault(number, Dossier(unit))
            if dossier.record is None or record.rank >= dossier.record.rank:
                dossier.record = record
            return None
        time = instant(text_of(fields, "ThoiDiemXuLy"))
        if time is None or time > received_at + DAY:
            return "bad_field"
        dossier = self.dossiers.setdefault(number, Dossier(unit))
        if dossier.progress is None or (time, status) > dossier.progress:
            dossier.progress = (time, status)
        return None

    # ---- the answers

    def states(self) -> dict[str, dict[str, object]]:
        """Every dossier's final state by its number, times in seconds since 1970 (None = empty)."""
        return {number: self._state(dossier) for number, dossier in self.dossiers.items()}

    def _state(self, dossier: Dossier) -> dict[str, object]:
        record, status = dossier.record, dossier.status
        state: dict[str, object] = {"unit": dossier.unit, "status": status, "progress": dossier.progress}
        if record is None:
            return state | {"counts": False}
        system, required = self.register.procedure(record.procedure, record.sector)
        due = end_of_day(record.due)
        return state | {
            "counts": status in RECEIVED and record.received is not None,
            "record_status": record.status,
            "record_time": record.time,
            "received": record.received,
            "completed": record.completed,
            "due": record.due,
            "on_time": None if due is None or record.completed is None else record.completed <= due,
            "system": system,
            "result_required": required,
            "e_result": record.e_result,
            "e_result_clean": record.e_result_clean,
            "digitised": record.digitised,
            "population": record.population,
        }

    def rates(
        self,
        *,
        definition: str | None = None,
        form: str = "reported",
        by: Sequence[str] = (),
        since: str | None = None,
        until: str | None = None,
    ) -> list[dict[str, object]]:
        """The rows of `motcua rates --json`; `since` and `until` are days, both included."""
        if definition is not None and definition not in DEFINITIONS:
            raise ValueError(f"no definition {definition}: take one of {', '.join(DEFINITIONS)}")
        if unknown := [group for group in by if group not in GROUPS]:
            raise ValueError(f"no group {unknown[0]}: take of {', '.join(GROUPS)}")
        tallies: dict[tuple[str, ...], list[int]] = {}
        wanted = DEFINITIONS if definition is None else (definition,)
        if not by:
            tallies = {(name, each): [0, 0] for name in wanted for each in FORMS[form]}
        for dossier in self.dossiers.values():
            record, status = dossier.record, dossier.status
            if record is None or status not in RECEIVED or record.received is None:
                continue
            system, required = self.register.procedure(record.procedure, record.sector)
            days = {"received": day_of(record.received)}
            if record.completed is not None:
                days["completed"] = day_of(record.completed)
            for name in wanted:
                day = days.get(BASES[name])
                if day is None or (since and day < since) or (until and day > until):
                    continue
                group = tuple(self._group(each, dossier.unit, day, system) for each in by)
                for each in FORMS[form]:
                    result = record.e_result if each == "reported" else record.e_result_clean
                    numerator, denominator = counts(name, status, required=required, result=result)
                    if denominator:
                        cell = tallies.setdefault((name, each, *group), [0, 0])
                        cell[0] += numerator
                        cell[1] += denominator
        return [
            {"definition": key[0], "form": key[1], "basis": BASES[key[0]]}
            | dict(zip(by, key[2:], strict=True))
            | {"numerator": top, "denominator": bottom, "rate": top / bottom if bottom else None}
            for key, (top, bottom) in sorted(tallies.items())
        ]

    def _group(self, group: str, unit: str, day: str, system: str) -> str:
        match group:
            case "unit":
                return unit
            case "body":
                return self.register.body(unit, day)
            case "day":
                return day
            case "month":
                return day[:7]
            case _:
                return system


def counts(name: str, status: int, *, required: bool, result: bool) -> tuple[bool, bool]:
    """One received dossier's numerator and denominator under a definition, the first within the second."""
    done = status in DONE
    match name:
        case "ER-766-DOC":
            return result and required, required
        case "ER-766-PORTAL":
            return result, True
        case "ER-2026-METRICS":
            due = status == 10 and required
            return result and due, due
        case "ER-PROV-DONE":
            return done and (result or not required), done
        case _:
            return done and result, True


def is_call(call: dict[str, object]) -> bool:
    return call.get("service") in (RECORDS, PROGRESS)


def split(call: object) -> Iterator[tuple[bytes, object]]:
    """The messages of a call, key and call: by unit, at most 500 records each; what is no call goes whole."""
    if not isinstance(call, dict):
        yield b"", call
        return
    sender = text_of(call, "madonvi")
    data = call.get("data")
    if not is_call(call) or not isinstance(data, list):
        yield sender.encode(), call
        return
    by_key: dict[str, list[object]] = {}
    for fields in data:
        unit = text_of(fields, "MaHoSo").partition("-")[0] if isinstance(fields, dict) else ""
        by_key.setdefault(unit if is_unit(unit) else sender, []).append(fields)
    for key, fields_of_key in by_key.items():
        for at in range(0, len(fields_of_key), MOST_RECORDS):
            yield key.encode(), call | {"data": fields_of_key[at : at + MOST_RECORDS]}


def pruned(value: object) -> bytes:
    """The bytes of a call without its undeclared fields."""

    def prune(inner: object) -> object:
        if isinstance(inner, dict):
            return {name: prune(held) for name, held in inner.items() if name in DECLARED}
        return [prune(held) for held in inner] if isinstance(inner, list) else inner

    return json.dumps(prune(value), ensure_ascii=False, separators=(",", ":")).encode()


def recount(lines: Iterable[bytes], *, into: Recount | None = None, register: Path = SHIPPED) -> Recount:
    """Recount the lines of an event log, on top of what `into` holds already."""
    state = into or Recount(register_in(register))
    for raw in lines:
        state.line(raw)
    return state


def recount_messages(
    messages: Iterable[tuple[bytes | None, bytes | None, int]],
    *,
    into: Recount | None = None,
    register: Path = SHIPPED,
) -> Recount:
    """Recount messages (key, value, timestamp in ms) that were put into Kafka directly."""
    state = into or Recount(register_in(register))
    for key, value, timestamp_ms in messages:
        state.message(key, value, timestamp_ms)
    return state


def read_log(path: Path) -> Iterator[bytes]:
    """The lines of a log, `.gz` or plain, split at line feeds alone."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        yield from file


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="recount", description="An independent recount of event logs.")
    parser.add_argument("logs", nargs="+", type=Path, metavar="LOG")
    parser.add_argument("--by", default="", help="of " + ",".join(GROUPS))
    parser.add_argument("--definition", choices=DEFINITIONS)
    parser.add_argument("--form", choices=tuple(FORMS), default="reported")
    parser.add_argument("--from", dest="since", metavar="DAY")
    parser.add_argument("--to", dest="until", metavar="DAY")
    parser.add_argument("--register", type=Path, default=SHIPPED, metavar="DIR")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    by = tuple(group for group in options.by.split(",") if group)
    if unknown := [group for group in by if group not in GROUPS]:
        parser.error(f"no group {unknown[0]}: take of {','.join(GROUPS)}")
    state = Recount(register_in(options.register))
    for log in options.logs:
        recount(read_log(log), into=state)
    rows = state.rates(
        definition=options.definition, form=options.form, by=by, since=options.since, until=options.until
    )
    if options.json:
        # A recount knows no partitions, so it cannot say how far each of them is complete.
        print(json.dumps({"complete_to": None, "rows": rows}, ensure_ascii=False))
    else:
        for row in rows:
            print(*("-" if value is None else value for value in row.values()), sep="\t")
    rejected = ", ".join(f"{count} {reason}" for reason, count in sorted(state.rejections.items())) or "none"
    print(
        f"{len(state.dossiers)} dossiers, {state.bad_lines} bad lines, rejected: {rejected}", file=sys.stderr
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
