"""Records the topic as event logs: Parquet, a file for each local day of receipt, and a manifest of them.

    2026-01-05.parquet  2026-01-05.2.parquet  2026-01-05.aside.ndjson  manifest.json

Promises, whenever it is killed: each message of the topic is in exactly one closed file; a closed file never
changes; the manifest alone says how far it is, so whatever is not named there is read from Kafka again. A
message is filed if its offset is not above the highest that a file of its day names for its partition.
Memory is bounded: open days lie on disk, and a day of a million messages goes on in another file.

A day is closed once each partition has passed it by an hour: by the time of its last message, or by the clock
where nothing has come for ten minutes and nothing waits. What comes for it later makes a further file. Days
that lie ahead of the clock (a typo of a sender) are closed with the next that is. `until_now` closes all.

In a file messages stand by time of receipt, then partition and offset, so a unit's of equal time keep their
order. Canaries are left out. A message that publishing could not send again just so (it is no JSON, or comes
under another key than its records have) is set aside: the file `.aside.ndjson` names its place, why, its
length and its hash, and nothing of what it holds, which may be personal. For the same reason a call is
recorded with its declared fields only.
"""

import fcntl
import os
import shutil
import struct
from array import array
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from kafka import TopicPartition
from kafka.errors import KafkaError
from msgspec import Raw, Struct

from producers import eventlog, topics
from producers.calls import split
from rates.declared import encode
from rates.failures import Fatal, Retry
from rates.wire import DAY, LOCAL, strict

MANIFEST: Final = "manifest.json"
GRACE: Final = 3600
IDLE: Final = 600
MOST_MESSAGES: Final = 1_000_000
MOST_BYTES: Final = 4 * 1024**3

_OPEN: Final = ".open"
_LAST_DAY: Final = 2_932_896  # 9999-12-31; what names a later one is set aside under it
_LOOK_EVERY: Final = 5
_FETCH: Final = 16 * 1024 * 1024
_ZONE: Final = timezone(timedelta(seconds=LOCAL))
_HEAD: Final = struct.Struct("<qqiiI")  # milliseconds, offset, partition, records, length
_ASIDE: Final = -1


class Aside(Struct, frozen=True):
    """The file of a day's messages that are not in its log."""

    file: str
    messages: int
    bytes: int
    sha256: str


class File(Struct, frozen=True, kw_only=True):
    """A closed file: one line a message. `offsets`: by partition, the first and the last of its messages,
    those set aside included. Times as in the log."""

    file: str
    day: str
    messages: int
    records: int
    first_received_at: str
    last_received_at: str
    offsets: dict[int, tuple[int, int]]
    bytes: int
    sha256: str
    aside: Aside | None = None


class Manifest(Struct, kw_only=True):
    """What is recorded of one topic. `next`: by partition, below which offset everything is in a file."""

    version: int = 1
    cluster_id: str
    topic: str
    topic_id: str
    partitions: int
    next: dict[int, int]
    files: list[File] = []


class Message(NamedTuple):
    """A message as the topic has it; `milliseconds` since 1970."""

    partition: int
    offset: int
    milliseconds: int
    key: bytes
    value: bytes


