"""What was known on a day is what a recount of the log up to its end finds, whatever came afterwards."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
import pytest_asyncio
from typer.testing import CliRunner, Result

from dashboards.panels import (
    DEFAULTS,
    DOSSIER,
    MOVED,
    PANELS,
    RESTATEMENT,
    RESTATEMENT_UNITS,
    Panel,
    panel,
)
from motcua import clock
from motcua.cli import app
from rates.cohort import Cohort, CohortKey, cohort_of
from rates.definitions import DEFINITIONS, FORMS, Definition
from rates.effects import ChangeRow, DossierRow, Reached, TallyRow, counted, version
from rates.known import KINDS, as_known
from rates.tallies import TALLIES
from rates.wire import E_RESULT, E_RESULT_CLEAN, RESULT_REQUIRED, Full, Progress
from sinks import history, migrate, reads, reference
from sinks.client import Database, connect
from sinks.cohorts import CohortStore
from tests.support.register import SmallRegister

NOON = 1_696_222_800  # 2023-10-02 12:00 local
DAY = 86_400
DAYS = 90
EVENTS = 3_000
UNITS = ("H18.21", "H63.05", "G15.01", "000.17.22.H56", "H99.01")
REGISTER = SmallRegister()
NONE = RESULT_REQUIRED
LINKED = RESULT_REQUIRED | E_RESULT | E_RESULT_CLEAN

pytestmark = pytest.mark.asyncio(loop_scope="module")


ASKED = (
    ((), reads.EVERYWHERE, reads.ALWAYS),
    (("unit", "body", "day", "month", "system"), reads.EVERYWHERE, reads.ALWAYS),
    (("day", "system"), reads.Scope(body="H18"), reads.Period("2023-10-05", "2023-10-20")),
    (("unit",), reads.Scope(unit="H18.21"), reads.Period("2023-10-05", "")),
)


class Told(NamedTuple):
    event: Full | Progress
    version: int
    learnt: int


def log() -> list[Told]:
    """Late links, corrections, days that move, copies and rows that come before their record."""
    random = Random(7)
    told: list[Told] = []
    for at in range(EVENTS):
        learnt = NOON - 12 * 3_600 + at * DAYS * DAY // EVENTS
        if told and random.random() < 0.1:
            told.append(Told(random.choice(told).event, version(1, at, 0), learnt))
            continue
        unit = random.choice(UNITS)
        number = f"{unit}-{random.choice(('231002', '231102', 'x'))}-{random.randrange(100):04}"
        time = learnt - random.choice((0, 3_600, 9 * DAY))
        if random.random() < 0.25:
            event: Full | Progress = Progress(number, unit, 0, random.randint(3, 10), time)
        else:
            received, ended, due = (
                random.choice((0, *(NOON + random.randrange(40) * DAY for _ in range(4)))) for _ in range(3)
            )
            procedure = random.choice(("1.003560", "9.900009", "2.000001"))
            status = random.choice((1, 2, 4, 5, 7, 9, 10, 10))
            facts = random.randrange(16)
            event = Full(number, unit, 0, status, time, received, ended, due, procedure, "", facts)
        told.append(Told(event, version(1, at, 0), learnt))
    return told


def folded(told: list[Told]) -> dict[CohortKey, Cohort]:
    cohorts: dict[CohortKey, Cohort] = {}
    for event, position, learnt in told:
        key = cohort_of(event.unit, event.number)
        cohort = cohorts.setdefault(key, Cohort(key))
        cohort.fold(event, version=position, learnt=learnt, procedures=REGISTER)
    return cohorts


def changes(cohorts: dict[CohortKey, Cohort]) -> list[ChangeRow]:
    return [
        ChangeRow(key, number, after, counted(before))
        for key, cohort in cohorts.items()
        for number, before, after in cohort.changes
    ]


def told_most() -> str:
    """The number of the dossier with the most accepted versions."""
    ((number, _),) = Counter(row.number for row in changes(folded(log()))).most_common(1)
    return number


async def save(database: Database, cohorts: dict[CohortKey, Cohort]) -> None:
    await migrate.migrate(database, NOON, lambda _line: None)
    await reference.save(database, NOON)
    store = CohortStore(database)
    rows = changes(cohorts)
    if not rows:
        return
    await store.save_progress(
        [Reached(0, version(1, EVENTS, 0), *(max(d.dossier.learnt for d in rows),) * 2)]
    )
    await store.save_history(rows)
    await store.save_history(rows[::3])  # a crash had them written again
    await store.save_dossiers(
        [DossierRow(key, number, d) for key, c in cohorts.items() for number, d in c.changed_dossiers()]
    )
    await store.save_tallies(
        [
            TallyRow(key, cell, version(1, EVENTS, 0), vector)
            for key, c in cohorts.items()
            for cell, vector in c.changed_cells()
        ]
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(engine_url: str) -> AsyncIterator[Database]:
    async with connect(engine_url, "history") as connected:
        await save(connected, folded(log()))
        yield connected


@pytest.mark.parametrize("days", [-1, 0, 17, 44, DAYS + 400])
async def test_what_was_known_at_the_end_of_a_day_is_a_recount_of_the_log_up_to_then(
    database: Database, engine_url: str, days: int
) -> None:
    end = NOON + 12 * 3_600 + days * DAY
    until = folded([one for one in log() if one.learnt < end])
    assert bool(until) == (days >= 0)
    async with connect(engine_url, f"cut_{days + 1}") as cut:
        await save(cut, until)
        for by, scope, period in ASKED:
            was = await reads.rates(cut, DEFINITIONS, FORMS, by, period, scope)
            assert await reads.rates(database, DEFINITIONS, FORMS, by, period, scope, end) == was
        shown = f"number, unit, system, status, received_at, completed_at, due_at, {', '.join(TALLIES)}"
        query = f"SELECT {shown} FROM dossiers_named ORDER BY number"
        assert await database.rows(as_known(query), {"known": end}) == await cut.rows(query)


async def test_all_changes_together_are_the_tallies(database: Database) -> None:
    sums = ", ".join(f"sum(t.{name}) AS {name}" for name in TALLIES)
    query = (
        f"SELECT unit, basis, day, {sums} FROM unit_days(first = '1970-01-02', last = '2149-06-06') AS t "
        f"GROUP BY unit, basis, day HAVING received > 0 ORDER BY unit, basis, day"
    )
    assert await database.rows(as_known(query), {"known": NOON + 1_000 * DAY}) == await database.rows(query)


async def test_a_dossier_tells_each_of_its_accepted_versions_and_when_it_was_learnt(
    database: Database,
) -> None:
    cohorts = folded(log())
    number = told_most()
    told = [(one.dossier, one.was.mask) for one in changes(cohorts) if one.number == number]
    found = await history.versions(database, number)
    assert [
        (row["version"], row["learnt_time"], row["status"], row["mask"], row["was_mask"]) for row in found
    ] == [(after.version, after.learnt, after.status, after.mask, was) for after, was in told]
    assert len(found) > 5
    assert {row["kind"] for row in found} <= {*KINDS}


async def answer(database: Database, panel: Panel, definition: Definition, **given: object) -> list[dict]:
    """A panel's rows; as they were `known`, if that is given."""
    asked = panel.as_known() if "known" in given else panel
    values = asked.values({**DEFAULTS, "limit": 10_000, "first": "2023-09-01", "last": "2024-02-29", **given})
    return await database.rows(asked.text(definition, "clean"), values)


