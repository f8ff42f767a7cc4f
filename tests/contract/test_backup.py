"""Backups on the real engine: what is copied comes back row by row, and what is no backup changes nothing."""

import asyncio
import tarfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from rates.cohort import Cell, CohortKey
from rates.effects import DeadLetter, DossierRow, Reached, TallyRow, version
from rates.failures import Fatal, Retry
from rates.tallies import lanes
from rates.wire import Reason, Rejection
from sinks import archive, backup, generations, migrate, reference
from sinks.archive import Damaged
from sinks.client import Database, connect
from sinks.cohorts import CohortStore
from sinks.generations import Source
from tests.contract.test_store import dossier

NOW = 1_700_000_000
TOPIC = Source("cluster", "dossiers", "id-1", 12)
_numbers = count(1)


class World:
    """A database with something in every table that has rows of its own, and where it may be restored."""

    def __init__(self, source: Database, system: Database, staged: Database, copy: Database) -> None:
        self.source = source
        self.system = system
        self.staged = staged
        self.copy = copy

    async def restore(self, path: Path) -> None:
        with archive.opened(path) as opened:
            backup.check(opened.manifest)
            await backup.gather(opened, self.system, self.staged, NOW + 5, lambda _done, _total: None)
        await backup.place(self.system, self.staged.name, self.copy.name)

    async def names(self) -> set[str]:
        rows = await self.system.rows("SELECT name FROM system.databases")
        return {row["name"] for row in rows}


@pytest.fixture
async def world(engine_url: str) -> AsyncIterator[World]:
    name = f"backup_{next(_numbers)}"
    async with AsyncExitStack() as open_:
        names = (name, "system", migrate.staging(f"{name}_copy"), f"{name}_copy")
        world = World(*[await open_.enter_async_context(connect(engine_url, each)) for each in names])
        await migrate.migrate(world.source, NOW, lambda _line: None)
        await generations.register(world.source, TOPIC, NOW)
        store = CohortStore(world.source)
        keys = [
            CohortKey(unit, month) for unit in ("H18.21", "H18.22", "G01") for month in (202212, 202310, 7)
        ]
        for at in (4, 9):
            await store.save_dossiers(
                [
                    DossierRow(key, f"{number} Đ “x”'\\", dossier(at, mask=5, completed=0, due=0))
                    for key in keys
                    for number in range(5)
                ]
            )
            await store.save_tallies(
                [TallyRow(key, Cell(2, 0, day), at, lanes(5) * day) for key in keys for day in range(7)]
            )
            await store.save_progress([Reached(3, version(1, at, 0), NOW, NOW + at)])
        rejection = Rejection(2, Reason.BAD_NUMBER, "MaHoSo", "no unit", "", '{"MaHoSo":9.0}')
        letters = [DeadLetter(version(1, at, 2), at % 3, at, NOW, rejection) for at in range(9)]
        await store.save_dead_letters(letters)
        yield world


async def _sums(database: Database) -> dict[str, tuple[int, int]]:
    """Of each table the rows that stand, and a sum over all that they hold."""
    found = await database.rows(
        "SELECT name, engine FROM system.tables WHERE database = {name:String} "
        "AND engine LIKE '%MergeTree' AND name NOT IN ('schema_log', 'workers')",
        {"name": database.name},
    )
    sums = {}
    for row in found:
        final = "" if row["engine"] == "MergeTree" else "FINAL"
        (answer,) = await database.rows(
            f"SELECT count() AS rows, sum(cityHash64(*)) AS held FROM {row['name']} {final}"
        )
        sums[row["name"]] = (answer["rows"], answer["held"])
    return sums


