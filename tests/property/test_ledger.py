"""The ledger folds many events at once as `rates.cohort.Cohort` folds them one by one."""

from collections import Counter

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rates.cohort import Cohort, CohortKey, cohort_of, packed, unpacked
from rates.dossier import Dossier, Outcome, unpack
from rates.effects import NOTHING, ChangeRow, DossierRow, counted, version
from rates.wire import Event, Full
from streams.events import Message, Source, by_column
from streams.ledger import Ledger
from tests.property.worlds import NUMBERS, events
from tests.support.memory import stored
from tests.support.register import SmallRegister

REGISTER = SmallRegister()
KEY = CohortKey("H18.21", 202310)
SENT = (*NUMBERS, "H18.21", "000.00.01.H22", "H18.21-", "H18.21-231002")
UNITS = {number: number.partition("-")[0] for number in SENT}


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, list[tuple[int, Event]]]]:
    """Pieces of events with their offsets; now and then what a crash has delivered again, or a restart."""
    pieces: list[tuple[int, list[tuple[int, Event]]]] = []
    offset = 0
    for _ in range(draw(st.integers(1, 5))):
        offset = max(0, offset - draw(st.sampled_from((0, 0, 1, 3))))
        named: list[tuple[int, Event]] = []
        for event in draw(st.lists(events, max_size=9)):
            number = draw(st.sampled_from(SENT))
            named.append((offset, msgspec.structs.replace(event, number=number, unit=UNITS[number], index=0)))
            offset += 1
        pieces.append((draw(st.sampled_from((0, 0, 1, 2))), named))
    return pieces


def _place(row: ChangeRow) -> tuple[CohortKey, str, int]:
    return row.key, row.number, row.dossier.version


def load(ledger: Ledger, cohort: Cohort) -> None:
    """Have the ledger hold a cohort as if it had been stored."""
    rows = [DossierRow(cohort.key, number, unpack(held)) for number, held in cohort.dossiers.items()]
    ledger.load([cohort.key], stored(rows, [(cohort.key, unpacked(cell)) for cell in cohort.vectors]))


def _record(time: int) -> Full:
    return Full(NUMBERS[0], UNITS[NUMBERS[0]], 0, 4, time, time, 0, 0, "1.000001", "", 0)


# What was applied comes again with another face: its place in the log counts, not what it says.
_AGAIN: list[tuple[int, list[tuple[int, Event]]]] = [
    (0, [(0, _record(1_696_200_000)), (1, _record(1_696_200_001))]),
    (0, [(0, _record(1_696_200_002))]),
]


@settings(max_examples=300, deadline=None)
@given(histories())
@example(_AGAIN)
def test_a_piece_folded_at_once_leads_to_the_rows_that_its_events_lead_to_one_by_one(
    pieces: list[tuple[int, list[tuple[int, Event]]]],
) -> None:
    ledger, cohorts = Ledger(REGISTER), dict[CohortKey, Cohort]()
    for cut, named in pieces:
        outcomes: Counter[Outcome] = Counter()
        found: list[tuple[Source, Event]] = []
        for offset, event in named:
            position = version(1, offset, 0)
            learnt = 1_696_208_400 + offset + 86_400 * (offset * 5 % 12)
            source = Source(Message(3, offset, learnt * 1000, None, None), position, learnt, None)
            found.append((source, event))
            cohort = cohorts.setdefault(key := cohort_of(event.unit, event.number), Cohort(key))
            outcomes[cohort.fold(event, version=position, learnt=learnt, procedures=REGISTER)] += 1
        if not named:
            continue
        sought = ledger.seek(by_column(found))
        assert not set(sought.missing) - set(cohorts)
        ledger.load(sought.missing, NOTHING)
        changes = ledger.fold(sought, {3: 77})
        assert +changes.outcomes == outcomes
        assert changes.touched == dict.fromkeys((cohort_of(e.unit, e.number) for _, e in named), 3)
        dossiers: dict[tuple[CohortKey, str], Dossier] = {
            (key, number): state
            for key, cohort in cohorts.items()
            for number, state in cohort.changed_dossiers()
        }
        assert {(row.key, row.number): row.dossier for row in changes.dossiers} == dossiers
        assert len(changes.dossiers) == len(dossiers)
        told = [
            ChangeRow(key, number, after, counted(before))
            for key, cohort in cohorts.items()
            for number, before, after in cohort.changes
        ]
        assert sorted(changes.history, key=_place) == sorted(told, key=_place)
        for at, row in enumerate(changes.dossiers):
            columns = changes.dossiers.columns
            assert columns["status"][at] == row.dossier.status
            assert (
                tuple(columns[f"{b}_day"][at] for b in ("received", "completed", "due")) == row.dossier.days
            )
        written = {(row.key, row.cell): row.vector for row in changes.tallies}
        assert len(written) == len(changes.tallies)
        assert {row.version for row in changes.tallies} <= {77}
        due = {
            (key, cell): vector for key, cohort in cohorts.items() for cell, vector in cohort.changed_cells()
        }
        # It may write a cell more, never another value: where a progress row moved a dossier and back.
        assert {at: written.get(at) for at in due} == due
        for key, cell in set(written) - set(due):
            assert written[key, cell] == cohorts[key].vectors.get(packed(*cell), 0)
        for key, cohort in cohorts.items():
            cohort.mark_clean()
            held = {packed(*cell): vector for cell, vector in ledger.cells(key).items() if vector}
            assert held == {cell: vector for cell, vector in cohort.vectors.items() if vector}
        if cut == 1:
            ledger = Ledger(REGISTER)
        elif cut == 2:
            ledger.make_room(0, ledger.turn)
            assert sum(key in ledger for key in cohorts) == 1
        for key, cohort in cohorts.items():
            if key not in ledger:
                load(ledger, cohort)
    assert ledger.held == sum(
        len(cohort.dossiers) + len(ledger.cells(key)) + 4 for key, cohort in cohorts.items()
    )


def test_a_cohort_whose_dossiers_are_stored_and_whose_cells_are_not_is_counted_however_many_there_are() -> (
    None
):
    cohort = Cohort(KEY)
    for day in range(3_000):
        received = 1_600_000_000 + 86_400 * day
        event = Full(f"H18.21-231002-{day}", "H18.21", 0, 4, received, received, 0, 0, "1.000001", "", 0)
        cohort.fold(event, version=version(1, day, 0), learnt=received, procedures=REGISTER)
    ledger = Ledger(REGISTER)
    rows = [DossierRow(KEY, number, unpack(held)) for number, held in cohort.dossiers.items()]
    ledger.load([KEY], stored(rows, []))
    assert {packed(*cell): vector for cell, vector in ledger.cells(KEY).items()} == cohort.vectors
