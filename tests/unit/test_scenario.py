"""The seeded worlds: what they come to by plan, and what their calls show on the way."""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from itertools import islice
from random import Random
from typing import Any

import pytest

from producers import scenario_story
from producers.scenario import NAMES, scenario
from producers.scenario_plan import (
    DIGITISED,
    E_RESULT,
    NEVER,
    POPULATION,
    REQUIRED,
    Plan,
    fraction_near,
    make_plan,
    unpacked,
)
from rates.cohort import Cohort, CohortKey, cohort_of
from rates.register import Register
from rates.sheets import day_number
from rates.tallies import BIT
from rates.wire import DAY, LOCAL, day_of, decode, instant, unit_of

REGISTER = Register.shipped()
OCTOBER = "october-2023"
SMALL = 0.2
PERIODS = {year: range(day_number(date(year, 1, 1)), day_number(date(year, 10, 1))) for year in (2022, 2023)}
PUBLISHED = {
    ("ministry", 2022): "10.78",
    ("ministry", 2023): "24.48",
    ("province", 2022): "13.14",
    ("province", 2023): "38.94",
}


def level_of(body: str) -> str:
    found = REGISTER.unit(body, PERIODS[2023][0])
    assert found is not None
    return found.level


def counted(plan: Plan) -> Iterator[tuple[int, str, str, str, int]]:
    """(year, level, body, unit, bits) of the planned dossiers that are received in one of the periods."""
    levels = [level_of(body) for body in plan.bodies]
    for dossier in plan.dossiers:
        day, index, bits = unpacked(dossier)
        years = [year for year, days in PERIODS.items() if day in days]
        if years and not bits & NEVER:
            source = plan.sources[index]
            yield years[0], levels[source.body], plan.bodies[source.body], source.unit, bits


@pytest.mark.parametrize(("seed", "scale"), [(1, 1.0), (2, 1.0), (3, SMALL), (4, 0.37), (5, 0.9), (6, 2.0)])
def test_the_plan_comes_to_every_published_figure(seed: int, scale: float) -> None:
    plan = make_plan(Random(seed), scale, REGISTER)
    required, results = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    digitising: set[str] = set()
    population: set[str] = set()
    dien_bien = Counter[str]()
    for year, level, body, unit, bits in counted(plan):
        if bits & REQUIRED:
            required[level, year] += 1
            results[level, year] += bool(bits & E_RESULT)
        if year == 2023:
            if bits & DIGITISED:
                digitising.add(unit)
            if bits & POPULATION:
                population.add(body)
            if body == "H18":
                dien_bien["received"] += 1
                dien_bien["digitised"] += bool(bits & DIGITISED)
    rates = {key: 100 * results[key] / required[key] for key in PUBLISHED}
    assert {key: f"{rate:.2f}" for key, rate in rates.items()} == PUBLISHED
    assert f"{rates['ministry', 2023] - rates['ministry', 2022]:+.1f}" == "+13.7"
    assert f"{rates['province', 2023] - rates['province', 2022]:+.1f}" == "+25.8"
    one_stop = set(REGISTER.one_stop_units(day_number(date(2023, 10, 1))))
    assert len(digitising & one_stop) == 9_200
    assert f"{100 * len(digitising & one_stop) / len(one_stop):.1f}" == "76.9"
    assert Counter(map(level_of, population)) == {"ministry": 15, "province": 63}
    assert {unit for unit in one_stop if unit.startswith("H18.")} <= digitising
    assert 0.751 <= dien_bien["digitised"] / dien_bien["received"] <= 0.79
    assert plan.figures.rates == {key: (results[key], required[key]) for key in PUBLISHED}
    assert plan.figures.digitising_units == 9_200
    assert plan.figures.population_bodies == {"ministry": 15, "province": 63}
    assert plan.figures.dien_bien == (dien_bien["digitised"], dien_bien["received"])


