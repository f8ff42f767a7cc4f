"""The register, against what is known of the administration and against files that are wrong."""

import re
from collections import Counter
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rates.calendar import Calendar
from rates.register import PROCEDURE_COLUMNS, UNIT_COLUMNS, Register, RegisterError
from rates.sheets import LAST_DAY, day_number
from rates.tallies import SYSTEMS
from rates.targets import target_on

SHIPPED = Register.shipped()
CODES = sorted({unit.code for unit in SHIPPED.units})


def on(text: str) -> int:
    return day_number(date.fromisoformat(text))


OCTOBER_2023 = on("2023-10-01")


@pytest.mark.parametrize(
    ("day", "provinces", "ministries", "one_stop"),
    [
        ("2022-01-01", 63, 22, 11_956),
        ("2023-10-01", 63, 22, 11_956),
        ("2025-03-01", 63, 17, 11_931),
        ("2025-06-30", 63, 17, 11_931),
        ("2025-07-01", 34, 17, 3_321 + 34 + 85),
    ],
)
def test_there_are_as_many_bodies_and_one_stop_units_as_there_were(
    day: str, provinces: int, ministries: int, one_stop: int
) -> None:
    assert len(SHIPPED.bodies(on(day), "province")) == provinces
    assert len(SHIPPED.bodies(on(day), "ministry")) == ministries
    assert len(SHIPPED.bodies(on(day))) == provinces + ministries
    assert len(SHIPPED.one_stop_units(on(day))) == one_stop


def test_one_stop_units_stay_the_same_through_both_reported_periods() -> None:
    units = SHIPPED.one_stop_units(OCTOBER_2023)
    assert len(set(units)) == len(units)
    assert all(SHIPPED.one_stop_units(on(day)) == units for day in ("2022-01-01", "2022-09-30", "2023-09-30"))
    assert {SHIPPED.body(unit, OCTOBER_2023) for unit in units} == set(SHIPPED.bodies(OCTOBER_2023))
    assert {"H18.21", "H18.21.05"} < set(units)


def test_levels_have_the_known_numbers() -> None:
    levels = Counter(u.level for u in SHIPPED.units if u.valid_from <= OCTOBER_2023 <= u.valid_to)
    assert (levels["district"], levels["commune"], levels["agency"]) == (705, 10_598, 1)


@pytest.mark.parametrize(
    ("unit", "day", "body"),
    [
        ("H18.21.05", "2023-10-01", "H18"),
        ("H18", "2026-01-01", "H18"),
        ("G04", "2025-02-28", "G04"),
        ("G04", "2025-03-01", "G17"),
        ("G04.02", "2025-03-01", "G17"),
        ("G24", "2025-02-28", "G24"),
        ("G24", "2025-03-01", "G12"),
        ("H22.21.01", "2025-06-30", "H22"),
        ("H22.21.01", "2025-07-01", "H60"),
        ("H18.21.05", "2025-07-01", "H18"),
        ("H60.100", "2023-10-01", "H60"),  # asked before its first row
        ("H63", "2025-07-01", "H38"),  # Yên Bái went to Lào Cai, which took over its GSO code
        ("H22.99", "2023-10-01", "H22"),  # not known: the body that its code names
        ("H22.99", "2025-07-01", "H60"),
        ("000.00.17.H22", "2023-10-01", "H22"),
        ("000.00.17.H22", "2025-07-01", "H60"),
        ("H99.01", "2023-10-01", "H99"),
        ("H18", "1970-01-01", "H18"),
    ],
)
def test_a_unit_belongs_to_the_body_that_was_valid_on_the_day(unit: str, day: str, body: str) -> None:
    assert SHIPPED.body(unit, on(day)) == body


@given(
    st.one_of(
        st.sampled_from(CODES),
        st.from_regex(r"[HG][0-9]{2}(\.[0-9]{1,3}){0,3}", fullmatch=True),
        st.from_regex(r"([0-9]{1,3}\.){3}[HG][0-9]{2}", fullmatch=True),
    ),
    st.data(),
)
def test_the_eras_of_a_unit_cover_every_day_and_agree_with_its_body(unit: str, data: st.DataObject) -> None:
    eras = SHIPPED.body_eras(unit)
    assert eras[0][0] == 0
    assert eras[-1][1] == LAST_DAY
    assert all(left[1] + 1 == right[0] and left[2] != right[2] for left, right in pairwise(eras))
    edges = [day for first, last, _ in eras for day in (first, last)]
    day = data.draw(st.one_of(st.sampled_from(edges), st.integers(0, LAST_DAY), st.integers(18_000, 21_000)))
    assert [body for first, last, body in eras if first <= day <= last] == [SHIPPED.body(unit, day)]


