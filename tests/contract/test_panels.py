"""Panels on the real engine: every question has an answer, and it is the command line's."""

from collections.abc import AsyncIterator
from itertools import count, product

import pytest
import pytest_asyncio

from dashboards.page.frames import Frames
from dashboards.panels import (
    AGES,
    ALERTS,
    BACKLOG,
    BATCHES,
    BODIES,
    BY_SYSTEM,
    CONNECTIONS,
    DEFAULTS,
    DOSSIERS,
    EVIDENCE,
    EVIDENCE_DOSSIERS,
    FRESHNESS,
    INSPECTION,
    PANELS,
    PARTITIONS,
    RATES,
    REJECTIONS,
    RHYTHM,
    STAGES,
    SWAPS,
    SYSTEM_BODIES,
    TREND,
    UNITS,
    WORKERS,
    Panel,
)
from dashboards.scoreboard import PARAMETERS, scoreboard
from motcua import clock
from rates.cohort import Cell, cohort_of
from rates.definitions import DEFINITIONS, FORMS, definition
from rates.dossier import Dossier
from rates.effects import (
    NOTHING,
    Canary,
    ChangeRow,
    DeadLetter,
    DossierRow,
    Reached,
    TallyRow,
    counted,
    version,
)
from rates.failures import Fatal
from rates.register import Register
from rates.tallies import days_of, lanes, mask_of
from rates.wire import (
    DIGITISED,
    E_RESULT,
    E_RESULT_CLEAN,
    POPULATION_DATABASE,
    RESULT_REQUIRED,
    Full,
    Reason,
    Rejection,
)
from sinks import migrate, reads, reference, workers
from sinks.client import Database, connect, strings, uints
from sinks.cohorts import CohortStore
from streams.events import Message, Source, by_column
from streams.ledger import Ledger
from tests.support.alarmed import alarmed
from tests.support.register import SmallRegister

RECEIVED = 1_696_233_600  # 2023-10-02 15:00 local
_names = count(1)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stored(engine_url: str) -> AsyncIterator[Database]:
    """Eight dossiers of two provinces and one ministry, one dead letter, two partitions."""
    async with connect(engine_url, f"panels_{next(_names)}") as database:
        await migrate.migrate(database, RECEIVED, lambda _line: None)
        await reference.save(database, 1_700_000_000)
        await alarmed(database)
        store = CohortStore(database)
        facts = (
            RESULT_REQUIRED | E_RESULT | E_RESULT_CLEAN | DIGITISED,
            RESULT_REQUIRED | E_RESULT,
            RESULT_REQUIRED | POPULATION_DATABASE,
            E_RESULT | E_RESULT_CLEAN,
        )
        numbers = [f"{unit}-231002-{at:04}" for unit, at in product(("H18.02", "H18.03"), range(3))]
        numbers += ["G15-231002-0001", "000.17.22.H56-231002-0001"]
        for at, number in enumerate(numbers):
            unit = number.split("-")[0]
            fact = facts[at % 4]
            times = (RECEIVED, RECEIVED + 86_400 if at % 3 else 0, RECEIVED + 172_800)
            mask = mask_of(10 if at % 3 else 4, *times, fact)
            key = cohort_of(unit, number)
            state = Dossier(
                version=version(1, at, 0),
                learnt=RECEIVED,
                mask=mask,
                system=at % 7,
                record_status=10 if at % 3 else 4,
                record_time=RECEIVED,
                progress_status=0,
                progress_time=0,
                received=times[0],
                completed=times[1],
                due=times[2],
                facts=fact,
                procedure="1.001193.000.00.00.H18",
                sector="G15-HT01",
            )
            await store.save_dossiers([DossierRow(key, number, state)])
            await store.save_history([ChangeRow(key, number, state, counted(None))])
            await store.save_tallies(
                [
                    TallyRow(key, Cell(at % 7, basis, day), version(1, at, 0), lanes(mask))
                    for basis, day in enumerate(days_of(mask, *times))
                    if day
                ]
            )
        rejection = Rejection(2, Reason.BAD_NUMBER, "MaHoSo", "no unit")
        await store.save_dead_letters([DeadLetter(version(1, 9, 2), 3, 9, RECEIVED, rejection)])
        await store.save_progress([Reached(0, version(1, 7, 0), RECEIVED + 9, RECEIVED + 5)])
        await store.save_progress([Reached(3, version(1, 9, 0), RECEIVED + 60, RECEIVED + 60)])
        await store.save_canaries([Canary(3, version(1, 9, 0), 1_000 * clock.now() - 400)])
        await database.insert(
            "swaps",
            {
                "number": uints([1, 1], 32),
                "version": uints([0, 1], 64),
                "state": strings(["begun", "done"]),
                "kind": strings(["swap"] * 2),
                "name": strings(["nine"] * 2),
                "months": strings(["2023-09"] * 2),
                "because": strings(["parity"] * 2),
                "by": strings(["an"] * 2),
                "at": uints([RECEIVED] * 2, 32),
                "plan": strings(["{}"] * 2),
            },
        )
        now = clock.now()
        for number, before in ((1, 40), (2, 0)):
            await tell(database, "here:1", number, now, before, lag={0: 4, 3: 5})
        await tell(database, "there:1", 1, now, 300, lag={3: 900})
        yield database