def test_some_one_stop_units_never_have_a_dossier() -> None:
    plan = make_plan(Random(1), 1.0, REGISTER)
    heard = {unpacked(dossier)[1] for dossier in plan.dossiers}
    silent = {index for index, source in enumerate(plan.sources) if source.silent}
    assert len(silent) > 500
    assert not heard & silent


@pytest.mark.parametrize("size", [1_000, 1_001, 1_250, 5_000, 7_777])
def test_a_fraction_meets_its_rate_to_a_fifth_of_the_last_published_digit(size: int) -> None:
    for published in PUBLISHED.values():
        rate = Fraction(published) / 100
        numerator, denominator = fraction_near(rate, size)
        assert size <= denominator <= size * 1.02 + 100
        assert abs(Fraction(numerator, denominator) - rate) < Fraction(1, 50_000)


class World:
    """Folds a world through the heart, as a worker would, and keeps what its calls showed."""

    def __init__(self, seed: int) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = list(
            scenario(OCTOBER, seed=seed, scale=SMALL, register=REGISTER)
        )
        self.cohorts: dict[CohortKey, Cohort] = {}
        self.reasons = Counter[str]()
        self.shown: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        position = 0
        for received_at, call in self.calls:
            moment = int(datetime.fromisoformat(received_at).timestamp())
            records = call.get("data")
            by_key: dict[str, list[Any]] = defaultdict(list)
            for record in records if isinstance(records, list) else ():
                number = record.get("MaHoSo") if isinstance(record, dict) else None
                unit = unit_of(number) if isinstance(number, str) else None
                by_key[unit or call["madonvi"]].append(record)
                if unit is not None and isinstance(number, str):
                    self.shown[number].append((received_at, record))
            parts = {key: {**call, "data": part} for key, part in by_key.items()} or {call["madonvi"]: call}
            for key, part in parts.items():
                position += 1
                self._take(json.dumps(part).encode(), key.encode(), moment, position)

    def _take(self, value: bytes, key: bytes, moment: int, position: int) -> None:
        events, rejections = decode(value, key, moment, REGISTER)
        self.reasons.update(rejection.reason.value for rejection in rejections)
        for event in events:
            place = cohort_of(event.unit, event.number)
            cohort = self.cohorts.get(place)
            if cohort is None:
                cohort = self.cohorts[place] = Cohort(place)
            cohort.fold(event, version=position << 12 | event.index, learnt=moment, procedures=REGISTER)

    def counted(self) -> Iterator[tuple[int, str, str, str, int]]:
        """As `counted` of the plan, but with masks, and found by folding."""
        for cohort in self.cohorts.values():
            for _, dossier in cohort.changed_dossiers():
                day = dossier.days[0]
                years = [year for year, days in PERIODS.items() if day in days]
                if years:
                    body = REGISTER.body(cohort.key.unit, day)
                    yield years[0], level_of(body), body, cohort.key.unit, dossier.mask


@pytest.fixture(scope="module")
def world() -> World:
    return World(7)


def test_folding_the_calls_comes_to_what_was_planned(world: World) -> None:
    plan = make_plan(Random(7), SMALL, REGISTER)
    planned, found = Counter[tuple[object, ...]](), Counter[tuple[object, ...]]()
    bits = {
        REQUIRED: "result_required",
        E_RESULT: "e_result",
        REQUIRED | E_RESULT: "e_result_required",
        DIGITISED: "digitised",
        POPULATION: "population_database",
    }
    for year, _, body, unit, planned_bits in counted(plan):
        planned[year, body, unit, "received"] += 1
        for wanted, name in bits.items():
            planned[year, body, unit, name] += planned_bits & wanted == wanted
    for year, _, body, unit, mask in world.counted():
        for name in ("received", *bits.values()):
            found[year, body, unit, name] += mask >> BIT[name] & 1
    assert +found == +planned


def test_results_that_are_input_papers_do_not_count_when_clean(world: World) -> None:
    reported, clean = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    for year, level, _, _, mask in world.counted():
        reported[level, year] += mask >> BIT["e_result_required"] & 1
        clean[level, year] += mask >> BIT["e_result_clean_required"] & 1
    assert all(0 < clean["province", year] < reported["province", year] for year in PERIODS)
    assert sum(clean.values()) < 0.99 * sum(reported.values())


