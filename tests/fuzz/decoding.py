"""Whether `rates.wire.decode` keeps its promises for one message, and for a million.

It never raises; the same message gives the same answer; every record is accepted or rejected, each rejection
with a reason of the closed list, and the reasons are those of the independent recount; nothing personal is
in what it says; time and memory are bounded by the size of the message.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec

from rates.register import Register
from rates.wire import Decoded, Reason, Rejection, decode
from tests.fuzz.inputs import BRINK, MARK, Input, make
from tests.recount.reading import strict_json
from tests.recount.recount import DECLARED, Recount
from tests.recount.register import SHIPPED, register_in

MOST_SECONDS: Final = 5.0
"""Of the processor, for one message; the slowest known, eight mebibytes of something, takes one."""
MOST_MEMORY: Final = 120
"""Bytes for each byte of a large message; the worst known is a call of nothing but empty records."""
LARGE: Final = 1_000_000
CHUNK: Final = 2_000
PERSONAL: Final = (*MARK.split()[:2], MARK.split()[-1])
KEPT: Final = ("fields", "head")
LATEST: Final = (1 << 32) - 1
WHOLE: Final = frozenset({"not_json", "too_large", "too_deep", "too_many_records", "not_a_call"})
"""The reasons of a whole message."""


class Fault(NamedTuple):
    """A promise that was broken, by the input that shows it."""

    number: int
    kind: str
    what: str


class Decoding(NamedTuple):
    """What became of some inputs: by kind, how many; by (kind, reason), how many records or messages.

    `seconds` of the processor in `decode` alone; `slowest` of one message, with its index; `rss` in bytes.
    """

    inputs: Counter[str]
    accepted: Counter[str]
    rejected: Counter[tuple[str, str]]
    seconds: float
    slowest: tuple[float, int]
    rss: int
    faults: list[Fault]


@cache
def _registers() -> tuple[Register, Any]:
    return Register.shipped(), register_in(SHIPPED)


def check(item: Input) -> tuple[Decoded, float, list[str]]:
    """What a message is decoded to, in how many seconds of the processor, and which promises that breaks."""
    register, independent = _registers()
    received_at = min(item.timestamp // 1000, LATEST)
    faults: list[str] = []
    large = len(item.value or b"") >= LARGE
    began = time.process_time()
    decoded = decode(item.value, item.key, received_at, register)
    took = time.process_time() - began
    if took > MOST_SECONDS:
        faults.append(f"{took:.1f} s for {len(item.value or b'')} bytes")
    if large:
        tracemalloc.start()
    again = decode(item.value, item.key, received_at, register)
    if large:
        (_, peak), size = tracemalloc.get_traced_memory(), len(item.value or b"")
        tracemalloc.stop()
        if peak > MOST_MEMORY * size:
            faults.append(f"{peak} bytes of memory for {size}")
    if again != decoded:
        faults.append("another answer the second time")
    events, rejections = decoded
    faults.extend(_personal(rejections))
    faults.extend(_accounted(item, decoded))
    recounted = Recount(independent)
    recounted.message(item.key, item.value, item.timestamp)
    reasons = Counter(rejection.reason.value for rejection in rejections)
    if item.kind == BRINK and (reasons == {"too_deep": 1} or recounted.rejections == {"too_deep": 1}):
        return decoded, took, faults
    if reasons != recounted.rejections:
        faults.append(f"rejected {dict(reasons)}, recounted {dict(recounted.rejections)}")
    if {event.number for event in events} != set(recounted.dossiers):
        faults.append("other dossiers than recounted")
    return decoded, took, faults


def _accounted(item: Input, decoded: Decoded) -> Iterator[str]:
    """Every record once, or the message as a whole."""
    events, rejections = decoded
    for rejection in rejections:
        if rejection.reason not in set(Reason):
            yield f"{rejection.reason!r} is no reason"
    if any(rejection.reason in WHOLE for rejection in rejections):
        if events or len(rejections) != 1 or rejections[0].index or rejections[0].fields:
            yield "a message refused as a whole, and something else"
        return
    try:
        call: Any = strict_json(item.value or b"")
    except RecursionError:
        if item.kind != BRINK:
            raise
        return
    indexes = [event.index for event in events] + [rejection.index for rejection in rejections]
    if sorted(indexes) != list(range(len(call["data"]))):
        yield f"{len(call['data'])} records, told of {sorted(indexes)}"


def _personal(rejections: Iterable[Rejection]) -> Iterator[str]:
    """What is told of a record: declared fields alone, and nothing of what stood in others."""
    for rejection in rejections:
        told = msgspec.structs.asdict(rejection)
        said = " ".join(map(str, told.values()))
        if any(word in said or ascii(word)[1:-1] in said for word in PERSONAL):
            yield f"personal data in {rejection!r}"
        kept = [json.loads(told[name], parse_int=str) for name in KEPT if told.get(name)]
        if unknown := set(_names(kept)) - DECLARED:
            yield f"undeclared fields are kept: {sorted(unknown)}"


def _names(kept: object) -> Iterator[str]:
    if isinstance(kept, dict):
        for name, held in kept.items():
            yield name
            yield from _names(held)
    elif isinstance(kept, list):
        for held in kept:
            yield from _names(held)


def decode_range(seed: int, indexes: range) -> Decoding:
    """Check so many inputs; a fault does not end it."""
    found = Decoding(Counter(), Counter(), Counter(), 0.0, (0.0, -1), 0, [])
    seconds, slowest = 0.0, found.slowest
    for index in indexes:
        item = make(seed, index)
        try:
            (events, rejections), took, faults = check(item)
        except Exception as error:  # noqa: BLE001  # any exception is what this looks for
            found.faults.append(Fault(index, item.kind, f"raised {error!r:.300}"))
            continue
        seconds += took
        slowest = max(slowest, (took, index))
        found.inputs[item.kind] += 1
        found.accepted[item.kind] += len(events)
        found.rejected.update((item.kind, rejection.reason.value) for rejection in rejections)
        found.faults.extend(Fault(index, item.kind, what) for what in faults)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return found._replace(seconds=seconds, slowest=slowest, rss=rss)


def decode_many(seed: int, inputs: int, processes: int = 2) -> Iterator[Decoding]:
    """Check the first so many inputs of a seed, in chunks as they are done."""
    chunks = [(seed, range(at, min(at + CHUNK, inputs))) for at in range(0, inputs, CHUNK)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(_chunk, chunks)


def _chunk(chunk: tuple[int, range]) -> Decoding:
    return decode_range(*chunk)


def together(parts: Iterable[Decoding]) -> Decoding:
    whole = Decoding(Counter(), Counter(), Counter(), 0.0, (0.0, -1), 0, [])
    for part in parts:
        whole.inputs.update(part.inputs)
        whole.accepted.update(part.accepted)
        whole.rejected.update(part.rejected)
        whole.faults.extend(part.faults)
        whole = whole._replace(
            seconds=whole.seconds + part.seconds,
            slowest=max(whole.slowest, part.slowest),
            rss=max(whole.rss, part.rss),
        )
    return whole