async def tell(
    database: Database, worker: str, version: int, now: int, before: int, lag: dict[int, int]
) -> None:
    """What a worker told so many seconds before now: a hundred messages more with each telling."""
    counts = {"messages": 100 * version, "accepted": 200 * version, "dead_bad_number": 3, "dead_not_json": 4}
    await workers.save(
        database,
        worker=worker,
        at=now - before,
        version=version,
        started_at=now - 1_000,
        counts={**counts, "batches": 2, "batches_10": 1, "batches_100": 1, "ended": 0},
        seconds={"fold": float(version), "dead letters": 0.5},
        lag=lag,
    )


async def test_workers_tell_what_they_do_now_and_a_silent_one_is_told_from_a_live_one(
    stored: Database,
) -> None:
    live, silent = await stored.rows(WORKERS.text(), {})
    assert (live["worker"], live["messages"], live["dead"], live["lag"]) == ("here:1", 200, 7, 9)
    assert live["messages_a_second"] == 2.5
    assert live["events_a_second"] == 5.0
    assert (silent["worker"], silent["messages_a_second"]) == ("there:1", None)
    assert live["told"] - silent["told"] >= 299


async def test_a_swap_is_told_once_with_what_by_whom_and_why(stored: Database) -> None:
    assert await stored.rows(SWAPS.text(), {}) == [
        {
            "swapped_time": RECEIVED,
            "swap_number": 1,
            "swap_kind": "swap",
            "rehearsal": "nine",
            "swapped_months": "2023-09",
            "swapped_by": "an",
            "because": "parity",
            "swap_state": "done",
        }
    ]


async def test_stages_and_batches_are_of_live_workers_and_of_the_last_minute(stored: Database) -> None:
    assert await stored.rows(STAGES.text(), {}) == [
        {"stage": "dead letters", "spent": 0.5, "recent": 0.0},
        {"stage": "fold", "spent": 2.0, "recent": 1.0},
    ]
    assert await stored.rows(BATCHES.text(), {}) == [
        {"at_most": 10, "batches": 1},
        {"at_most": 100, "batches": 1},
    ]


async def test_a_partition_has_the_lag_that_was_told_last_and_its_canarys_delay(stored: Database) -> None:
    zero, three = await stored.rows(PARTITIONS.text(), {})
    assert (zero["partition"], zero["lag"], zero["delay_ms"]) == (0, 4, None)
    assert (three["partition"], three["lag"]) == (3, 5)
    assert three["delay_ms"] >= 400


async def ask(
    database: Database, panel: Panel, identifier: str = "ER-766-DOC", **given: object
) -> list[dict]:
    text = panel.text(definition(identifier))
    return await database.rows(text, panel.values({**PARAMETERS, **DEFAULTS, **given}))


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.id)
async def test_every_panel_answers_with_its_columns_under_every_definition(
    stored: Database, panel: Panel
) -> None:
    given = {**PARAMETERS, **DEFAULTS, "unit": "H18.02" if panel is DOSSIERS else "", "body": "H18"}
    given["number"] = "H18.02-231002-0000"
    for one, form in product(DEFINITIONS, FORMS):
        rows = await stored.rows(panel.text(one, form), panel.values(given))
        for row in rows:
            assert list(row) == [column.name for column in panel.columns]
    # No alert has turned here and no unit has enough dossiers: `test_story` holds those two. No month ended.
    empty = ("scoreboard", "evidence", "alert_history", "distribution", "restatement")
    assert rows or panel.id.startswith(empty)