@pytest.mark.parametrize("page", [7, 100_000])
async def test_every_table_comes_back_row_by_row_whatever_the_size_of_a_page(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(backup, "_PAGE", page)
    await reference.save(world.source, NOW)
    manifest = await backup.save(world.source, tmp_path / "b", NOW, lambda _done, _total: None)
    assert manifest.rows["dossiers"] == 45
    assert manifest.rows["tallies"] == 63
    assert manifest.rows["units"] > 1_000
    await world.restore(tmp_path / "b")
    before = await _sums(world.source)
    assert before == await _sums(world.copy)
    assert {name for name, (rows, _) in before.items() if rows} >= {"progress", "dead_letters", "units"}


async def test_a_page_of_tallies_never_ends_inside_a_cohort(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_PAGE", 10)
    await backup.save(world.source, tmp_path / "b", NOW, lambda _done, _total: None)
    with archive.opened(tmp_path / "b") as opened:
        members = [member for member in opened.manifest.members if member.table == "tallies"]
        pages = [page for member in members for page in opened.pages(member)]
    cohorts = [{(row["unit"], row["cohort"]) for row in page.to_pylist()} for page in pages]
    assert len(cohorts) > len(members)
    assert sum(len(each) for each in cohorts) == len(set.union(*cohorts)) == 9


async def test_what_is_copied_first_is_what_is_made_durable_last(world: World, tmp_path: Path) -> None:
    manifest = await backup.save(world.source, tmp_path / "b", NOW, lambda _done, _total: None)
    tables = list(dict.fromkeys(member.table for member in manifest.members))
    assert tables[0] == "progress"
    assert tables[-3:] == ["dead_letters", "tallies", "dossiers"]


async def test_a_restored_database_asks_for_migrate_and_then_is_as_any_other(
    world: World, tmp_path: Path
) -> None:
    await reference.save(world.source, NOW)
    await backup.save(world.source, tmp_path / "b", NOW, lambda _done, _total: None)
    await world.restore(tmp_path / "b")
    with pytest.raises(Fatal, match=r"rows were restored, views are not made yet.*Next: motcua migrate"):
        await migrate.check(world.copy)
    await migrate.migrate(world.copy, NOW + 9, lambda _line: None)
    await migrate.check(world.copy)
    body = f"SELECT DISTINCT {migrate.body('day')} AS body FROM tallies WHERE unit = 'H18.21'"
    assert await world.copy.value(body) == "H18"
    assert await generations.confirmed(world.copy, TOPIC) == 1


async def test_while_a_restore_gathers_what_was_there_stays_and_every_command_is_told(
    world: World, tmp_path: Path
) -> None:
    await backup.save(world.source, tmp_path / "b", NOW, lambda _done, _total: None)
    await migrate.migrate(world.copy, NOW, lambda _line: None)
    with archive.opened(tmp_path / "b") as opened:
        await backup.gather(opened, world.system, world.staged, NOW, lambda _done, _total: None)
    for refused in (migrate.check(world.copy), migrate.migrate(world.copy, NOW, lambda _line: None)):
        with pytest.raises(Fatal, match=r"restore .* is under way or stopped half-way.*--abandon"):
            await refused
    assert await backup.abandon(world.system, world.staged.name)
    assert not await backup.abandon(world.system, world.staged.name)
    await migrate.check(world.copy)
    assert await backup.held(world.system, world.copy.name) == 0


async def test_a_restore_begins_anew_after_one_that_was_killed(world: World, tmp_path: Path) -> None:
    await backup.save(world.source, tmp_path / "b", NOW, lambda _done, _total: None)

    def killed(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with archive.opened(tmp_path / "b") as opened, pytest.raises(KeyboardInterrupt):
        await backup.gather(opened, world.system, world.staged, NOW, killed)
    assert world.staged.name in await world.names()
    await world.restore(tmp_path / "b")
    assert await _sums(world.source) == await _sums(world.copy)
    assert world.staged.name not in await world.names()


class Killed(Database):
    """A connection whose process dies once something was dropped."""

    def __init__(self, system: Database) -> None:
        super().__init__(system._client, system.name)

    async def run(self, statement: str) -> None:
        await super().run(statement)
        if statement.startswith("DROP"):
            raise KeyboardInterrupt


async def test_a_restore_killed_while_it_drops_leaves_a_whole_database_under_the_name(
    world: World, tmp_path: Path
) -> None:
    await backup.save(world.source, tmp_path / "b", NOW, lambda _done, _total: None)
    await world.restore(tmp_path / "b")
    await migrate.migrate(world.copy, NOW, lambda _line: None)
    with archive.opened(tmp_path / "b") as opened:
        await backup.gather(opened, world.system, world.staged, NOW, lambda _done, _total: None)
    with pytest.raises(KeyboardInterrupt):
        await backup.place(Killed(world.system), world.staged.name, world.copy.name)
    assert await world.copy.value("SELECT count() FROM dossiers FINAL") == 45
    await world.restore(tmp_path / "b")
    assert await _sums(world.source) == await _sums(world.copy)
    assert not {world.staged.name, f"{world.copy.name}_replaced"} & await world.names()


async def test_rows_that_a_restore_lost_are_noticed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await backup.save(world.source, tmp_path / "b", NOW, lambda _done, _total: None)
    inserted = Database.insert

    async def forgetful(self: Database, table: str, columns: object) -> None:
        if table != "tallies":
            await inserted(self, table, columns)  # type: ignore[arg-type]

    monkeypatch.setattr(Database, "insert", forgetful)
    with pytest.raises(Fatal, match=r"table tallies holds 0 rows .* the backup 63.*nothing was replaced"):
        await world.restore(tmp_path / "b")


async def test_a_table_that_the_program_did_not_make_is_never_taken_away(world: World) -> None:
    assert await backup.held(world.system, world.source.name) > 0
    await world.source.run("CREATE TABLE mine (a UInt8) ENGINE = MergeTree ORDER BY a")
    with pytest.raises(Fatal, match="what motcua did not make: mine"):
        await backup.held(world.system, world.source.name)


async def test_a_register_loaded_in_the_middle_is_no_backup(
    world: World, tmp_path: Path, engine_url: str
) -> None:
    async def load() -> None:
        async with connect(engine_url, world.source.name) as other:
            await other.run(f"INSERT INTO register_log VALUES ({NOW}, 'meanwhile')")

    def meanwhile(_done: int, _total: int) -> None:
        with ThreadPoolExecutor() as beside:
            beside.submit(asyncio.run, load()).result()

    with pytest.raises(Retry, match="a register was loaded"):
        await backup.save(world.source, tmp_path / "b", NOW, meanwhile)
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240


async def test_a_backup_of_another_program_is_refused(world: World, tmp_path: Path) -> None:
    manifest = await backup.save(world.source, tmp_path / "b", NOW, lambda _done, _total: None)
    backup.check(manifest)
    first, *rest = manifest.schema
    newer = replace(manifest, schema=(*manifest.schema, replace(first, number=9_999)))
    changed = replace(manifest, schema=(replace(first, checksum="0" * 64), *rest))
    strange = replace(manifest, rows={**manifest.rows, "passwords": 0})
    for each, why in ((newer, "does not know"), (changed, "is not the one"), (strange, "passwords")):
        with pytest.raises(Fatal, match=why):
            backup.check(each)


@pytest.fixture
async def saved(world: World, tmp_path: Path) -> Path:
    await backup.save(world.source, tmp_path / "b", NOW, lambda _done, _total: None)
    return tmp_path / "b"


def test_a_backup_that_was_cut_short_anywhere_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    # A tar ends with empty blocks, and nothing is lost with them.
    end = len(whole.rstrip(b"\0"))
    for size in (0, 1, 511, 512, 5_000, end // 3, end // 2, end - 2_000, end - 100, end - 1):
        saved.write_bytes(whole[:size])
        with pytest.raises(Damaged), archive.opened(saved):
            pass


def test_a_byte_that_changed_anywhere_is_noticed(saved: Path) -> None:
    with archive.opened(saved) as opened:
        members = {member.name for member in opened.manifest.members}
    whole = saved.read_bytes()
    with tarfile.open(saved) as tar:
        places = {entry.name: (entry.offset_data, entry.size) for entry in tar}
    assert members < places.keys()
    for start, size in places.values():
        for at in (start, start + size // 2, start + size - 1):
            saved.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(Damaged), archive.opened(saved):
                pass


@pytest.mark.parametrize("content", [b"", b"{}", b"PK\x03\x04" + b"\0" * 2_000, b"\0" * 20_480])
def test_a_file_that_is_no_backup_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b").write_bytes(content)
    with pytest.raises(Damaged, match="no backup"), archive.opened(tmp_path / "b"):
        pass


def test_a_backup_that_fails_leaves_nothing_and_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"an older one")
    with pytest.raises(OSError, match="full"), archive.written(tmp_path / "b"):
        raise OSError("full")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b").read_bytes() == b"an older one"