def test_junk_of_every_sort_that_a_log_can_hold_is_there(world: World) -> None:
    wanted = {"not_a_call", "bad_number", "wrong_unit", "unknown_status", "bad_field"}
    assert set(world.reasons) == wanted
    assert all(count > 20 for count in world.reasons.values())


def test_records_arrive_as_records_do(world: World) -> None:
    seen = Counter[str]()
    for copies in world.shown.values():
        full = [record for _, record in copies if "TrangThaiHoSo" in record]
        rows = [record for _, record in copies if "ThoiDiemXuLy" in record]
        links = [any(map(_link, record["DanhSachGiayToKetQua"])) for record in full]
        statuses = [str(record["TrangThaiHoSo"]) for record in full]
        seen["re-sent"] += any(full.count(record) > 1 for record in full)
        seen["row before its dossier"] += bool(rows) and copies[0][1] in rows and bool(full)
        seen["update before insert"] += statuses[:1] in (["9"], ["10"]) and "2" in statuses
        seen["late link"] += any(
            earlier["NgayTra"] == later["NgayTra"] != "" and has < had
            for earlier, later, has, had in zip(full, full[1:], links, links[1:], strict=False)
        )
        seen["no due date"] += bool(full) and not full[-1]["NgayHenTra"]
        seen["withdrawn"] += "7" in statuses
        seen["refused"] += "3" in statuses
        seen["opened again"] += bool(rows) and rows[-1]["TrangThai"] == "4" and statuses[-1:] == ["10"]
        seen["Buddhist year"] += any(record["NgayTiepNhan"][:2] == "25" for record in full)
        seen["date without time"] += any(len(record["NgayKetThucXuLy"]) == 8 for record in full)
        seen["number, not text"] += any(record["TrangThaiHoSo"] == 10 for record in full)
        seen["seven hours off"] += any(
            record["NgayTiepNhan"] == _shifted(full[-1]["NgayTiepNhan"]) for record in full
        )
        seen["local procedure code"] += any(record["MaTTHC"].count(".") > 1 for record in full)
    seen["no paper result"] = sum("9.900009" in str(copies) for copies in world.shown.values())
    seen["second number"] = sum("-5000" in number for number in world.shown)
    seen["number without a date"] = sum("-239902-" in number for number in world.shown)
    seen["old form"] = sum(number.startswith("000.") for number in world.shown)
    assert {name for name, count in seen.items() if count < 5} == set()


def test_some_calls_bring_many_records_at_the_end_of_a_month(world: World) -> None:
    sizes = [
        (received_at[11:13], len(call["data"]))
        for received_at, call in world.calls
        if isinstance(call.get("data"), list)
    ]
    assert sum(hour == "20" and size > 20 for hour, size in sizes) > 10
    assert max(size for _, size in sizes) <= 200


def test_calls_come_in_the_order_in_which_they_were_received(world: World) -> None:
    times = [received_at for received_at, _ in world.calls]
    assert times == sorted(times)
    assert all(datetime.fromisoformat(time).utcoffset() == timedelta(hours=7) for time in times[:100])
    assert times[-1] < "2023-10-20"


def test_personal_data_is_in_the_raw_calls_and_plainly_invented(world: World) -> None:
    records = [record for copies in world.shown.values() for _, record in copies]
    named = [record for record in records if "ChuHoSo" in record]
    assert len(named) > len(records) / 3
    assert all(" VĂN THỬ " in record["ChuHoSo"] for record in named)
    assert all(record["SoDienThoai"].startswith("0000000") for record in named)


