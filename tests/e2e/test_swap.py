"""Parity and swap on a real stack: what differs is found, what goes live is exact, and readers see no half.

Every figure is held against the recount of what the live system should know by then.
"""

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sinks.parity import CAUSES
from tests.recount.recount import recount
from tests.support.stack import Stack, running
from tests.support.steps import once, walk
from tests.support.swapping import GROUPS, UNEXPLAINED, Live, beside, document
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

EVENTS = 14_000
BASE = 80
"""Lines that are live, and in a log, before anything happens."""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("logs")
    with running(tmp_path_factory.mktemp("stack"), MOTCUA_CANARY_SECONDS="0") as up:
        found = Live(up, folder, 20261126, EVENTS)
        found.publish(BASE)
        yield found


def record(stack: Stack, name: str) -> dict[str, Any]:
    said = stack.query(f"SELECT record FROM rehearsals FINAL WHERE name = '{name}' FORMAT TSVRaw")
    return json.loads(said) if said else {}


def rehearse(live: Live, name: str, logs: list[list[tuple[int, bytes]]]) -> None:
    live.stack.run("replay", *(live.log(lines) for lines in logs), "--into", name)


SUMS = (
    "SELECT basis, sum(received), sum(done), sum(e_result) FROM "
    "{}(first = '1970-01-01', last = '2149-06-06') GROUP BY basis ORDER BY basis"
)


class Readers:
    """Readers of figures that come from one question each, who write down every answer."""

    def __init__(self, stack: Stack) -> None:
        page = f"{stack.address('page')}/api/panels/rates?from=2000-01-01&to=2099-12-31"

        def shown() -> str:
            with urllib.request.urlopen(page, timeout=60) as answer:
                return json.dumps(json.loads(answer.read())["frames"], sort_keys=True)

        self._asking: dict[str, Callable[[], str]] = {
            "page": shown,
            **{view: partial(stack.query, SUMS.format(view)) for view in ("body_sums", "unit_days")},
        }
        self._stop = threading.Event()
        self.answers: dict[str, list[str]] = {name: [] for name in self._asking}

    def ask(self) -> dict[str, str]:
        return {name: ask() for name, ask in self._asking.items()}

    @contextmanager
    def reading(self) -> Iterator[None]:
        def reader(name: str) -> Callable[[], None]:
            def read() -> None:
                while not self._stop.is_set():
                    self.answers[name].append(self._asking[name]())

            return read

        with ExitStack() as readers:
            for name in self._asking:
                readers.enter_context(beside(reader(name)))
            try:
                yield
            finally:
                self._stop.set()

    def changed(self, old: dict[str, str]) -> bool:
        """Whether everybody has read something else than the old figures last."""
        return all(answers and answers[-1] != old[name] for name, answers in self.answers.items())


