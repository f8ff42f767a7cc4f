"""Dead letters as data: counted, shown, and what a replay must know and leave behind.

A letter is its content, so what was refused fifty times is one letter seen fifty times (`sinks/letters.py`).
`planned` decides what a replay does with each, by one rule: a letter that failed again is left alone until
something that decides has changed, which is the register, the program, the tables or the engine (`ground`).
So a replay may be run as often as one likes, by a timer too, and never goes in a circle.

Before a letter is sent there is a row that says it is meant, and after the broker has it one that says where
it went. Whatever dies in between, the next replay knows what was sent; what it cannot know it sends again,
which changes no figure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from rates.dossier import ties
from rates.effects import generation_of, offset_of
from rates.wire import Full, Senders, decode
from sinks.client import Database, strings, uints
from sinks.letters import FAILED, REPLAYED

MEANT: Final = 0
SENT: Final = 1
STATES: Final = ("waiting", "sent", "replayed", "failed_again")

Todo: TypeAlias = Literal["send", "wait", "leave", "cannot"]


class Chosen(NamedTuple):
    """Which letters: "" and 0 for all. `since`: last refused at or after, in seconds since 1970 UTC."""

    reason: str = ""
    unit: str = ""
    since: int = 0
    body: str = ""


ALL: Final = Chosen()


class Letter(NamedTuple):
    """What a plan needs of a letter: all but its content."""

    letter: str
    unit: str
    reason: str
    state: str
    tries: int
    step: int
    ground: str
    seen: int
    partition: int
    version: int
    size: int
    whole: bool
    kept: bool

    @property
    def generation(self) -> int:
        return generation_of(self.version)

    @property
    def offset(self) -> int:
        return offset_of(self.version)

    @property
    def record(self) -> int:
        return self.version & (1 << 12) - 1

    @property
    def next_try(self) -> int:
        """The number of the try that would come now; one that was only meant is taken up again."""
        return self.tries if self.tries and self.step == MEANT else self.tries + 1


class Planned(NamedTuple):
    """What a replay does with a letter, and why where it does not send it."""

    letter: Letter
    todo: Todo
    why: str = ""


class Content(NamedTuple):
    """What a letter says and when it was last refused; the head and the fields are JSON, "" if not kept."""

    head: str
    fields: str
    received_at: int


class Try(NamedTuple):
    """One time a letter was sent again; `position` 0 while that is only meant."""

    letter: str
    number: int
    partition: int
    position: int
    whole: bool
    seen: int


def planned(
    letters: Sequence[Letter], ground: str, generation: int, earliest: Mapping[int, int]
) -> list[Planned]:
    """What to do with each letter. `earliest`: the first offset that Kafka still has, by partition."""
    return [Planned(letter, *_todo(letter, ground, generation, earliest)) for letter in letters]


def _todo(letter: Letter, ground: str, generation: int, earliest: Mapping[int, int]) -> tuple[Todo, str]:
    if letter.state == "sent":
        return "wait", "on its way already"
    if letter.state == "failed_again" and letter.ground == ground:
        return "leave", "failed again, and neither register, program, tables nor engine have changed since"
    if not letter.kept:
        if letter.generation != generation:
            return "cannot", "its content is not kept, and the topic was made anew since"
        if letter.offset < earliest.get(letter.partition, 0):
            return "cannot", "its content is not kept, and Kafka has dropped it"
    return "send", ""


def portions(plan: Sequence[Planned], letters: int, size: int) -> Iterator[list[Letter]]:
    """What is to be sent, in its order, at most so many letters and about so many bytes at once."""
    portion: list[Letter] = []
    weight = 0
    for letter in (one.letter for one in plan if one.todo == "send"):
        if portion and (len(portion) >= letters or weight + letter.size > size):
            yield portion
            portion, weight = [], 0
        portion.append(letter)
        weight += letter.size
    if portion:
        yield portion


async def counted(database: Database, chosen: Chosen = ALL) -> list[dict[str, Any]]:
    """Letters by reason and unit, with how many are in each state."""
    states = ", ".join(f"countIf(state = '{state}') AS n_{state}" for state in STATES)
    rows = await database.rows(
        f"SELECT reason AS r, unit AS u, count() AS letters, sum(seen) AS times, {states}, "
        "toUInt32(min(first_seen)) AS first_time, toUInt32(max(last_seen)) AS last_time FROM letters "
        f"WHERE {_where(chosen)} GROUP BY reason, unit ORDER BY reason, unit",
        chosen._asdict(),
    )
    return [
        {
            "reason": row["r"],
            "unit": row["u"],
            "letters": row["letters"],
            "seen": int(row["times"]),
            "first_seen": row["first_time"],
            "last_seen": row["last_time"],
            **{state: row[f"n_{state}"] for state in STATES},
        }
        for row in rows
    ]


async def shown(database: Database, chosen: Chosen = ALL, limit: int = 0) -> list[dict[str, Any]]:
    """The letters themselves, those that were refused last first. `limit` 0: all."""
    rows = await database.rows(
        "SELECT letter, reason, field, detail, unit, state, tries, seen, "
        "toUInt32(first_seen) AS first_time, toUInt32(last_seen) AS last_time, "
        "partition, version, fields AS declared FROM letters "
        f"WHERE {_where(chosen)} ORDER BY last_seen DESC, letter {f'LIMIT {limit:d}' if limit else ''}",
        chosen._asdict(),
    )
    return [
        {
            **{name: row[name] for name in ("letter", "reason", "field", "detail", "unit", "state", "tries")},
            "seen": int(row["seen"]),
            "first_seen": row["first_time"],
            "last_seen": row["last_time"],
            "generation": generation_of(row["version"]),
            "partition": row["partition"],
            "offset": offset_of(row["version"]),
            "index": row["version"] & (1 << 12) - 1,
            "fields": row["declared"],
        }
        for row in rows
    ]


async def undone(database: Database, chosen: Chosen = ALL) -> list[Letter]:
    """The letters that have not been taken, in the order in which they were last refused."""
    rows = await database.rows(
        "SELECT letter, unit, reason, state, tries, step, ground, seen, partition, version, "
        "length(head) + length(fields) AS size, whole, head != '' AND fields != '' AS kept FROM letters "
        f"WHERE {_where(chosen)} AND state != 'replayed' ORDER BY last_seen, partition, version",
        chosen._asdict(),
    )
    return [Letter(**row) for row in rows]


async def contents(database: Database, letters: Sequence[Letter]) -> dict[str, Content]:
    rows = await database.rows(
        "SELECT letter, head, fields, toUInt32(last_seen) AS time FROM letters "
        f"WHERE letter IN ({_listed(letters)})"
    )
    return {row["letter"]: Content(row["head"], row["fields"], row["time"]) for row in rows}


async def overtaken(
    database: Database, register: Senders, letters: Sequence[Letter], texts: Mapping[str, Content]
) -> set[str]:
    """The letters whose dossier took a record of the same time and stage that was received later than they.

    Sent now, the older record would stand, for arriving later. All others win or lose by their own clocks.
    """
    records: dict[tuple[str, str], list[tuple[str, Full, int]]] = {}
    for letter in letters:
        said = texts[letter.letter]
        if not letter.kept:
            continue
        call = f'{said.head[:-1]},"data":[{said.fields}]}}'.encode()
        for event in decode(call, letter.unit.encode(), said.received_at, register)[0]:
            if isinstance(event, Full):
                records.setdefault((event.unit, event.number), []).append(
                    (letter.letter, event, said.received_at)
                )
    if not records:
        return set()
    rows = await database.rows(
        "SELECT toString(unit) AS code, number, record_status, toUInt32(record_time) AS record_at, "
        f"toUInt32(learnt) AS learnt_at FROM dossiers FINAL WHERE unit IN ({_texts(u for u, _ in records)}) "
        f"AND number IN ({_texts(number for _, number in records)})"
    )
    return {
        letter
        for row in rows
        for letter, event, received_at in records.get((row["code"], row["number"]), ())
        if ties(event, row["record_status"], row["record_at"]) and row["learnt_at"] > received_at
    }


async def ground(database: Database, program: str) -> str:
    """What decides whether a record is taken, as one text: it differs once any of it has changed."""
    rows = await database.rows(
        "SELECT version() AS engine, (SELECT count() FROM register_log) AS register, "
        "(SELECT sipHash64(groupArray(create_table_query)) FROM (SELECT create_table_query "
        "FROM system.tables WHERE database = {name:String} AND name IN ('dossiers', 'tallies') "
        "ORDER BY name)) AS tables",
        {"name": database.name},
    )
    return (
        f"motcua {program}, register {rows[0]['register']}, tables {rows[0]['tables']:x}, {rows[0]['engine']}"
    )


async def record(database: Database, tries: Sequence[Try], on: str, now: int) -> None:
    """What is meant, or where it went; `on` which ground, `now` in seconds since 1970 UTC."""
    await database.insert(
        "replays",
        {
            "letter": strings([row.letter for row in tries]),
            "tries": uints([row.number for row in tries], 32),
            "step": uints([SENT if row.position else MEANT for row in tries], 8),
            "partition": uints([row.partition for row in tries], 16),
            "position": uints([row.position for row in tries], 64),
            "whole": uints([int(row.whole) for row in tries], 8),
            "seen": uints([row.seen for row in tries], 64),
            "ground": strings([on] * len(tries)),
            "at": uints([now] * len(tries), 32),
        },
    )


async def goals(database: Database, generation: int) -> dict[int, int]:
    """How far each partition must be durable for all that was sent again to have been taken or refused."""
    rows = await database.rows(
        "SELECT partition, max(position) AS furthest FROM replays FINAL "
        f"WHERE step = {SENT} AND bitShiftRight(position, 52) = {{generation:UInt16}} GROUP BY partition",
        {"generation": generation},
    )
    return {row["partition"]: row["furthest"] for row in rows}


async def settle(database: Database) -> None:
    """Write down what became of what was sent: it can be derived only while the topic's generation lasts."""
    await database.run(
        f"INSERT INTO replays SELECT letter, tries, if(state = 'failed_again', {FAILED}, {REPLAYED}), "
        "partition, position, whole, seen, ground, at FROM replays AS r FINAL "
        "INNER JOIN (SELECT letter, tries, state FROM letters) AS l USING (letter, tries) "
        f"WHERE step = {SENT} AND state IN ('replayed', 'failed_again')"
    )


async def outcome(database: Database, letters: Sequence[Letter]) -> dict[str, int]:
    """How many of these letters are in each state."""
    rows = await database.rows(
        f"SELECT state, count() AS n FROM letters WHERE letter IN ({_listed(letters)}) GROUP BY state"
    )
    return dict.fromkeys(STATES, 0) | {row["state"]: row["n"] for row in rows}


def _where(chosen: Chosen) -> str:
    conditions = [
        "reason = {reason:String}" if chosen.reason else "",
        "unit = {unit:String}" if chosen.unit else "",
        "body = {body:String}" if chosen.body else "",
        "toUInt32(last_seen) >= {since:UInt32}" if chosen.since else "",
    ]
    return " AND ".join(condition for condition in conditions if condition) or "true"


def _texts(found: Iterable[str]) -> str:
    # In the query's text: as parameters they would travel in its address, which is short.
    escaped = (text.replace("\\", "\\\\").replace("'", "\\'") for text in sorted(set(found)))
    return ", ".join(f"'{text}'" for text in escaped)


def _listed(letters: Sequence[Letter]) -> str:
    # Digests of the engine's own, in hexadecimal digits: they need no quoting.
    return ", ".join(f"'{one.letter}'" for one in letters) or "''"