@pytest.mark.parametrize(
    ("sender", "unit", "may"),
    [
        ("H18.21.05", "H18.21.05", True),
        ("H18.21", "H18.21.05", True),
        ("H18", "H18.21.05", True),
        ("H18.2", "H18.21.05", False),
        ("H18.21.05", "H18.21", False),
        ("H18.22", "H18.21.05", False),
        ("H26", "H18.21", False),
        ("", "H18.21", False),
        ("H60", "H22", True),
        ("H60", "H22.21", True),  # the successor of the province above it
        ("H60.01", "H22.21", True),  # the successor of the district itself
        ("H60.02", "H22.21", False),
        ("H22", "H60.100", False),
        ("G12", "G05.02", True),
        ("000.00.17.H56", "000.00.17.H56", True),
        ("000.00.17.H56", "000.05.17.H56", True),
        ("000.00.00.H56", "001.05.17.H56", True),
        ("000.05.17.H56", "001.05.17.H56", True),
        ("0.0.17.H56", "000.05.17.H56", False),
        ("0.0.17.H56", "1.5.17.H56", True),
        ("H56", "000.00.17.H56", False),
        ("000.00.17.H56", "H56.17", False),
        ("H99", "H99.01", True),
    ],
)
def test_a_unit_sends_for_itself_those_below_and_those_it_succeeded(
    sender: str, unit: str, may: bool
) -> None:
    assert SHIPPED.may_send(sender, unit) is may
    assert SHIPPED.may_send(sender, unit) is may  # from its cache, too


@pytest.mark.parametrize(
    ("procedure", "sector", "system"),
    [
        ("1.001193", "", "civil_status"),
        ("1.001193.000.00.00.H56", "G13-DD01", "civil_status"),
        ("1.003560.000.00.00.H56", "G13-DD01", "land"),
        ("1.003560", "", "other"),
        ("", "G15-LT01", "criminal_records"),
        ("9.900008", "", "environment"),
        ("9.900008x", "", "other"),
        ("", "", "other"),
    ],
)
def test_the_system_is_that_of_the_procedure_else_of_the_sector(
    procedure: str, sector: str, system: str
) -> None:
    assert SYSTEMS[SHIPPED.system(procedure, sector)] == system


def test_a_result_is_required_unless_the_procedure_is_known_to_have_none() -> None:
    assert not SHIPPED.result_required("9.900009")
    assert not SHIPPED.result_required("9.900009.000.00.00.H18")
    assert SHIPPED.result_required("9.900001")
    assert SHIPPED.result_required("1.003560")
    assert SHIPPED.result_required("")


def test_sample_procedures_cover_every_system_with_and_without_a_result_or_a_fee() -> None:
    samples = [p for p in SHIPPED.procedures.values() if p.code.startswith("9.9")]
    assert {p.system for p in samples} == set(range(len(SYSTEMS)))
    assert {(p.result_required, p.fee) for p in samples} == {
        (a, b) for a in (True, False) for b in (True, False)
    }
    assert not SHIPPED.procedures["9.900009"].fee
    assert all(re.fullmatch(r"[0-9]\.[0-9]{6}", code) for code in SHIPPED.procedures)


def test_names_are_those_of_the_day() -> None:
    assert SHIPPED.name("H57", on("2023-10-01"))[0] == "Thừa Thiên Huế"
    assert SHIPPED.name("H57", on("2025-01-01")) == ("Huế", "Hue")
    assert SHIPPED.name("G10", on("2025-03-01"))[1] == "Ministry of Agriculture and Environment"
    assert SHIPPED.name("H63", on("2026-01-01"))[0] == "Yên Bái"
    assert SHIPPED.name("H99", on("2023-10-01")) == ("H99", "H99")


def test_the_caches_stay_bounded_whatever_arrives() -> None:
    register = Register(SHIPPED.units)
    for number in range(140_000):
        register.may_send(f"H18.{number}", "H18.21")
    register.may_send("H" * 1_000_000, "H18.21")
    assert len(register._senders) <= 1 << 17
    assert max(map(len, (sender for sender, _ in register._senders))) < 100


def test_targets_are_those_of_the_day() -> None:
    found = target_on(SHIPPED.targets, "commune", "e_result", on("2021-06-01"))
    assert found is not None
    assert (found.target, found.confirmed) == (0.15, True)
    assert target_on(SHIPPED.targets, "district", "e_result", on("2025-07-01")) is None


def test_weekends_and_holidays_are_not_worked() -> None:
    calendar = Calendar.shipped()
    assert calendar.is_working_day(on("2023-10-02"))
    assert not calendar.is_working_day(on("2023-10-01"))
    assert not calendar.is_working_day(on("2023-01-24"))  # Tết
    assert calendar.working_days(on("2023-01-16"), on("2023-01-29")) == 5


UNITS_HEADER = ",".join(UNIT_COLUMNS)
PROCEDURES_HEADER = ",".join(PROCEDURE_COLUMNS)


def own(directory: Path, *units: str, procedures: tuple[str, ...] = ()) -> Path:
    (directory / "units.csv").write_text("\n".join((UNITS_HEADER, *units, "")), encoding="utf-8-sig")
    (directory / "procedures.csv").write_text(
        "\n".join((PROCEDURES_HEADER, *procedures, "")), encoding="utf-8"
    )
    return directory