def test_equal_beside_live_events_then_put_in_their_place_while_more_arrive(live: Live) -> None:
    stack = live.stack
    base = list(live.truth)
    with beside(partial(rehearse, live, "re", [base[::2], base[1::2]])):
        eventually(lambda: bool(record(stack, "re")), "it has begun")
        live.publish(8)
    with beside(lambda: live.trickle(4)):
        code, report, told = document(stack, "parity", "re")
    assert code == 0, told
    assert report["equal"]
    assert report["left_aside"] > 0
    assert report["causes"] == report["rows"] == report["samples"] == []

    with beside(lambda: live.trickle(4)):
        done = stack.done("swap", "re")
    assert done.returncode == 0, done.stderr
    live.publish(2)
    live.exact()
    for at in (BASE // 2, BASE - 1):
        live.exact_as_of(live.truth[at][0])
    assert stack.query("SELECT count() FROM motcua.heard") != stack.query(
        "SELECT count() FROM motcua_re.heard"
    )
    (row,) = stack.query("SELECT number, state, kind, name, because FROM swaps FINAL").splitlines()
    assert row.split("\t") == ["1", "done", "swap", "re", "parity"]

    # What holds the former live figures is no rehearsal any more, until it is dropped.
    again = stack.done("swap", "re", "--because", "twice")
    assert again.returncode == 1
    assert "motcua swap --back" in again.stderr
    resumed = stack.done("replay", "resume", "re")
    assert resumed.returncode == 2

    with beside(lambda: live.trickle(3)):
        stack.run("swap", "--back")
    live.publish(1)
    live.exact()
    live.exact_as_of(live.truth[BASE // 2][0])
    twice = stack.done("swap", "--back")
    assert twice.returncode == 1
    assert "Next: motcua swap NAME" in twice.stderr


def test_what_was_planted_is_found_and_readers_see_one_side_or_the_other(live: Live) -> None:
    stack = live.stack
    before = list(live.truth)
    rest = before[len(before) // 3 :]
    rehearse(live, "less", [rest])
    refused = stack.done("swap", "less")
    assert refused.returncode == 1
    assert "no parity report" in refused.stderr
    assert "motcua parity less" in refused.stderr

    code, report, _ = document(stack, "parity", "live", "less")
    assert code == 1
    assert not report["equal"]
    causes = {row["cause"]: row["count"] for row in report["causes"]}
    assert causes["unknown-dossier"] > 0
    assert "other-register" not in causes
    named, known = recount(line for _, line in before), recount(line for _, line in rest)
    assert causes["unknown-dossier"] == len(set(named.dossiers) - set(known.dossiers))
    received = [row for row in report["rows"] if (row["basis"], row["tally"]) == ("received", "received")]
    states = [[state["counts"] for state in side.states().values()] for side in (named, known)]
    assert sum(row["difference"] for row in received) == states[1].count(True) - states[0].count(True) < 0
    assert report["cohorts"]["deficit"] > 0
    assert {sample["cause"] for sample in report["samples"]} == set(causes)
    still = stack.done("swap", "less")
    assert still.returncode == 1
    assert "were not allowed" in still.stderr
    some = stack.done("parity", "less", "--allow", "unknown-dossier")
    assert some.returncode == 1
    assert stack.done("parity", "less", *(f"--allow={cause}" for cause in CAUSES)).returncode == 0

    for swap in (("less",), ("--back",)):
        readers = Readers(stack)
        old = readers.ask()
        with readers.reading():
            stack.run("swap", *swap)
            eventually(partial(readers.changed, old), "the other figures are read")
        new = readers.ask()
        for name, answers in readers.answers.items():
            assert old[name] != new[name]
            assert answers == [old[name]] * answers.count(old[name]) + [new[name]] * answers.count(new[name])
        live.truth = rest if swap == ("less",) else before
        assert live.rates() == live.expected()
    live.publish(1)
    live.exact()
    stack.run("replay", "drop", "less")


@pytest.mark.long
def test_months_alone(live: Live) -> None:
    stack = live.stack
    before = list(live.truth)
    half = before[::2]
    rehearse(live, "half", [half])
    cohorts = stack.query(
        "SELECT cohort FROM dossiers FINAL WHERE cohort BETWEEN 202000 AND 202700 AND mask > 0 "
        "GROUP BY cohort ORDER BY count() DESC LIMIT 2"
    ).split()
    odd = stack.query("SELECT max(cohort) FROM dossiers WHERE cohort BETWEEN 200000 AND 201499")
    months = sorted({*cohorts, *([odd] if int(odd) else [])})
    options = [f"--month={month[:4]}-{month[4:]}" for month in months]
    with beside(lambda: live.trickle(6)):
        stack.run("swap", "half", *options, "--because", "two months")
    live.publish(1)
    later = live.truth[len(before) :]

    def of(number: str) -> str:
        rest = number.partition("-")[2]
        return "20" + rest[:4] if rest else ""

    def split(dossiers: dict[str, Any], *, inside: bool) -> dict[str, Any]:
        return {number: one for number, one in dossiers.items() if (of(number) in months) is inside}

    every = recount((line for _, line in live.truth))
    few = recount((line for _, line in half + later))
    every.dossiers = split(every.dossiers, inside=False) | split(few.dossiers, inside=True)
    assert live.rates() == every.rates(by=GROUPS, form="both")
    assert stack.done("audit", "--all").returncode == 0
    assert stack.query(UNEXPLAINED) == "0"
    with beside(lambda: live.trickle(4)):
        stack.run("swap", "--back")
    live.publish(1)
    live.exact()
    stack.run("replay", "drop", "half")


def test_after_a_drop_there_is_no_way_back(live: Live) -> None:
    stack = live.stack
    rehearse(live, "gone", [list(live.truth)])
    stack.run("parity", "gone")
    stack.run("swap", "gone")
    stack.run("replay", "drop", "gone")
    refused = stack.done("swap", "--back")
    assert refused.returncode == 1, refused.stderr
    assert "dropped or made anew" in refused.stderr
    assert "Next: " in refused.stderr
    live.publish(1)
    live.exact()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_killed_at_every_step_the_same_command_ends_it(live: Live) -> None:
    stack = live.stack
    rehearse(live, "killed", [list(live.truth)])
    parity = walk(stack, "parity", "killed", first=1, stride=3)
    assert (parity.code, parity.deaths > 0) == (0, True), parity.said
    with beside(lambda: live.trickle(3)):
        there = walk(stack, "swap", "killed")
    assert there.code == 0, there.said
    assert there.deaths > 5
    live.publish(1)
    live.exact()
    with beside(lambda: live.trickle(3)):
        back = walk(stack, "swap", "--back", first=2, stride=4)
    assert back.code == 0, back.said
    live.publish(1)
    live.exact()
    live.exact_as_of(live.truth[BASE // 2][0])


@pytest.mark.long
def test_an_unfinished_swap_is_waited_for_and_kept_from_harm(live: Live) -> None:
    stack = live.stack
    # Killed once it is written down, and the workers have gone.
    assert once(stack, 6, "swap", "killed", "--because", "a test")
    live.publish(1, wait=False)
    eventually(lambda: "swap" in waiting(stack), "the worker says that it waits")
    for command in (
        ("replay", "drop", "killed"),
        ("swap", "--back"),
        ("swap", "other", "--because", "x"),
        ("parity", "killed"),
        ("rebuild",),
    ):
        refused = stack.done(*command)
        assert refused.returncode in (1, 2), (command, refused.stderr)
        assert "Next: motcua swap killed" in refused.stderr, (command, refused.stderr)
    stack.run("swap", "killed")
    live.publish(1)
    live.exact()


def waiting(stack: Stack) -> str:
    log = (stack.data_dir / "logs" / "stack.log").read_text(encoding="utf-8")
    return "\n".join(line for line in log.splitlines() if "waiting" in line)


WRONG = (
    ("parity", "nobody"),
    ("swap", "nobody", "--because", "x"),
    ("parity", "live", "a", "b"),
    ("parity", "killed", "--allow", "weather"),
    ("parity", "Live!"),
    ("swap",),
    ("swap", "killed", "--back"),
    ("swap", "--back", "--month", "2026-01"),
    ("swap", "killed", "--month", "2026-13"),
    ("swap", "killed", "--month", "1999-01"),
    ("--on", "killed", "swap", "killed"),
    ("--on", "killed", "parity", "killed"),
    ("replay", "/", "--into", "rebuild"),
    ("replay", "resume", "rebuild"),
    ("rebuild", "--register", "/nowhere"),
    ("rebuild", "--definition", "ER-NONE"),
)
NEEDY = (("parity", "re"), ("swap", "re", "--because", "x"), ("swap", "--back"), ("rebuild",))
"""Commands that are nothing without a stack."""


def test_wrong_use_and_no_stack(live: Live, tmp_path: Path) -> None:
    away = Stack(tmp_path / "away")
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda command: live.stack.done(*command), WRONG))
        missed = list(pool.map(lambda command: away.done(*command), NEEDY))
    for done in told:
        assert done.returncode == 2, done
        assert "Traceback" not in done.stderr
        assert not done.stdout
    for done in missed:
        assert done.returncode == 3, done
        assert "Next: motcua up" in done.stderr