async def test_the_pages_rates_are_those_of_the_command_line(stored: Database) -> None:
    national = {row["definition"]: row for row in await ask(stored, RATES)}
    for row in await reads.rates(stored, DEFINITIONS):
        shown = national[row["definition"]]
        assert (shown[row["form"]], shown["total"]) == (row["numerator"], row["denominator"])
    for one in DEFINITIONS:
        shown = {row["code"]: row for row in await ask(stored, BODIES, one.id)}
        told = await reads.rates(stored, [one], ("reported",), ("body",))
        assert {code: (row["reported"], row["total"]) for code, row in shown.items()} == {
            row["body"]: (row["numerator"], row["denominator"]) for row in told
        }


async def test_bodies_units_and_dossiers_add_up_to_the_rate_above_them(stored: Database) -> None:
    for one in DEFINITIONS:
        (dien_bien,) = [row for row in await ask(stored, BODIES, one.id) if row["code"] == "H18"]
        units = await ask(stored, UNITS, one.id, body="H18")
        assert sum(row["total"] for row in units) == dien_bien["total"]
        assert sum(row["reported"] for row in units) == dien_bien["reported"]
        for unit in units:
            dossiers = await ask(stored, DOSSIERS, one.id, unit=unit["code"])
            missing = await ask(stored, DOSSIERS, one.id, unit=unit["code"], missing=1)
            assert len(dossiers) == unit["total"]
            assert sum(row["counts"] for row in dossiers) == unit["reported"]
            assert len(missing) == unit["total"] - unit["reported"]
        (filtered,) = [r for r in await ask(stored, RATES, body="H18") if r["definition"] == one.id]
        assert filtered["total"] == dien_bien["total"]


async def test_a_period_includes_both_its_ends(stored: Database) -> None:
    on = await ask(stored, RATES, first="2023-10-02", last="2023-10-02")
    before = await ask(stored, RATES, last="2023-10-01")
    assert {row["definition"]: row["total"] for row in on}["ER-766-PORTAL"] == 8
    assert {row["definition"]: row["total"] for row in before}["ER-766-PORTAL"] == 0


async def test_a_dossiers_times_come_as_seconds_and_none_as_zero(stored: Database) -> None:
    rows = {row["number"]: row for row in await ask(stored, DOSSIERS, "ER-766-PORTAL", unit="H18.02")}
    first, second = rows["H18.02-231002-0000"], rows["H18.02-231002-0001"]
    assert (first["received_time"], first["completed_time"]) == (RECEIVED, 0)
    assert second["completed_time"] == RECEIVED + 86_400
    assert (first["status"], second["status"]) == (4, 10)
    assert (first["counted_day"], first["system"]) == ("2023-10-02", "civil_status")


async def test_rejections_are_counted_by_reason(stored: Database) -> None:
    assert await ask(stored, REJECTIONS) == [{"reason_code": "bad_number", "events": 1, "latest": RECEIVED}]


async def test_figures_are_complete_to_the_slowest_partition(stored: Database) -> None:
    (row,) = await ask(stored, FRESHNESS)
    assert (row["complete"], row["partitions"]) == (RECEIVED + 5, 2)
    assert row["complete"] == await reads.complete_to(stored)
    assert row["latest"] == RECEIVED + 60


async def test_the_scoreboard_of_another_month_has_nothing_to_say(stored: Database) -> None:
    assert {figure.recomputed for figure in await scoreboard(stored, Register.shipped())} == {"–"}