@pytest.mark.parametrize(
    ("definition", "known"),
    [*((one, {}) for one in DEFINITIONS), (DEFINITIONS[0], {"known": NOON + 71 * DAY})],
    ids=lambda one: getattr(one, "id", "known" if one else "now"),
)
async def test_what_was_published_what_is_said_now_and_what_moved_it_are_recounts(
    database: Database, engine_url: str, definition: Definition, known: dict[str, int]
) -> None:
    """By body and by unit; each month against a database that never heard of what came after its end."""
    end = known.get("known", NOON + (DAYS + 1) * DAY)
    cases = ((RESTATEMENT, panel("bodies"), {}), (RESTATEMENT_UNITS, panel("units"), {"body": "H18"}))
    for one, plain, scope in cases:
        rows = await answer(database, one, definition, **scope, **known)
        found = {(row["month"], row["code"]): row for row in rows}
        moved = 0
        for month, after in (("2023-10", "2023-11"), ("2023-11", "2023-12"), ("2023-12", "2024-01")):
            published = int(datetime.fromisoformat(f"{after}-01T00:00:00+07:00").timestamp())
            period = {"first": f"{month}-01", "last": f"{month}-{30 if month == '2023-11' else 31}"}
            if published > min(end, NOON + DAYS * DAY):
                assert not {code for at, code in found if at == f"{month}-01"}
                continue
            async with connect(engine_url, f"published_{month[-2:]}") as cut:
                if not await cut.exists():
                    await save(cut, folded([one for one in log() if one.learnt < published]))
                was = {row["code"]: row for row in await answer(cut, plain, definition, **scope, **period)}
            now = await answer(database, plain, definition, **scope, **period, **known)
            said = {row["code"]: row for row in now}
            for code in was.keys() | said.keys():
                first, last = (
                    tuple(rows[code][name] for name in ("clean", "total")) if code in rows else (0, 0)
                    for rows in (was, said)
                )
                row = found.get((f"{month}-01", code))
                if row is None:
                    assert first == last
                    continue
                moved += first != last
                assert (row["published_numerator"], row["published_denominator"]) == first
                assert (row["numerator"], row["denominator"]) == last
                for at, of in enumerate(("", "_of")):
                    assert sum(row[f"{name}{of}"] for name in MOVED) == last[at] - first[at]
        assert moved > (1 if scope else 5)
        assert all(row["found"] == len(rows) for row in rows)


