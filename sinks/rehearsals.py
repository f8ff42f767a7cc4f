"""What is known of each rehearsal, in the live database: what it replays, how far it is, what it is asked.

A record is written by the process that holds the rehearsal's lock, whole each time, so that it is right after
a death at any moment: what it says is sent, the brokers had acknowledged.
"""

from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from sinks.client import Database, strings, uints

State: TypeAlias = Literal["running", "paused", "stopped", "done", "failed", "dropped"]
Order: TypeAlias = Literal["", "pause", "stop"]


class File(Struct, frozen=True):
    """An event log: `line` of its lines are sent, `newest` is the latest receipt among them (ms)."""

    path: str
    size: int
    line: int = 0
    newest: int = 0


class Rehearsal(Struct, frozen=True, kw_only=True):
    """A rehearsal. Times in seconds since 1970 UTC. `place`: the machine and data directory it runs in.

    It replays `files`, or (`from_topic`) the live topic: by partition from the offset in `begins`, the first
    one received at `since` or later, up to but not including `ends`; `offsets` is the next one to send.
    `ends` is where the live topic ended when the rehearsal began, of logs too: what came later is missing.
    Of logs, `cut` is the newest receipt that was sent, in milliseconds; of a topic as well.

    `generation` is the one that the rehearsal's rows carry, 0 until its database and topic (`topic_id`) are
    prepared. `speed` 0: as fast as it goes. `done` of `total`: bytes of files, or messages of a topic.
    `rate`: events a second when it last ran. `register`: where a register of its own came from, "" where it
    has that of live; it goes live with the rest.
    """

    name: str
    state: State
    database: str
    topic: str
    started_at: int
    place: str = ""
    topic_id: str = ""
    generation: int = 0
    from_topic: bool = False
    files: tuple[File, ...] = ()
    live_topic_id: str = ""
    since: int = 0
    begins: dict[int, int] = {}
    ends: dict[int, int] = {}
    offsets: dict[int, int] = {}
    speed: float = 0
    done: int = 0
    total: int = 0
    messages: int = 0
    events: int = 0
    bad: int = 0
    unsorted: int = 0
    cut: int = 0
    rate: float = 0
    error: str = ""
    register: str = ""


class Stored(Struct, frozen=True):
    version: int
    rehearsal: Rehearsal


_as_rehearsal: Final = msgspec.json.Decoder(Rehearsal)
_ROWS: Final = "SELECT version, record FROM rehearsals FINAL"


async def find(database: Database, name: str) -> Stored | None:
    """A rehearsal by its name, or None; one that was dropped keeps its version."""
    rows = await database.rows(f"{_ROWS} WHERE name = {{name:String}}", {"name": name})
    return Stored(rows[0]["version"], _as_rehearsal.decode(rows[0]["record"])) if rows else None


async def listed(database: Database) -> list[Rehearsal]:
    """All that are there, by name."""
    rows = await database.rows(f"{_ROWS} WHERE state != 'dropped' ORDER BY name")
    return [_as_rehearsal.decode(row["record"]) for row in rows]


async def save(database: Database, rehearsal: Rehearsal, version: int, now: int) -> None:
    """Keep a record; its version must be above the stored one's."""
    await database.insert(
        "rehearsals",
        {
            "name": strings([rehearsal.name]),
            "version": uints([version], 64),
            "state": strings([rehearsal.state]),
            "at": uints([now], 32),
            "record": strings([msgspec.json.encode(rehearsal).decode()]),
        },
    )


async def order(database: Database, name: str, wanted: Order, now: int) -> None:
    """Ask the process that runs a rehearsal for something."""
    version, _ = await ordered(database, name)
    await database.insert(
        "rehearsal_orders",
        {
            "name": strings([name]),
            "version": uints([version + 1], 64),
            "wanted": strings([wanted]),
            "at": uints([now], 32),
        },
    )


async def ordered(database: Database, name: str) -> tuple[int, Order]:
    """The last order with its version; 0 where there never was one."""
    query = "SELECT version, wanted FROM rehearsal_orders FINAL WHERE name = {name:String}"
    rows = await database.rows(query, {"name": name})
    return (rows[0]["version"], rows[0]["wanted"]) if rows else (0, "")
