"""A store in memory that behaves as the database does: of a key the row with the highest version stands."""

from collections.abc import Collection, Mapping, Sequence

from rates.cohort import Cell, Cohort, CohortKey, packed
from rates.dossier import Dossier
from rates.effects import Canary, ChangeRow, DeadLetter, DossierRow, Reached, Stored, TallyRow, dossier_row


class MemoryStore:
    """Rows by what they are about; an equal version replaces, as the later insert does in ClickHouse."""

    def __init__(self) -> None:
        self.history: dict[tuple[CohortKey, str, int], ChangeRow] = {}
        self.dossiers: dict[tuple[CohortKey, str], Dossier] = {}
        self.tallies: dict[tuple[CohortKey, Cell], TallyRow] = {}
        self.dead: dict[tuple[int, int], DeadLetter] = {}
        self.reached: dict[int, Reached] = {}
        self.canaries: dict[int, Canary] = {}

    async def cohorts(self) -> Collection[CohortKey]:
        return {key for key, _ in self.dossiers}

    async def load(self, keys: Collection[CohortKey]) -> Stored:
        return stored(
            [DossierRow(key, number, at) for (key, number), at in self.dossiers.items() if key in keys],
            [(key, cell) for key, cell in self.tallies if key in keys],
        )

    async def save_history(self, rows: Sequence[ChangeRow]) -> None:
        for row in rows:
            at = row.key, row.number, row.dossier.version
            # Whoever writes a change again writes the same.
            assert self.history.setdefault(at, row) == row

    async def save_dossiers(self, rows: Sequence[DossierRow]) -> None:
        for row in rows:
            stored = self.dossiers.get((row.key, row.number))
            if stored is None or row.dossier.version >= stored.version:
                self.dossiers[row.key, row.number] = row.dossier

    async def save_tallies(self, rows: Sequence[TallyRow]) -> None:
        for row in rows:
            stored = self.tallies.get((row.key, row.cell))
            if stored is None or row.version >= stored.version:
                self.tallies[row.key, row.cell] = row

    async def save_dead_letters(self, rows: Sequence[DeadLetter]) -> None:
        self.dead.update({(row.partition, row.version): row for row in rows})

    async def save_progress(self, rows: Sequence[Reached]) -> None:
        for row in rows:
            stored = self.reached.get(row.partition)
            if stored is None or row.version >= stored.version:
                self.reached[row.partition] = row

    async def save_canaries(self, rows: Sequence[Canary]) -> None:
        self.canaries.update({row.partition: row for row in rows})

    async def progress(self) -> Mapping[int, Reached]:
        return dict(self.reached)


def stored(dossiers: Sequence[DossierRow], cells: Sequence[tuple[CohortKey, Cell]]) -> Stored:
    """Rows by column, as a store loads them."""
    states = [row.dossier for row in dossiers]
    return Stored(
        {
            "unit": [row.key.unit for row in dossiers],
            "cohort": [row.key.month for row in dossiers],
            "number": [row.number for row in dossiers],
            **{name: [getattr(state, name) for state in states] for name in Dossier.__struct_fields__},
        },
        {
            "unit": [key.unit for key, _ in cells],
            "cohort": [key.month for key, _ in cells],
            **{name: [getattr(cell, name) for _, cell in cells] for name in Cell._fields},
        },
    )


def cohorts(keys: Collection[CohortKey], found: Stored) -> dict[CohortKey, Cohort]:
    """What a store has loaded, as the cohorts of `rates.cohort`."""
    dossiers: dict[CohortKey, list[tuple[str, Dossier]]] = {key: [] for key in keys}
    cells: dict[CohortKey, list[int]] = {key: [] for key in keys}
    for at in range(len(found.dossiers["number"])):
        row = dossier_row({name: column[at] for name, column in found.dossiers.items()})
        dossiers[row.key].append((row.number, row.dossier))
    for unit, month, *cell in zip(
        *(found.cells[name] for name in ("unit", "cohort", *Cell._fields)), strict=True
    ):
        cells[CohortKey(unit, int(month))].append(packed(*map(int, cell)))
    return {key: Cohort(key, dossiers[key], cells[key]) for key in keys}
