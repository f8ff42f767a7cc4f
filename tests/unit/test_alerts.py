"""What each rule takes for bad and for good, and that stale data change nothing."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from rates import alerts
from rates.alerts import (
    ALL,
    REQUIRED,
    RESULT,
    Arrivals,
    Figures,
    Level,
    RulesError,
    altered,
    rule,
)
from rates.calendar import Calendar
from rates.effects import Moment
from rates.freshness import Office
from rates.register import Register
from rates.statistics import Peers, fall, wilson
from rates.tallies import TALLIES
from rates.targets import Target
from rates.verdicts import reasons, standing
from streams.verdicts import WAITING, Judge
from tests.support.verdicts import MONDAY, Memory

TARGET = Target("commune", "e_result", 0, 65_535, 0.60, "a test", confirmed=True)
BY_ID = {one.id: one for one in ALL}


def figures(level: Level = "unit", peers: Sequence[float] = (), **more: object) -> Figures:
    given = {"subject": "H18.21", "level": level, "kind": "commune", "body": "H18", "recent": {}, **more}
    return Figures(peers=Peers(peers), **given)  # type: ignore[arg-type]


def results(numerator: int, denominator: int) -> dict[str, int]:
    return {RESULT: numerator, REQUIRED: denominator}


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.id)
def test_a_subject_of_which_nothing_is_known_is_never_bad(one: alerts.Rule) -> None:
    assert one.read(one, figures()).zone in ("good", "between", "few")


@pytest.mark.parametrize(
    ("numerator", "denominator", "zone", "severity"),
    [
        (0, 29, "few", None),
        (10, 30, "bad", "warn"),
        (8, 30, "bad", "critical"),
        (14, 30, "between", "warn"),  # 47 %, and so few that it might be 60 %
        (467, 1000, "bad", "warn"),
        (590, 1000, "between", "warn"),
        (605, 1000, "between", "warn"),
        (611, 1000, "good", "warn"),
    ],
)
def test_r1_is_bad_once_the_share_is_surely_under_the_target(
    numerator: int, denominator: int, zone: str, severity: str | None
) -> None:
    reading = BY_ID["R1"].read(BY_ID["R1"], figures(recent=results(numerator, denominator), target=TARGET))
    assert (reading.zone, reading.severity) == (zone, severity)


def test_r1_lets_go_of_whoever_does_what_its_peers_do() -> None:
    given = {"recent": results(400, 1000), "target": TARGET}
    assert BY_ID["R1"].read(BY_ID["R1"], figures(peers=(0.40, 0.5, 0.55, 0.6), **given)).zone == "bad"
    assert BY_ID["R1"].read(BY_ID["R1"], figures(peers=(0.40, 0.37, 0.38, 0.39), **given)).zone == "good"


def test_r2_is_about_what_peers_did_not_lose_too() -> None:
    one, given = BY_ID["R2"], {"recent": results(60, 100), "before": results(80, 100)}
    assert one.read(one, figures(**given)).zone == "bad"
    assert one.read(one, figures(falls=Peers((0.20, 0.18, 0.17, 0.19)), **given)).zone == "good"
    assert one.read(one, figures(recent=results(600, 1000), year=results(710, 1000))).zone == "bad"
    assert one.read(one, figures(recent=results(60, 100), year=results(71, 100))).zone == "between"
    assert one.read(one, figures(recent=results(60, 100), before=results(9, 10))).zone == "few"


def test_r3_is_fifteen_points_under_the_median_of_the_others_or_their_lowest_tenth() -> None:
    one, peers = BY_ID["R3"], (0.70, 0.71, 0.72)
    assert one.read(one, figures(recent=results(500, 1000), peers=(0.50, *peers))).zone == "bad"
    assert one.read(one, figures(recent=results(580, 1000), peers=(0.58, *peers))).zone == "between"
    assert one.read(one, figures(recent=results(650, 1000), peers=(0.65, *peers))).zone == "good"
    many = tuple(0.7 + place / 1000 for place in range(40))
    assert one.read(one, figures(recent=results(6500, 10_000), peers=(0.65, *many))).zone == "bad"


@pytest.mark.parametrize(
    ("state", "why", "zone"),
    [
        ("silent", "silence", "bad"),
        ("fresh", "heard", "good"),
        ("unknown", "calendar", "between"),
        ("unknown", "ended", "good"),
    ],
)
def test_r4_is_the_silence_that_freshness_knows(state: str, why: str, zone: str) -> None:
    office = Office(state, why, MONDAY, 3, 21.0)  # type: ignore[arg-type]
    assert BY_ID["R4"].read(BY_ID["R4"], figures(office=office)).zone == zone


@pytest.mark.parametrize(
    ("identifier", "counts", "zone"),
    [
        ("R5", {"received": 100, "sync_late": 6}, "bad"),
        ("R5", {"received": 100, "sync_late": 4}, "between"),
        ("R5", {"received": 100, "late": 40, "overdue_sync_late": 3}, "bad"),
        ("R7", {"e_result": 1000, "e_result_clean": 994}, "bad"),
        ("R7", {"e_result": 1000, "e_result_clean": 996}, "good"),
        ("R8", {"received": 100, "digitised": 100}, "bad"),
        ("R8", {"received": 100, "population_database": 100}, "bad"),
        ("R8", {"received": 99, "digitised": 99}, "good"),
        ("R9", {"received": 1000, "reopened": 11}, "bad"),
        ("R9", {"received": 1000, "done": 100, "closed_from_supplement": 3}, "bad"),
        ("R9", {"received": 1000, "done": 1000, "closed_from_supplement": 15}, "good"),
        ("R10", {"received": 100, "no_due": 3}, "bad"),
        ("R13", {"received": 2000, "done": 1500, "open": 499}, "bad"),
        ("R13", {"received": 2000, "done": 1500, "open": 500, REQUIRED: 2000}, "bad"),
        ("R13", {"received": 2000, "done": 1500, "open": 500, REQUIRED: 1700}, "good"),
        ("R14", {REQUIRED: 29}, "few"),
        ("R14", {REQUIRED: 30}, "good"),
    ],
)
def test_a_share_is_bad_beyond_its_limit(identifier: str, counts: dict[str, int], zone: str) -> None:
    assert BY_ID[identifier].read(BY_ID[identifier], figures(recent=counts)).zone == zone


@pytest.mark.parametrize(
    ("days", "usual", "zone", "said"),
    [
        (((100, 21),), 0.0, "bad", (21, 100)),
        (((100, 17),), 0.0, "between", (17, 100)),
        (((100, 15),), 0.0, "good", (15, 100)),
        (((101, 0),), 20.0, "bad", (0, 101)),
        (((99, 0),), 20.0, "between", (0, 99)),
        (((60, 0),), 20.0, "good", (0, 60)),
        (((40, 0), (100, 30)), 20.0, "bad", (30, 100)),
        (((29, 29), (100, 30)), 20.0, "bad", (30, 100)),
        (((29, 29),), 1.0, "between", (0, 0)),
        ((), 0.0, "good", (0, 0)),
    ],
)
def test_r6_is_a_day_of_old_events_or_of_five_times_the_usual(
    days: tuple[tuple[int, int], ...], usual: float, zone: str, said: tuple[int, int]
) -> None:
    one = BY_ID["R6"]
    reading = one.read(one, figures(arrived=Arrivals(days, usual)))
    assert (reading.zone, (reading.numerator, reading.denominator)) == (zone, said)


def test_r6_says_what_is_usual() -> None:
    one = BY_ID["R6"]
    reading = one.read(one, figures(arrived=Arrivals(((1_200, 3),), 88.0)))
    vi, en = reasons(one, reading)
    assert "1.200 sự kiện (ngày thường 88)" in vi
    assert "1,200 events in a day (usually 88), 3 of them (0.2 %)" in en


def test_r12_waits_for_the_day_on_which_a_one_stop_shop_had_to_begin() -> None:
    one = BY_ID["R12"]
    assert one.read(one, figures(recent={"received": 40}, starts=True)).zone == "bad"
    assert one.read(one, figures(recent={"received": 40}, starts=False)).zone == "between"
    assert one.read(one, figures(recent={"received": 40, "digitised": 1}, starts=True)).zone == "good"


def test_every_rule_reads_tallies_that_are_counted() -> None:
    assert {name for one in ALL for name in one.tallies} <= set(TALLIES)


def test_a_rule_that_is_not_there_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(LookupError, match="choose one of R1"):
        rule("R99")


def test_every_rule_says_why_in_both_languages() -> None:
    reading = alerts.Reading("bad", 0.25, 0.6, 250, 1000, "warn", 0.5, 0.6)
    for one in ALL:
        vi, en = reasons(one, reading)
        assert vi != en
        assert "{" not in vi + en
    vi, en = reasons(BY_ID["R1"], reading)
    assert "25,0 % (250/1.000, 28 ngày)" in vi
    assert "25.0 % (250/1,000, 28 days), below the target of 60.0 % and its peers' median of 50.0 %" in en


def test_intervals_are_what_the_books_say() -> None:
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    # Newcombe's own example: 56 of 70 and 48 of 80.
    assert fall((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_a_subject_is_held_to_the_target_of_its_level_and_to_the_last_one_where_that_has_passed() -> None:
    register = Register.shipped()
    found = {(of.level, of.subject): of for of in standing(register, 19_430, [])}  # 2023-03-14
    targets = {one: found[one].target for one in (("province", "H18"), ("ministry", "G15"))}
    assert {one: target.target if target else None for one, target in targets.items()} == {
        ("province", "H18"): 0.70,
        ("ministry", "G15"): 0.80,
    }
    later = {of.subject: of.target for of in standing(register, 20_500, [])}  # 2026-02-16
    last = later["H18"]
    assert last is not None
    assert (last.target, last.valid_to) == (1.0, 20_453)


@pytest.mark.parametrize(
    ("moment", "now"),
    [
        (Moment(MONDAY, 12, 12, 0, MONDAY - 60, fresh=True, stamp="1"), MONDAY + 3600),
        (Moment(MONDAY, 11, 12, 0, MONDAY - 60, fresh=True, stamp="1"), MONDAY),
        (Moment(MONDAY, 12, 12, WAITING + 1, MONDAY - 60, fresh=True, stamp="1"), MONDAY),
    ],
    ids=["behind", "a partition was not heard of", "messages wait"],
)
async def test_on_stale_data_every_state_is_kept_and_that_is_said_once(moment: Moment, now: int) -> None:
    store = Memory()
    store.now = moment
    judge = Judge(store, Calendar.shipped(), lambda: now, 10)
    assert await judge.judge() is None
    assert store.saved == [([], MONDAY - 60, False)]
    store.now = moment._replace(fresh=False)
    assert await judge.judge() is None
    assert len(store.saved) == 1


async def test_data_that_have_come_no_further_are_not_judged_again() -> None:
    store = Memory()
    judge = Judge(store, Calendar.shipped(), lambda: MONDAY, 10)
    store.now = store.now._replace(evaluated=MONDAY)
    assert await judge.judge() is None
    assert store.saved == []
    store.now = store.now._replace(evaluated=MONDAY - 1)
    assert await judge.judge() is not None
    ((rulings, at, fresh),) = store.saved
    assert (at, fresh) == (MONDAY, True)
    assert ("H18", "too_few") in {(one.key.subject, one.after.status) for one in rulings}


async def test_figures_are_read_anew_once_they_may_have_changed_or_a_day_has_passed() -> None:
    store, now, counts = Memory(), MONDAY, Counter[str]()
    judge = Judge(store, Calendar.shipped(), lambda: now, 10, counts=counts)

    async def evaluations(at: int, stamp: str = "1") -> int:
        nonlocal now
        now, store.now = at, store.now._replace(complete_to=at, evaluated=at - 60, stamp=stamp)
        await judge.judge()
        return counts["evaluations"]

    assert await evaluations(MONDAY) == 1
    assert await evaluations(MONDAY + 60) == 2  # the one before turned something
    assert [await evaluations(MONDAY + 120 + at) for at in range(3)] == [2, 2, 2]
    assert await evaluations(MONDAY + 180, "2") == 3
    assert await evaluations(MONDAY + 86_400, "2") == 4
    assert store.saved[-1][1:] == (MONDAY + 86_400, True)


def test_the_handbook_says_what_to_do_for_every_rule() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    assert {line.removeprefix("### ") for line in page.splitlines() if line.startswith("### R")} == set(BY_ID)
    assert all(one.anchor == f"docs/operations.md#{one.id.lower()}" for one in ALL)


def test_numbers_of_rules_can_be_set_otherwise_and_nothing_else() -> None:
    changed = {one.id: one for one in altered({"R1": {"threshold": 0.7, "hold": 5}, "R3": {"off": True}})}
    assert (changed["R1"].threshold, changed["R1"].hold) == (0.7, 5)
    assert changed["R1"].read is BY_ID["R1"].read
    assert set(BY_ID) - set(changed) == {"R3"}
    assert changed["R2"] == BY_ID["R2"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"R11": {"threshold": 1}}, "no rule R11; there are R1"),
        ({"R1": {"text_en": "x"}}, "R1 has no text_en to be changed; there are severity"),
        ({"R1": {"threshold": "high"}}, "R1: Expected `float`"),
        ({"R1": {"severity": "dreadful"}}, "R1: Invalid enum value"),
        ({"R1": {"hold": 1.5}}, "R1: Expected `int`"),
    ],
)
def test_changes_that_make_no_rule_are_refused_with_what_may_be_given(
    changes: dict[str, dict[str, object]], why: str
) -> None:
    with pytest.raises(RulesError, match=why):
        altered(changes)
