"""Grafana's alert rules on the real engine: labels and one number, each subject in it every time."""

from collections.abc import AsyncIterator
from itertools import count

import pytest
import pytest_asyncio

from dashboards import alarms, checks
from motcua import clock
from sinks import migrate, reference
from sinks.client import Database, connect

pytestmark = pytest.mark.asyncio(loop_scope="module")
_names = count(1)

STATES = ("ok", "pending", "firing", "too_few", "stale", "firing")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(engine_url: str) -> AsyncIterator[Database]:
    """A database whose monitor has found something in each state, the last of them silenced."""
    async with connect(engine_url, f"alarms_{next(_names)}") as database:
        await migrate.migrate(database, 1_700_000_000, lambda _line: None)
        silenced = clock.now() + 3_600
        until = {5: f"toDateTime({silenced})"}
        never = "CAST(NULL, 'Nullable(DateTime)')"
        rows = " UNION ALL ".join(
            f"SELECT 'R1' AS rule, '{level}' AS level, '{subject}{at}' AS subject, 'H1{at}' AS body, "
            f"'{state}' AS state, 'warn' AS severity, "
            f"{until.get(at, never)} AS silenced_until"
            for level, subject in (("province", "H1"), ("ministry", "G0"), ("unit", "H18.0"))
            for at, state in enumerate(STATES)
        )
        await database.run(f"CREATE OR REPLACE VIEW alerts_now AS {rows}")
        yield database


@pytest.mark.parametrize("rule", alarms.RULES, ids=lambda rule: rule.uid)
async def test_an_alerts_answer_is_labels_and_one_number(told: Database, rule: alarms.Rule) -> None:
    columns = await told.rows(f"DESCRIBE TABLE ({rule.sql})")
    assert checks.one_number({column["name"]: column["type"] for column in columns})


@pytest.mark.parametrize(("rule", "prefix"), [(alarms.RULES[0], "H1"), (alarms.RULES[1], "G0")])
async def test_every_subject_answers_and_only_what_fires_and_is_not_silenced_is_above(
    told: Database, rule: alarms.Rule, prefix: str
) -> None:
    rows = await told.rows(rule.sql)
    found = {row["subject"]: row["value"] for row in rows}
    assert found == {f"{prefix}{at}": float(at == 2) for at in range(len(STATES))}


async def test_units_are_counted_by_body_and_a_body_without_alerts_is_zero(told: Database) -> None:
    rows = await told.rows(alarms.RULES[2].sql)
    assert {row["body"]: row["value"] for row in rows} == {
        "H10": 0.0,
        "H11": 0.0,
        "H12": 1.0,
        "H13": 0.0,
        "H14": 0.0,
        "H15": 0.0,
    }


async def test_the_monitors_own_view_gives_answers_of_alerts(engine_url: str) -> None:
    async with connect(engine_url, f"alarms_{next(_names)}") as database:
        await migrate.migrate(database, 1_700_000_000, lambda _line: None)
        await reference.save(database, 1_700_000_000)
        for rule in alarms.RULES:
            columns = await database.rows(f"DESCRIBE TABLE ({rule.sql})")
            assert checks.one_number({column["name"]: column["type"] for column in columns}), rule.uid
        provinces = await database.rows(alarms.RULES[0].sql)
        assert len({(row["rule"], row["subject"]) for row in provinces}) == len(provinces) > 34
        assert {row["value"] for row in provinces} == {0.0}