class Day:
    """An open day: what was read of it, on disk, and the offsets between which it was."""

    __slots__ = ("bytes", "messages", "offsets", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.messages = 0
        self.bytes = 0
        self.offsets: dict[int, tuple[int, int]] = {}


class Folder:
    """The files and their manifest. One process at a time may write here."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._covered: dict[str, dict[int, int]] = {}
        self._parts: dict[str, int] = {}
        for file in manifest.files:
            self._count(file)
        self.days: dict[int, Day] = {}
        self._waiting: dict[int, list[bytes]] = {}

    def add(self, message: Message) -> None:
        """Take a message, unless a file has it already. What was added is on disk after `flush`."""
        milliseconds = max(message.milliseconds, 0)
        day = min((milliseconds // 1000 + LOCAL) // DAY, _LAST_DAY)
        if message.offset < self._covered.get(_day_text(day), {}).get(message.partition, 0):
            return
        call, records = _recorded(message)
        head = _HEAD.pack(milliseconds, message.offset, message.partition, records, len(call))
        self._waiting.setdefault(day, []).append(head + call)
        found = self.days.get(day)
        if found is None:
            found = self.days[day] = Day(self.folder / _OPEN / _day_text(day))
        found.messages += 1
        found.bytes += len(call)
        first, _ = found.offsets.get(message.partition, (message.offset, 0))
        found.offsets[message.partition] = first, message.offset

    def flush(self) -> None:
        with _writing(self.folder):
            for day, written in self._waiting.items():
                with self.days[day].path.open("ab") as file:
                    file.write(b"".join(written))
        self._waiting.clear()

    def close(self, day: int, positions: dict[int, int]) -> File:
        """Close an open day's file; `positions`: by partition, the offset that is read next."""
        self.flush()
        with _writing(self.folder):
            return self._close(day, positions)

    def _close(self, day: int, positions: dict[int, int]) -> File:
        found = self.days[day]
        text = _day_text(day)
        part = self._parts.get(text, 0) + 1
        stem = text if part == 1 else f"{text}.{part}"
        for name in (f"{stem}.parquet", f"{stem}.aside.ndjson"):
            if (self.folder / name).exists():
                msg = f"{self.folder / name} is there, and is not in the manifest: nothing was overwritten"
                raise Fatal(f"{msg}. Next: move it away, then motcua record --to {self.folder}")
        file = _write(self.folder / _OPEN, stem, found)
        del self.days[day]
        starts = [each.offsets for each in self.days.values()]
        following = {
            partition: min([position, *(at[partition][0] for at in starts if partition in at)])
            for partition, position in positions.items()
        }
        self.manifest = msgspec.structs.replace(
            self.manifest, next=following, files=[*self.manifest.files, file]
        )
        _sync(self.folder / _OPEN)
        _save(self.folder, self.manifest)
        # The manifest names it before it has its name: after a death in between, the next start does this.
        _settle(self.folder, file)
        self._count(file)
        found.path.unlink()
        return file

    def _count(self, file: File) -> None:
        self._parts[file.day] = self._parts.get(file.day, 0) + 1
        covered = self._covered.setdefault(file.day, {})
        for partition, (_, last) in file.offsets.items():
            covered[partition] = max(covered.get(partition, 0), last + 1)


@contextmanager
def opened(folder: Path, topic: str, found: topics.Topic, begins: dict[int, int]) -> Iterator[Folder]:
    """The folder of a topic, made where there is none; `begins`: the first offset of each partition now.

    Raises Fatal where it is of another topic, its manifest or a file is damaged, someone else writes there,
    or Kafka has dropped what was not yet recorded. Nothing is changed then.
    """
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # it names dossiers
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Fatal(
                f"another motcua record writes to {folder}. Next: stop it, or take another folder"
            ) from None
        manifest = load(folder)
        if manifest is None:
            manifest = Manifest(
                cluster_id=found.cluster_id,
                topic=topic,
                topic_id=found.topic_id,
                partitions=found.partitions,
                next=begins,
            )
            with _writing(folder):
                _save(folder, manifest)
        _check_source(folder, manifest, topic, found)
        for partition, following in manifest.next.items():
            if following < begins[partition]:
                gone = f"offsets {following} to {begins[partition] - 1} of partition {partition}"
                msg = f"Kafka has dropped {gone}, and {folder} does not have all of them"
                raise Fatal(f"{msg}. Next: motcua record --to another folder, which begins at what is left")
        for file in manifest.files:
            with _writing(folder):
                _settle(folder, file)
            problem = _problem(folder, file, whole=False)
            if problem:
                raise Fatal(
                    f"{problem}; nothing was written. Next: put it back from a copy, then record again"
                )
        with _writing(folder):
            shutil.rmtree(folder / _OPEN, ignore_errors=True)
            (folder / _OPEN).mkdir()
        yield Folder(folder, manifest)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """What the disk refuses is not Kafka's, and waiting does not mend it."""
    try:
        yield
    except OSError as error:
        msg = f"{folder} cannot be written: {error.strerror or error}"
        raise Fatal(
            f"{msg}. Next: make room or take another folder; what is in the manifest is whole"
        ) from error


def load(folder: Path) -> Manifest | None:
    """The manifest of a folder; None where nothing was recorded. Raises Fatal where it cannot be used."""
    path = folder / MANIFEST
    remedy = f"Next: put {MANIFEST} back from a copy, or record into another folder"
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        stray = next((name for name in sorted(folder.glob("*.parquet"))), None)
        if stray is not None:
            raise Fatal(
                f"{stray} is there, and no {MANIFEST} beside it; nothing was written. {remedy}"
            ) from None
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise Fatal(f"{path} cannot be read ({error}); nothing was written. {remedy}") from error
    if manifest.version != 1:
        raise Fatal(f"{path} is of version {manifest.version}, which this motcua does not know. {remedy}")
    return manifest


def check(folder: Path) -> tuple[Manifest | None, list[str]]:
    """The manifest, and what is wrong with the files that it names: missing, shorter, or other bytes."""
    manifest = load(folder)
    problems = [_problem(folder, file, whole=True) for file in manifest.files] if manifest else []
    return manifest, [problem for problem in problems if problem]


def record(
    folder: Path,
    *,
    brokers: str,
    topic: str,
    canary: tuple[bytes, bytes],
    now: Callable[[], int],
    stopped: Callable[[], bool],
    until_now: bool = False,
    told: Callable[[File], object] = lambda _: None,
    progress: Callable[[int, int], object] = lambda _, __: None,
    idle: int = IDLE,
    patience: int = 60,
) -> None:
    """Records until `stopped`, or with `until_now` until all that was there at the start is in closed files.

    `now`: seconds since 1970 UTC. `told` hears of each file that is closed; `progress` how many messages of
    those there are have been read. Raises Retry where Kafka is away (at the start, or with `until_now` for
    `patience` seconds; else it waits), Fatal as `opened`.
    """
    found = topics.describe(brokers, topic)
    if found is None:
        raise Fatal(f"topic {topic} does not exist at {brokers}. Next: motcua migrate")
    bounds = topics.bounds(brokers, topic, found.partitions)
    begins = {partition: begin for partition, (begin, _) in bounds.items()}
    with (
        opened(folder, topic, found, begins) as kept,
        topics.reaching(brokers),
        closing(_consumer(brokers)) as consumer,
    ):
        reading = _Reading(consumer, topic, kept.manifest.next, now())
        _check_ends(folder, reading.positions, bounds)
        targets = {partition: end for partition, (_, end) in bounds.items()}
        begun = sum(reading.positions.values())

        def close(days: list[int]) -> None:
            # A topic that was made anew meanwhile never has this id again, so what was read is of this one.
            again = topics.describe(brokers, topic)
            _check_source(folder, kept.manifest, topic, again)
            for day in days:
                told(kept.close(day, reading.positions))

        looked = moved = now()
        while not stopped():
            came = False
            for message in reading.poll(now()):
                came = True
                if (message.key, message.value) != canary:
                    kept.add(message)
            kept.flush()
            moment = now()
            progress(sum(reading.positions.values()) - begun, sum(targets.values()) - begun)
            if full := [
                day
                for day, held in kept.days.items()
                if held.messages >= MOST_MESSAGES or held.bytes >= MOST_BYTES
            ]:
                close(full)
            if until_now:
                if all(reading.positions[partition] >= end for partition, end in targets.items()):
                    close(sorted(kept.days))
                    return
                moved = moment if came else moved
                if moment - moved > patience:
                    raise Retry("kafka", f"{brokers} has sent nothing for {patience} s. Next: motcua status")
            elif moment - looked >= _LOOK_EVERY:
                looked = moment
                # While Kafka is away nothing is known to be complete; the consumer goes on by itself.
                with suppress(KafkaError, Retry):
                    if ripe := _ripe(kept, reading, moment, idle):
                        close(ripe)


class _Reading:
    """Reads every partition from its position on, and knows when each has last brought something."""

    def __init__(self, consumer: Any, topic: str, begins: dict[int, int], moment: int) -> None:
        self._consumer = consumer
        self._topic = topic
        self.positions = dict(begins)
        self.seconds = dict.fromkeys(begins, -1)
        self.heard = dict.fromkeys(begins, moment)
        every = {partition: TopicPartition(topic, partition) for partition in begins}
        consumer.assign(list(every.values()))
        for partition, begin in begins.items():
            consumer.seek(every[partition], begin)

    def poll(self, moment: int) -> Iterator[Message]:
        for there, messages in self._consumer.poll(timeout_ms=500).items():
            partition = there.partition
            for one in messages:
                self.positions[partition] = one.offset + 1
                yield Message(partition, one.offset, one.timestamp, one.key or b"", one.value or b"")
            self.seconds[partition] = messages[-1].timestamp // 1000
            self.heard[partition] = moment

    def waiting(self) -> set[int]:
        """The partitions that hold something not yet read. Raises KafkaError while Kafka is away."""
        every = [TopicPartition(self._topic, partition) for partition in self.positions]
        ends = self._consumer.end_offsets(every)
        return {there.partition for there, end in ends.items() if end > self.positions[there.partition]}


def _ripe(kept: Folder, reading: _Reading, moment: int, idle: int) -> list[int]:
    """The open days that are to be closed, in order."""
    if not kept.days:
        return []
    waiting = reading.waiting()
    found = []
    for day in sorted(kept.days):
        end = (day + 1) * DAY - LOCAL + GRACE
        if all(
            reading.seconds[partition] >= end
            or (moment >= end and partition not in waiting and moment - reading.heard[partition] >= idle)
            for partition in reading.positions
        ):
            found.append(day)
    ahead = (moment + LOCAL) // DAY + 1
    return [*found, *(day for day in sorted(kept.days) if day > ahead and day not in found)] if found else []


def _consumer(brokers: str) -> Any:
    return topics.reader(
        brokers,
        auto_offset_reset="none",
        fetch_max_bytes=_FETCH,
        max_partition_fetch_bytes=topics.LARGEST_MESSAGE,
        max_poll_records=2_000,
    )


def _recorded(message: Message) -> tuple[bytes, int]:
    """What is kept of a message and how many records it has; or why it is set aside, and `_ASIDE`."""
    why = "not JSON"
    if strict(message.value):
        try:
            found = split(message.value)
            if len(found) == 1 and found[0].key == message.key and message.milliseconds < _BEYOND:
                return found[0].value, found[0].records
            why = "published again it would have another key, or be several messages"
            if message.milliseconds >= _BEYOND:
                why = "its time is beyond the year 9999"
        except RecursionError:
            why = "nested too deeply"
        except msgspec.DecodeError:
            pass
    row = {
        "partition": message.partition,
        "offset": message.offset,
        "received_at": _time_text(message.milliseconds),
        "why": why,
        "bytes": len(message.value),
        "sha256": sha256(message.value).hexdigest(),
    }
    return encode(row), _ASIDE


_BEYOND: Final = ((_LAST_DAY + 1) * DAY - LOCAL) * 1000


def _time_text(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(0, _ZONE) + timedelta(milliseconds=min(max(milliseconds, 0), _BEYOND - 1))
    return moment.isoformat(timespec="milliseconds" if milliseconds % 1000 else "seconds")


@lru_cache(maxsize=4096)
def _day_text(day: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=_ZONE) + timedelta(days=day)).date().isoformat()


def _write(folder: Path, stem: str, day: Day) -> File:
    """The files of a day as the manifest will name them, whole and on disk, under their names in `folder`."""
    import numpy as np

    heads = array("q")
    records = 0
    with day.path.open("rb") as spool:
        position = 0
        while head := spool.read(_HEAD.size):
            milliseconds, offset, partition, count, length = _HEAD.unpack(head)
            position += _HEAD.size
            heads.extend((milliseconds, partition, offset, position, length, count == _ASIDE))
            records += max(count, 0)
            position += length
            spool.seek(position)
        rows = np.frombuffer(heads, np.int64).reshape(-1, 6)
        rows = rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]
        calls, asides = rows[rows[:, 5] == 0], rows[rows[:, 5] == 1]

        def bodies(chosen: Any) -> Iterator[tuple[str, bytes]]:
            for milliseconds, _, _, position, length, _ in map(np.ndarray.tolist, chosen):
                spool.seek(position)
                yield _time_text(milliseconds), spool.read(length)

        path = folder / f"{stem}.parquet"
        eventlog.write(path, ((received_at, Raw(call)) for received_at, call in bodies(calls)))
        aside = None
        if len(asides):
            beside = folder / f"{stem}.aside.ndjson"
            with beside.open("wb") as file:
                file.writelines(row + b"\n" for _, row in bodies(asides))
            aside = Aside(beside.name, len(asides), *_durable(beside))
    size, digest = _durable(path)
    return File(
        file=path.name,
        day=day.path.name,
        messages=len(calls),
        records=records,
        first_received_at=_time_text(int(rows[0, 0])),
        last_received_at=_time_text(int(rows[-1, 0])),
        offsets=dict(sorted(day.offsets.items())),
        bytes=size,
        sha256=digest,
        aside=aside,
    )