async def test_a_restatement_is_told_by_the_kind_of_event_that_made_it(engine_url: str) -> None:
    """Five dossiers of October, each changed after its end in a way of its own; one that came too late."""
    november = NOON + 40 * DAY

    def full(
        at: int, status: int, facts: int, learnt: int, received: int = NOON, unit: str = "H18.21"
    ) -> Told:
        number = f"{unit}-231002-{at:04}"
        done = NOON + DAY if status in (9, 10) else 0
        event = Full(number, unit, 0, status, learnt, received, done, 0, "1.003560", "", facts)
        return Told(event, version(1, learnt - NOON + at, 0), learnt)

    told = [
        full(at, 4 if at == 5 else 10, facts, NOON + 2 * DAY)
        for at, facts in enumerate((NONE, NONE, NONE, LINKED, LINKED, NONE))
    ]
    told += [
        full(1, 10, LINKED, november),  # a link added late
        full(2, 7, NONE, november),  # withdrawn
        full(3, 10, NONE, november),  # a link taken away
        full(4, 10, LINKED, november, received=NOON - 20 * DAY),  # moved into September
        full(5, 10, NONE, november),  # ended
        full(6, 10, LINKED, november),  # told late
        full(7, 10, LINKED, november, unit="H18.22"),
    ]
    async with connect(engine_url, "restated_by_kind") as connected:
        await save(connected, folded(told))
        portal = next(one for one in DEFINITIONS if one.id == "ER-766-PORTAL")
        rows = await answer(connected, RESTATEMENT, portal)
        assert [(row["month"], row["code"]) for row in rows] == [("2023-10-01", "H18"), ("2023-09-01", "H18")]
        by_unit = await answer(connected, RESTATEMENT_UNITS, portal, body="H18", first="2023-10-01")
        (of_one,) = await answer(connected, RESTATEMENT_UNITS, portal, body="H18", unit="H18.22")
        assert [row["code"] for row in by_unit] == ["H18.21", "H18.22"]
        assert of_one == {**by_unit[1], "found": 1}
        kinds = {name: (rows[0][name], rows[0][f"{name}_of"]) for name in MOVED}
        pair = rows[0]["published_numerator"], rows[0]["published_denominator"]
        assert pair == (2, 6), (pair, kinds)
        assert kinds == {
            "by_learnt_late": (2, 2),
            "by_withdrawn": (0, 0),
            "by_day_moved": (-1, -1),
            "by_result_added": (1, 0),
            "by_result_removed": (-1, 0),
            "by_status_changed": (0, 0),
            "by_other": (0, 0),
        }
        versions = await answer(connected, DOSSIER, portal, number="H18.21-231002-0004")
        assert [(row["change_kind"], row["learnt_time"], row["counts"]) for row in versions] == [
            ("learnt_late", NOON + 2 * DAY, 1),
            ("day_moved", november, 1),
        ]


