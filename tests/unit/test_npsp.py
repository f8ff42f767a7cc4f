"""The nine months of 2026: what its calls come to when they are folded, and how they come."""

import hashlib
import json
from collections import Counter, defaultdict
from datetime import date, datetime
from itertools import islice
from typing import Any

import pytest

from producers.scenario import scenario
from producers.scenario_npsp import FIRST, LAST, PUBLISHED, scaled
from rates.calendar import Calendar
from rates.cohort import Cohort, CohortKey, cohort_of
from rates.declared import CALL_FIELDS, RECORD_FIELDS
from rates.dossier import Dossier
from rates.register import Register
from rates.sheets import day_number
from rates.tallies import BIT, SYSTEMS
from rates.wire import LOCAL, decode, unit_of

REGISTER = Register.shipped()
SCALE = 0.01
FIGURES = ("e_result", "received", "on_time", "late")


class World:
    def __init__(self, seed: int) -> None:
        self.times: list[str] = []
        self.sizes = Counter[str]()
        self.fields: set[str] = set()
        self.records: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.events = self.largest = 0
        cohorts: dict[CohortKey, Cohort] = {}
        world = scenario("npsp-2026", seed=seed, scale=SCALE, register=REGISTER)
        for position, (received_at, written) in enumerate(world, 1):
            value = bytes(written)
            call = json.loads(value)
            units = {unit_of(record["MaHoSo"]) for record in call["data"]}
            (unit,) = units
            assert unit is not None
            moment = int(datetime.fromisoformat(received_at).timestamp())
            events, rejections = decode(value, unit.encode(), moment, REGISTER)
            assert rejections == []
            self.times.append(received_at)
            self.events += len(events)
            self.largest = max(self.largest, len(events))
            self.fields |= set(call).union(*call["data"])
            for record in call["data"]:
                self.records[record["MaHoSo"]].append(record)
            for event in events:
                place = cohort_of(event.unit, event.number)
                cohort = cohorts.setdefault(place, Cohort(place))
                cohort.fold(event, version=position << 12 | event.index, learnt=moment, procedures=REGISTER)
        self.dossiers: list[tuple[str, Dossier]] = [
            (cohort.key.unit, dossier)
            for cohort in cohorts.values()
            for _, dossier in cohort.changed_dossiers()
        ]


@pytest.fixture(scope="module")
def world() -> World:
    return World(7)


def test_folding_the_calls_comes_to_the_published_counts_at_scale(world: World) -> None:
    counted = Counter[tuple[str, str]]()
    for unit, dossier in world.dossiers:
        assert FIRST <= dossier.days[0] <= LAST
        for name in FIGURES:
            counted[REGISTER.body(unit, dossier.days[0]), name] += dossier.mask >> BIT[name] & 1
    for published in PUBLISHED:
        wanted = scaled(published, SCALE)
        assert [counted[wanted.body, name] for name in FIGURES] == [getattr(wanted, name) for name in FIGURES]
        assert digits(wanted) == digits(published)


def digits(counts: Any) -> str:
    return f"{100 * counts.e_result / counts.received:.2f}"


def test_the_published_counts_are_those_of_the_source() -> None:
    assert sum(each.received for each in PUBLISHED) == 2_907_442
    assert [digits(each) for each in PUBLISHED] == ["76.27", "48.31", "75.11", "86.57"]
    assert all(scaled(each, 1.0) == each for each in PUBLISHED)


@pytest.mark.parametrize("scale", [0.01, 0.013, 0.05, 0.2, 0.7, 3.0])
def test_at_other_scales_the_percentage_stays_and_the_counts_are_near(scale: float) -> None:
    for published in PUBLISHED:
        found = scaled(published, scale)
        assert digits(found) == digits(published)
        assert abs(found.received - scale * published.received) <= 0.01 * scale * published.received
        assert found.on_time + found.late <= found.received


def test_a_dossier_is_heard_of_about_six_times_in_each_of_the_ways(world: World) -> None:
    assert 5.95 < world.events / len(world.dossiers) < 6.2
    seen = Counter[str]()
    for records in world.records.values():
        full = [record for record in records if "TrangThaiHoSo" in record]
        links = ["DanhSachGiayToKetQua" in record for record in full]
        seen["re-sent"] += any(full.count(record) > 1 for record in full)
        seen["progress"] += len(full) < len(records)
        seen["late link"] += any(
            earlier.get("NgayTra") == later.get("NgayTra") and "NgayTra" in later and had < has
            for earlier, later, had, has in zip(full, full[1:], links, links[1:], strict=False)
        )
        seen["receipt corrected"] += len({record["NgayTiepNhan"] for record in full}) > 1
        seen["supplement"] += any("DanhSachHoSoBoSung" in record for record in full)
        seen["no due date"] += not full[0]["NgayHenTra"]
        seen["withdrawn"] += full[-1]["TrangThaiHoSo"] == "7"
        seen["input paper"] += any(
            record["DanhSachGiayToKetQua"][0]["DuongDanTepTinKetQua"]
            == record["TaiLieuNop"][0]["DuongDanTaiTepTin"]
            for record, has in zip(full, links, strict=True)
            if has
        )
    assert {name for name in seen if seen[name] < 20} == set()
    assert {SYSTEMS[dossier.system] for _, dossier in world.dossiers} == set(SYSTEMS)


def test_calls_come_in_order_by_unit_with_declared_fields_alone(world: World) -> None:
    assert world.times == sorted(world.times)
    assert world.times[0] > "2026-01-01T17:30"
    assert world.times[-1] < "2026-10-01"
    assert world.largest <= 200
    assert world.fields <= RECORD_FIELDS | CALL_FIELDS
    units = {unit for unit, _ in world.dossiers}
    assert units <= set(REGISTER.one_stop_units(LAST))
    assert len(units) > 400


def test_dossiers_come_on_working_days(world: World) -> None:
    calendar = Calendar.shipped()
    days = Counter(dossier.days[0] for _, dossier in world.dossiers)
    free = sum(count for day, count in days.items() if not calendar.is_working_day(day))
    assert 0 < free < 0.06 * len(world.dossiers)
    tet = day_number(date(2026, 2, 17))
    assert sum(days[day] for day in range(tet, tet + 3)) < 0.1 * days[tet + 7] * 3
    closed = Counter(
        (dossier.completed + LOCAL) // 86_400 for _, dossier in world.dossiers if dossier.completed
    )
    assert all(calendar.is_working_day(day) for day in closed)


def test_the_same_seed_gives_the_same_calls() -> None:
    def hashed(seed: int) -> str:
        calls = islice(scenario("npsp-2026", seed=seed, scale=0.002, register=REGISTER), 5_000)
        return hashlib.sha256(b"".join(at.encode() + bytes(call) for at, call in calls)).hexdigest()

    assert hashed(3) == hashed(3) != hashed(4)