def test_the_same_seed_gives_the_same_calls_in_any_process() -> None:
    program = (
        "import json; from itertools import islice; from producers.scenario import scenario; "
        "from rates.register import Register; "
        f"world = scenario({OCTOBER!r}, seed=3, scale={SMALL}, register=Register.shipped()); "
        "print(json.dumps(list(islice(world, 3000))))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    other = islice(scenario(OCTOBER, seed=4, scale=SMALL, register=REGISTER), 3000)
    assert json.loads(runs[0]) != [list(entry) for entry in other]


def test_what_cannot_be_made_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match="choose one of october-2023, npsp-2026, steady, story"):
        scenario("november", seed=1, scale=1.0, register=REGISTER)
    with pytest.raises(ValueError, match=r"take 0\.2 or more"):
        scenario(OCTOBER, seed=1, scale=0.1, register=REGISTER)
    with pytest.raises(ValueError, match="take the shipped register"):
        scenario("npsp-2026", seed=1, scale=0.01, register=Register(REGISTER.units[:30]))
    with pytest.raises(ValueError, match="take the shipped register"):
        scenario(OCTOBER, seed=1, scale=1.0, register=Register(REGISTER.units[:30]))
    assert NAMES == (OCTOBER, "npsp-2026", "steady", "story")


def test_a_steady_morning_begins_when_it_is_told_to_and_is_all_understood() -> None:
    begin = datetime(2026, 3, 2, 8, 0, tzinfo=timezone(timedelta(hours=7)))
    calls = list(scenario("steady", seed=1, scale=0.02, register=REGISTER, start=begin))
    times = [datetime.fromisoformat(received_at) for received_at, _ in calls]
    assert times == sorted(times)
    assert begin == times[0]
    assert times[-1] < begin + timedelta(hours=4)
    assert len({record["MaHoSo"] for _, call in calls for record in call["data"]}) == 160
    for received_at, call in calls:
        key = unit_of(call["data"][0]["MaHoSo"])
        assert key is not None
        moment = int(datetime.fromisoformat(received_at).astimezone(UTC).timestamp())
        events, rejections = decode(json.dumps(call).encode(), key.encode(), moment, REGISTER)
        assert (len(events), rejections) == (len(call["data"]), [])


def test_in_the_story_each_province_has_what_it_is_told_to_have_and_nobody_works_at_tet() -> None:
    register = Register.shipped()
    low, games, quiet = (
        scenario_story.slipping(register),
        scenario_story.gaming(register),
        scenario_story.silent(register),
    )
    results, papers = Counter[tuple[bool, bool]](), Counter[str]()
    heard = set[int]()
    before = ""
    begin, lasting = scenario_story.STALE
    for received_at, call in scenario("story", seed=1, scale=1.0, register=register):
        assert received_at >= before
        before = received_at
        moment = datetime.fromisoformat(received_at)
        local = int(moment.timestamp()) + LOCAL
        assert not begin <= local < begin + lasting
        for record in call["data"]:
            unit = unit_of(record["MaHoSo"])
            assert unit is not None
            if unit == quiet:
                heard.add(local // DAY)
            if str(record["TrangThaiHoSo"]) != "10":
                continue
            received = day_of(instant(record["NgayTiepNhan"]))
            slipped = unit.startswith(f"{low}.") and received in scenario_story.SLIPPING
            results[slipped, bool(record["DanhSachGiayToKetQua"])] += 1
            for result in record["DanhSachGiayToKetQua"]:
                if result["DuongDanTepTinKetQua"] == record["TaiLieuNop"][0]["DuongDanTaiTepTin"]:
                    papers[unit] += 1
    assert 0.35 < results[True, True] / (results[True, True] + results[True, False]) < 0.55
    assert results[False, True] / (results[False, True] + results[False, False]) > 0.95
    assert set(papers) == {games}
    assert not heard & set(scenario_story.SILENT)
    assert not heard & set(range(day_number(date(2024, 2, 8)), day_number(date(2024, 2, 15))))
    assert len(heard) > 60


def _link(paper: dict[str, str]) -> bool:
    return bool(paper["DuongDanTepTinKetQua"])


def _shifted(written: str) -> str:
    if len(written) != 14 or not written.startswith("20"):
        return ""
    return (datetime.strptime(written, "%Y%m%d%H%M%S") + timedelta(hours=7)).strftime("%Y%m%d%H%M%S")  # noqa: DTZ007