async def test_a_database_that_is_not_migrated_is_fatal_and_one_that_is_new_is_not(engine_url: str) -> None:
    async with connect(engine_url, f"panels_{next(_names)}") as database:
        frames = Frames(database, lambda: 0.0)
        with pytest.raises(Fatal):
            await frames.freshness()
        await migrate.migrate(database, RECEIVED, lambda _line: None)
        fresh = await frames.freshness()
        assert (fresh.complete_to, fresh.latest) == (None, None)
        assert len(await ask(database, RATES)) == len(DEFINITIONS)


def pairs(rows: list[dict]) -> dict[str, tuple[int, int, int]]:
    """Reported, clean and total by code or month."""
    return {row.get("code") or row["month"]: (row["reported"], row["clean"], row["total"]) for row in rows}


async def test_the_months_of_a_rate_add_up_to_it_for_the_country_a_body_and_a_unit(stored: Database) -> None:
    assert pairs(await ask(stored, TREND)) == {"2023-10-01": (4, 2, 6)}
    assert pairs(await ask(stored, TREND, body="H18")) == {"2023-10-01": (4, 2, 5)}
    assert pairs(await ask(stored, TREND, unit="H18.02")) == {"2023-10-01": (2, 1, 3)}
    assert await ask(stored, TREND, last="2023-10-01") == []


async def test_each_system_has_its_own_rate_and_its_bodies(stored: Database) -> None:
    assert pairs(await ask(stored, BY_SYSTEM)) == {
        "civil_status": (1, 1, 1),
        "criminal_records": (1, 0, 1),
        "business": (0, 0, 1),
        "land": (1, 1, 1),
        "environment": (1, 0, 1),
        "other": (0, 0, 1),
    }
    assert pairs(await ask(stored, BY_SYSTEM, body="G15")) == {"other": (0, 0, 1)}
    assert pairs(await ask(stored, SYSTEM_BODIES, system="land")) == {"H18": (1, 1, 1)}
    assert pairs(await ask(stored, SYSTEM_BODIES)) == pairs(await ask(stored, BODIES))


async def test_a_connection_is_what_the_dossiers_show(stored: Database) -> None:
    rows = {(row["code"], row["system_code"]): row for row in await ask(stored, CONNECTIONS)}
    used = {key for key, row in rows.items() if row["connected"]}
    assert used == {("H18", "business"), ("G15", "other")}
    business = rows["H18", "business"]
    assert (business["dossiers"], business["connected"]) == (1, 1)
    assert business["connected_first"] == business["connected_latest"] == business["latest"] == "2023-10-02"
    assert sum(row["dossiers"] for row in rows.values()) == 8


async def test_units_with_results_that_are_input_papers_come_first(stored: Database) -> None:
    rows = await ask(stored, INSPECTION)
    assert [(row["code"], row["body_code"], row["found"]) for row in rows] == [
        ("H18.02", "H18", 2),
        ("H18.03", "H18", 2),
    ]
    assert pairs(rows)["H18.02"] == (2, 1, 3)
    (second,) = await ask(stored, INSPECTION, limit=1, offset=1)
    assert (second["code"], second["found"]) == ("H18.03", 2)


async def test_open_alerts_are_told_with_what_fires_first(stored: Database) -> None:
    rows = await ask(stored, ALERTS)
    assert [(row["code"], row["state_name"]) for row in rows] == [("H18.02", "firing"), ("G15.01", "pending")]


async def test_the_backlog_is_told_by_due_day_and_every_open_dossier_is_in_one_bucket(
    engine_url: str,
) -> None:
    today = days_of(mask_of(4, RECEIVED, 0, 0, 0), RECEIVED, 0, 0)[0]
    mask = mask_of(4, RECEIVED, 0, RECEIVED, 0)
    late = (120, 90, 31, 30, 8, 7, 1, 0, -1, -7, -8)
    async with connect(engine_url, f"panels_{next(_names)}") as database:
        await migrate.migrate(database, RECEIVED, lambda _line: None)
        await reference.save(database, 1_700_000_000)
        store = CohortStore(database)
        await store.save_progress([Reached(0, version(1, 1, 0), RECEIVED, RECEIVED)])
        key = cohort_of("H18.02", "H18.02-231002-0001")
        cells = [TallyRow(key, Cell(0, 2, today - days), version(1, 1, 0), lanes(mask)) for days in late]
        received = TallyRow(key, Cell(0, 0, today), version(1, 1, 0), 13 * lanes(mask))
        await store.save_tallies([*cells, received])
        for given in ({}, {"body": "H18"}, {"unit": "H18.02"}):
            found = {row["age"]: row["dossiers"] for row in await ask(database, BACKLOG, **given)}
            assert found == {
                "overdue_90": 1,
                "overdue_30": 2,
                "overdue_7": 2,
                "overdue": 2,
                "today": 1,
                "week": 2,
                "later": 1,
                "no_due": 2,
            }
            assert set(found) == set(AGES)