def _durable(path: Path) -> tuple[int, str]:
    """Length and hash of a file that is on disk now, whatever happens to the machine."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size, file_digest(file, "sha256").hexdigest()


def _save(folder: Path, manifest: Manifest) -> None:
    unfinished = folder / f".{MANIFEST}"
    with unfinished.open("wb") as file:
        file.write(msgspec.json.format(encode(manifest), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(folder / MANIFEST)
    _sync(folder)


def _settle(folder: Path, file: File) -> None:
    """Give a file that the manifest names its name, unless it has it."""
    for name in (file.file, *([file.aside.file] if file.aside else ())):
        if not (folder / name).exists() and (folder / _OPEN / name).exists():
            (folder / _OPEN / name).rename(folder / name)
            _sync(folder)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _problem(folder: Path, file: File, *, whole: bool) -> str:
    """What is wrong with a closed file, or "". `whole`: look at its bytes, not only at how many they are."""
    for each in (file, *([file.aside] if file.aside else ())):
        path = folder / each.file
        try:
            with path.open("rb") as stored:
                size = os.fstat(stored.fileno()).st_size
                if size != each.bytes:
                    return f"{path} has {size:,} bytes, and {each.bytes:,} by the manifest"
                if whole and file_digest(stored, "sha256").hexdigest() != each.sha256:
                    return f"{path} is not what was recorded: its sha256 is another one"
        except OSError as error:
            return f"{path}, which the manifest names, cannot be read: {error.strerror}"
    return ""


def _check_source(folder: Path, manifest: Manifest, topic: str, found: topics.Topic | None) -> None:
    if found is None:
        raise Fatal(f"topic {topic} is gone. Next: motcua migrate, then record into another folder")
    held = manifest.cluster_id, manifest.topic_id, manifest.partitions
    if held != (found.cluster_id, found.topic_id, found.partitions):
        msg = (
            f"{folder} holds topic {manifest.topic} ({manifest.topic_id}, {manifest.partitions} partitions), "
            f"and {topic} is another one now ({found.topic_id}, {found.partitions} partitions)"
        )
        raise Fatal(f"{msg}; nothing was written. Next: motcua record --to another folder")


def _check_ends(folder: Path, positions: dict[int, int], bounds: dict[int, tuple[int, int]]) -> None:
    for partition, position in positions.items():
        if position > bounds[partition][1]:
            msg = (
                f"partition {partition} ends at {bounds[partition][1]}, and {folder} has it up to {position}"
            )
            raise Fatal(f"Kafka has lost messages: {msg}. Next: motcua doctor; record into another folder")