async def test_the_command_line_lists_a_dossiers_versions_with_the_offset_of_their_times(
    database: Database, engine_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    number = told_most()
    told = [one.dossier for one in changes(folded(log())) if one.number == number]

    def dossiers(*options: str) -> Result:
        return CliRunner().invoke(app, ["dossiers", "--number", number, "--json", *options])

    monkeypatch.chdir(tmp_path)
    for name, value in (("CLICKHOUSE", engine_url), ("DATABASE", database.name), ("DATA_DIR", str(tmp_path))):
        monkeypatch.setenv(f"MOTCUA_{name}", value)
    answered = await asyncio.to_thread(dossiers)
    rows = json.loads(answered.stdout)["rows"]
    assert [(row["learnt"], row["status"], len(row["tallies"])) for row in rows] == [
        (clock.iso(one.learnt), one.status, one.mask.bit_count()) for one in told
    ]
    assert all(row["learnt"].endswith("+07:00") for row in rows)
    assert rows[0]["kind"] == "learnt_late"
    assert (await asyncio.to_thread(dossiers, "--unit", "H18.21")).exit_code == 2
    monkeypatch.setenv("MOTCUA_BODY", "H17")  # it never counted there
    assert json.loads((await asyncio.to_thread(dossiers)).stdout) == {"rows": []}


@pytest.mark.parametrize("panel", [one for one in PANELS if one.kept], ids=lambda one: one.id)
async def test_a_panel_as_known_is_the_same_panel_over_what_had_come_by_then(
    database: Database, engine_url: str, panel: Panel
) -> None:
    end = NOON + 12 * 3_600 + 44 * DAY
    given = {
        "number": told_most(),
        "unit": "H18.21" if "missing" in panel.parameters or "detector" in panel.parameters else "",
        "body": "H18",
        "detector": "G2",
        "first_before": "2022-10-01",
        "last_before": "2022-12-31",
    }
    async with connect(engine_url, "cut_45") as cut:
        if not await cut.exists():
            await save(cut, folded([one for one in log() if one.learnt < end]))
        for definition in DEFINITIONS:
            was = await answer(cut, panel, definition, **given)
            assert await answer(database, panel, definition, **given, known=end) == was
            assert was or panel.id in ("evidence", "distribution", "evidence_dossiers")


async def test_a_database_from_before_history_knows_what_it_had_with_each_dossiers_last_event(
    engine_url: str,
) -> None:
    cohorts = folded(log())
    async with connect(engine_url, "before_history") as connected:
        await save(connected, cohorts)
        await connected.run("TRUNCATE TABLE history")
        (statement,) = [
            statement
            for one in migrate.migrations()
            if one.name == "history"
            for statement in one.statements(connected.name)
            if statement.startswith("INSERT")
        ]
        await connected.run(statement)
        now = await reads.rates(connected, DEFINITIONS, FORMS, ("unit", "day"))
        assert (
            await reads.rates(connected, DEFINITIONS, FORMS, ("unit", "day"), known=NOON + 999 * DAY) == now
        )