def test_ones_own_register_is_read_with_the_shipped_targets(tmp_path: Path) -> None:
    units = ("H01,A,A,province,,,,,0,,own", '"H01.1","A, B",A,department,H01,2020-01-01,,,1,,own')
    sample = ("procedure,1.000001,A,A,S-1,,0,0,own", "sector,S-1,A,A,,land,,,own")
    register = Register.read(own(tmp_path, *units, procedures=sample))
    assert register.body("H01.1", 0) == "H01"
    assert register.name("H01.1", 19_000)[0] == "A, B"
    assert SYSTEMS[register.system("1.000001.000.00.00.H01", "")] == "land"
    assert register.targets == SHIPPED.targets


def test_a_unit_that_ended_without_a_successor_stays_with_its_last_body(tmp_path: Path) -> None:
    register = Register.read(
        own(tmp_path, "H01,A,A,province,,,2020-01-01,,0,,x", "H01.1,A,A,agency,H01,,2019-01-01,,0,,x")
    )
    assert register.body("H01.1", 20_000) == "H01"
    assert register.body_eras("H01.1") == [(0, LAST_DAY, "H01")]


@pytest.mark.parametrize(
    ("rows", "line", "column", "remedy"),
    [
        (["X1,A,A,province,,,,,0,,x"], 2, "code", "write it as"),
        (["H01,,A,province,,,,,0,,x"], 2, "name_vi", "fill it in"),
        (["H01,A,A,county,,,,,0,,x"], 2, "level", "write one of ministry"),
        (["H01,A,A,province,,2020-13-01,,,0,,x"], 2, "valid_from", "YYYY-MM-DD"),
        (["H01,A,A,province,,20200101,,,0,,x"], 2, "valid_from", "YYYY-MM-DD"),
        (["H01,A,A,province,,2020-01-02,2020-01-01,,0,,x"], 2, "valid_to", "swap"),
        (["H01,A,A,province,,,,,yes,,x"], 2, "one_stop", "0, 1"),
        (["H01,A,A,province,,,,,0,,x", "", "H01,B,B,province,,,,,0,,x"], 4, "valid_from", "end the one"),
        (["H01.1,A,A,agency,H01,,,,0,,x"], 2, "parent", "add its row"),
        (["H01,A,A,province,,,2020-01-01,H02,0,,x"], 2, "successor", "add its row"),
        (
            ["H01,A,A,agency,H02,,,,0,,x", "H02,A,A,agency,,,,H01,0,,x"],
            3,
            "successor",
            "leave one of them out",
        ),
        (["H01,A,A,agency,H01,,,,0,,x"], 2, "parent", "leave one of them out"),
        (["H01,A,A,province,,,,,0,,x,more"], 2, "", "double quotes"),
        ([], 1, "", "add a row"),
    ],
)
def test_a_wrong_unit_is_refused_with_its_place_and_what_to_do(
    tmp_path: Path, rows: list[str], line: int, column: str, remedy: str
) -> None:
    with pytest.raises(RegisterError, match=remedy) as refused:
        Register.read(own(tmp_path, *rows))
    assert (refused.value.line, refused.value.column) == (line, column)
    assert refused.value.file.endswith("units.csv")


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("procedure,1.000001,A,A,,sea,1,1,x", "system"),
        ("procedure,1.000001,A,A,,land,,1,x", "result_required"),
        ("procedure,1.000001.000.00.00.H56,A,A,,land,1,1,x", "code"),
        ("sector,S-1,A,A,,,,,x", "system"),
        ("region,S-1,A,A,,,,,x", "kind"),
        ("procedure,1.000001,A,A,,land,1,1,", "source"),
    ],
)
def test_a_wrong_procedure_is_refused_with_its_place(tmp_path: Path, row: str, column: str) -> None:
    with pytest.raises(RegisterError) as refused:
        Register.read(own(tmp_path, "H01,A,A,province,,,,,0,,x", procedures=(row,)))
    assert (refused.value.line, refused.value.column) == (2, column)


def test_a_missing_file_or_column_and_another_encoding_are_named(tmp_path: Path) -> None:
    with pytest.raises(RegisterError, match=r"units\.csv, line 1: the file is missing"):
        Register.read(tmp_path)
    own(tmp_path, "H01,A,A,province,,,,,0,,x")
    (tmp_path / "procedures.csv").write_text("kind,code\n", encoding="utf-8")
    with pytest.raises(RegisterError, match="column name_vi: the column is missing"):
        Register.read(tmp_path)
    (tmp_path / "units.csv").write_bytes((UNITS_HEADER + "\nH01,Hà").encode("utf-16"))
    with pytest.raises(RegisterError, match="save the file as UTF-8"):
        Register.read(tmp_path)
    (tmp_path / "units.csv").write_bytes((UNITS_HEADER + '\nH01,"a"b').encode())
    with pytest.raises(RegisterError, match="comma-separated"):
        Register.read(tmp_path)
