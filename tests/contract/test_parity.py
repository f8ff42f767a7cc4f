"""A rehearsal held against the live database: equal, or each difference found, sized and named."""

from collections.abc import AsyncIterator, Callable
from itertools import count

import pytest
from msgspec.structs import replace

from rates.effects import version
from rates.wire import Full
from sinks import migrate, parity, reference
from sinks.client import Database, connect
from sinks.parity import Begins
from tests.contract.test_history import EVENTS, NOON, Told, changes, folded, log, save
from tests.support.register import SmallRegister

_names = count(1)


@pytest.fixture
async def live(engine_url: str) -> AsyncIterator[Database]:
    async with connect(engine_url, "parity_live") as connected:
        if not await connected.exists():  # no test writes to it
            await save(connected, folded(log()))
        yield connected


async def compared(
    live: Database, engine_url: str, told: list[Told], begins: Begins = parity.NONE
) -> parity.Report:
    async with connect(engine_url, f"parity_{next(_names)}") as other:
        await save(other, folded(told))
        return await parity.compare(live, other.name, begins)


async def test_the_same_log_in_another_generation_is_equal(live: Database, engine_url: str) -> None:
    told = [one._replace(version=one.version + (4 << 52)) for one in log()]
    report = await compared(live, engine_url, told)
    assert report.equal
    assert report.cohorts["equal"] == len(folded(log()))
    assert report.dossiers["live"] == report.dossiers["rehearsed"] > 300
    assert not report.differences
    assert not report.samples


async def test_what_live_took_in_after_the_beginning_is_left_aside(live: Database, engine_url: str) -> None:
    cut = EVENTS * 2 // 3
    report = await compared(live, engine_url, log()[:cut], Begins([version(1, cut, 0)] * 12))
    assert report.equal
    assert report.left_aside == sum(
        row.dossier.version >= version(1, cut, 0) for row in changes(folded(log()))
    )


async def test_a_part_of_the_log_that_is_left_out_is_found_and_sized(live: Database, engine_url: str) -> None:
    left = [one for at, one in enumerate(log()) if not 1_000 <= at < 1_100]
    report = await compared(live, engine_url, left)
    assert set(report.causes) <= {
        "missing-log",
        "unknown-dossier",
        "late-lost",
        "altered-record",
        "other-times",
    }
    assert report.causes["missing-log"]
    assert not report.equal
    assert not report.allowed(["other-register"])
    assert report.allowed(list(report.causes))
    assert sum(report.cohorts[name] for name in ("deficit", "surplus", "both", "dossiers")) > 0
    every = {(one.basis, one.tally) for one in report.differences}
    assert every
    sample = next(one for one in report.samples if one.cause == "missing-log")
    assert sample.live != sample.rehearsed


async def test_an_altered_record_is_found_with_both_states(live: Database, engine_url: str) -> None:
    told = log()
    last = {one.event.number: at for at, one in enumerate(told)}
    at = next(
        at
        for at in reversed(range(EVENTS))
        if isinstance(event := told[at].event, Full)
        and last[event.number] == at
        and event.received
        and event.status == 10
        and any(row.dossier.version == told[at].version for row in changes(folded(told)))
    )
    event = told[at].event
    assert isinstance(event, Full)
    told[at] = told[at]._replace(
        event=replace(event, completed=event.received + 3 * 86_400, facts=event.facts ^ 4)
    )
    report = await compared(live, engine_url, told)
    assert report.causes == {"altered-record": 1}
    (sample,) = report.samples
    assert sample.number == event.number
    assert sample.live is not None
    assert sample.rehearsed is not None
    assert sample.live["completed"] != sample.rehearsed["completed"]
    assert ("digitised" in sample.live["counts"]) != ("digitised" in sample.rehearsed["counts"])


async def test_another_order_of_two_copies_of_one_moment_is_a_late_record_that_lost(
    live: Database, engine_url: str
) -> None:
    told = log()
    first = Full("H18.21-231002-9000", "H18.21", 0, 4, NOON, NOON, 0, NOON + 9, "1.003560", "", 0)
    other = replace(first, due=NOON + 5 * 86_400)
    at = EVENTS
    ordered = [Told(one, version(1, at + n, 0), NOON) for n, one in enumerate((first, other))]
    turned = [Told(one, version(1, at + n, 0), NOON) for n, one in enumerate((other, first))]
    async with connect(engine_url, f"parity_{next(_names)}") as base:
        await save(base, folded([*told, *ordered]))
        report = await compared(base, engine_url, [*told, *turned])
    assert report.causes == {"late-lost": 1}


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda told: [one for one in told if one.event.number != told[5].event.number], "unknown-dossier"),
        (lambda told: [one._replace(learnt=one.learnt + 30 * 86_400) for one in told], "other-times"),
    ],
)
async def test_each_difference_has_its_cause(
    live: Database, engine_url: str, change: Callable[[list[Told]], list[Told]], cause: str
) -> None:
    report = await compared(live, engine_url, change(log()))
    assert set(report.causes) == {cause}


async def test_another_register_and_another_way_of_counting_are_told_apart(
    live: Database, engine_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SmallRegister, "system", lambda *_: 2)
    report = await compared(live, engine_url, log())
    assert set(report.causes) == {"other-register"}
    monkeypatch.undo()
    async with connect(engine_url, f"parity_{next(_names)}") as other:
        await save(other, folded(log()))
        await other.run(
            "INSERT INTO dossiers SELECT * REPLACE (bitXor(mask, 8) AS mask, version + 1 AS version) "
            "FROM dossiers FINAL WHERE mask > 0"
        )
        assert set((await parity.compare(live, other.name)).causes) == {"other-definition"}


async def test_tallies_that_their_dossiers_do_not_add_up_to_are_a_cause_of_their_own(
    live: Database, engine_url: str
) -> None:
    async with connect(engine_url, f"parity_{next(_names)}") as other:
        await save(other, folded(log()))
        await other.run(
            "INSERT INTO tallies SELECT * REPLACE (done + 1 AS done, version + 1 AS version) "
            "FROM tallies FINAL WHERE received > 0 ORDER BY unit, cohort, system, basis, day LIMIT 1"
        )
        report = await parity.compare(live, other.name)
    assert report.causes == {"tallies-alone": 1}
    (difference,) = report.differences
    assert (difference.tally, difference.rehearsed - difference.live, difference.cells) == ("done", 1, 1)
    assert report.cohorts["surplus"] == 1


async def test_an_empty_rehearsal_knows_no_dossier(live: Database, engine_url: str) -> None:
    async with connect(engine_url, f"parity_{next(_names)}") as other:
        await migrate.migrate(other, NOON, lambda _line: None)
        await reference.save(other, NOON)
        report = await parity.compare(live, other.name)
    assert set(report.causes) == {"unknown-dossier"}
    assert report.dossiers["rehearsed"] == 0
