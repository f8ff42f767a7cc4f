"""Which Kafka topic the stored versions come from.

A generation belongs to one (cluster, topic id, partition count). Its number is the top of every version, so
that the small offsets of a topic that was made anew still win, and it names the consumer group, so that the
offsets of an older topic cannot survive it.
"""

from typing import NamedTuple

from rates.effects import MAX_GENERATION
from rates.failures import Fatal
from sinks.client import Database, strings, uints


class Source(NamedTuple):
    """A topic as the broker describes it."""

    cluster: str
    topic: str
    topic_id: str
    partitions: int


def group(generation: int, on: str = "") -> str:
    """The consumer group of a generation's workers, or of those of a rehearsal: never the live one."""
    return f"motcua-{on}-g{generation}" if on else f"motcua-g{generation}"


async def latest(database: Database) -> tuple[int, Source] | None:
    """The registered generation with the highest number, and what it belongs to."""
    rows = await database.rows(
        "SELECT generation, cluster, topic, topic_id, partitions FROM generations FINAL "
        "ORDER BY generation DESC LIMIT 1"
    )
    if not rows:
        return None
    generation = rows[0].pop("generation")
    return generation, Source(**rows[0])


async def number(database: Database, source: Source, above: int = 0) -> int:
    """The generation of a topic: the registered one's if it is the same topic, else the next.

    Where a rehearsal may come to stand beside rows of another database, it is above that one's, too.
    """
    known = await latest(database)
    if known is not None and known[1] == source:
        return known[0]
    return max(known[0] if known is not None else 0, above) + 1


async def register(database: Database, source: Source, now: int, above: int = 0) -> int:
    """Register a topic under its `number`, if it is not yet."""
    known = await latest(database)
    generation = await number(database, source, above)
    if known is not None and generation == known[0]:
        return generation
    await advance(database, source, generation, now)
    return generation


async def advance(database: Database, source: Source, generation: int, now: int) -> None:
    """Register a topic under a number of its own, also where it has one already."""
    if generation > MAX_GENERATION:
        msg = f"all {MAX_GENERATION} generations are used up. Next: rebuild into a new database"
        raise Fatal(msg)
    await database.insert(
        "generations",
        {
            "generation": uints([generation], 16),
            "version": uints([now], 64),
            "cluster": strings([source.cluster]),
            "topic": strings([source.topic]),
            "topic_id": strings([source.topic_id]),
            "partitions": uints([source.partitions], 16),
            "registered_at": uints([now], 32),
        },
    )


async def confirmed(database: Database, source: Source) -> int:
    """The generation of a topic, or `Fatal` where the registered one is another."""
    known = await latest(database)
    if known is None:
        msg = f"no topic is registered in database {database.name}. Next: motcua migrate"
        raise Fatal(msg)
    generation, registered = known
    if registered == source:
        return generation
    changes = [
        f"{field} {was} → {now}"
        for field, was, now in zip(Source._fields, registered, source, strict=True)
        if was != now
    ]
    msg = (
        f"the topic is not the one of generation {generation}: {', '.join(changes)}. "
        "Its offsets mean something else now, so nothing was read. Next: motcua migrate (it registers the "
        "topic as the next generation), then start the worker again"
    )
    raise Fatal(msg)
