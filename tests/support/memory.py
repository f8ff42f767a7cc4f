"""A store in memory that behaves as the database does: of a key the row with the highest version stands."""

from collections.abc import Collection, Mapping, Sequence

from rates.cohort import Cell, Cohort, CohortKey, packed
from rates.dossier import Dossier
from rates.effects import Canary, DeadLetter, DossierRow, Reached, TallyRow


class MemoryStore:
    """Rows by what they are about; an equal version replaces, as the later insert does in ClickHouse."""

    def __init__(self) -> None:
        self.dossiers: dict[tuple[CohortKey, str], Dossier] = {}
        self.tallies: dict[tuple[CohortKey, Cell], TallyRow] = {}
        self.dead: dict[tuple[int, int], DeadLetter] = {}
        self.reached: dict[int, Reached] = {}
        self.canaries: dict[int, Canary] = {}

    async def load(self, keys: Collection[CohortKey]) -> Mapping[CohortKey, Cohort]:
        return {
            key: Cohort(
                key,
                [(number, dossier) for (of, number), dossier in self.dossiers.items() if of == key],
                [packed(*cell) for of, cell in self.tallies if of == key],
            )
            for key in keys
        }

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