async def test_a_receipt_dated_a_day_ahead_does_not_disturb_a_units_rhythm(engine_url: str) -> None:
    async with connect(engine_url, f"panels_{next(_names)}") as database:
        await migrate.migrate(database, RECEIVED, lambda _line: None)
        await reference.save(database, 1_700_000_000)
        store, ledger = CohortStore(database), Ledger(SmallRegister())
        event = Full("H18.02-231002-1", "H18.02", 0, 4, RECEIVED, RECEIVED + 80_000, 0, 0, "", "", 0)
        source = Source(Message(0, 0, 0, None, None), version(1, 0, 0), RECEIVED, None)
        sought = ledger.seek(by_column([(source, event)]))
        ledger.load(sought.missing, NOTHING)
        changes = ledger.fold(sought, {0: version(1, 0, 0)})
        await store.save_dossiers(changes.dossiers)
        await store.save_tallies(changes.tallies)
        (row,) = await ask(database, RHYTHM)
        assert (row["code"], row["days"]) == ("H18.02", 1)


async def test_evidence_is_what_is_above_the_ordinary_with_the_dossiers_that_it_is(engine_url: str) -> None:
    async with connect(engine_url, f"panels_{next(_names)}") as database:
        await migrate.migrate(database, RECEIVED, lambda _line: None)
        await reference.save(database, 1_700_000_000)
        store = CohortStore(database)
        ledger = Ledger(SmallRegister())
        events = [
            (
                Source(Message(0, at, 0, None, None), version(1, at, 0), RECEIVED, None),
                Full(
                    f"{unit}-231002-{at:04}", unit, 0, 10, RECEIVED, RECEIVED, RECEIVED, RECEIVED,
                    "1.000001", "", E_RESULT | (E_RESULT_CLEAN if unit == "H18.03" or at % 4 else 0),
                ),
            )
            for at, unit in enumerate(("H18.02",) * 40 + ("H18.03",) * 40)
        ]  # fmt: skip
        sought = ledger.seek(by_column(events))
        ledger.load(sought.missing, NOTHING)
        changes = ledger.fold(sought, {0: version(1, 79, 0)})
        await store.save_dossiers(changes.dossiers)
        await store.save_tallies(changes.tallies)
        (found,) = await ask(database, EVIDENCE)
        assert found == {
            "code": "H18.02", "body_code": "H18", "detector_id": "G2", "matching": 10, "total": 40
        }  # fmt: skip
        behind = await ask(database, EVIDENCE_DOSSIERS, unit="H18.02", detector="G2")
        assert sorted(row["number"] for row in behind) == [f"H18.02-231002-{at:04}" for at in range(0, 40, 4)]


@pytest.mark.parametrize("panel", [one for one in PANELS if "only" in one.parameters], ids=lambda one: one.id)
async def test_whoever_is_limited_to_one_body_gets_the_rows_of_that_body_alone(
    stored: Database, panel: Panel
) -> None:
    asked = {"unit": "H18.02"} if panel in (DOSSIERS, EVIDENCE_DOSSIERS) else {}
    mine = await ask(stored, panel, only="G15", **asked)
    for row in mine:
        assert str(row.get("code", "G15")).startswith("G15") or panel is BY_SYSTEM
        assert row.get("body_code", "G15") == "G15"
    whole = {"trend": (0, 0, 1), "systems": (0, 0, 1)}
    if panel.id in whole:
        assert list(pairs(mine).values()) == [whole[panel.id]]
    if panel is BACKLOG:
        assert [row["dossiers"] for row in mine] == [1]
    if panel in (INSPECTION, DOSSIERS):
        assert mine == []
