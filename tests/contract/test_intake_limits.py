"""The intake's bounds on a real broker: sizes, speed, slow and rude senders, and Kafka away."""

import asyncio
import contextlib
import gzip
import logging
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
from aiohttp import ClientResponse

from infra.local import broker
from producers import topics
from producers.portal import Limits
from rates.wire import MAX_BYTES
from tests.support.calls import NUMBER, UNIT, call, full
from tests.support.intake import BEARER, OTHER_TOKEN, TOKEN, numbers, said, sending, taken_again
from tests.support.topic import arrived

pytestmark = pytest.mark.stack


async def test_what_is_too_large_is_refused_however_it_is_wrapped(kafka: str, topic: str) -> None:
    large = call([full(MaTTHC="x" * MAX_BYTES)])

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 1 << 20):
            yield large[start : start + (1 << 20)]

    async with sending(kafka, topic) as client:
        zipped = {**BEARER, "Content-Encoding": "gzip"}
        for body in (BytesIO(large), pieces()):
            answer = await client.post("/", data=body, headers=BEARER)
            assert (answer.status, (await said(answer))["reason"]) == (413, "too_large")
        for body in (gzip.compress(large), b"no gzip at all"):
            answer = await client.post("/", data=body, headers=zipped)
            assert (answer.status, (await said(answer))["reason"]) == (415, "compressed")
        answer = await client.post("/", data=call([full()] * 501), headers=BEARER)
        assert (answer.status, (await said(answer))["reason"]) == (413, "too_many_records")

        small = call([full()] * 500)
        answer = await client.post("/", data=small, headers=BEARER)
        assert (await said(answer))["taken"] == 500
        just = call([full(MaTTHC="")])
        just = call([full(MaTTHC="x" * (MAX_BYTES - len(just)))])
        assert len(just) == MAX_BYTES
        assert (await said(await client.post("/", data=BytesIO(just), headers=BEARER)))["taken"] == 1
    assert max(len(message.value) for message in arrived(kafka, topic)) <= MAX_BYTES


async def test_a_token_that_sends_too_fast_is_told_when_to_come_back_and_others_are_not_slowed(
    kafka: str, topic: str
) -> None:
    elapsed = [0.0]
    limits = Limits(calls_a_second=0.5, calls_at_once=3)
    async with sending(kafka, topic, limits=limits, elapsed=lambda: elapsed[0]) as client:

        async def status(token: str = TOKEN, madonvi: str = UNIT) -> tuple[int, str | None]:
            answer = await client.post("/", data=call([], madonvi=madonvi, session=token))
            await said(answer)
            return answer.status, answer.headers.get("Retry-After")

        assert [await status() for _ in range(4)] == [(200, None)] * 3 + [(429, "2")]
        assert await status(OTHER_TOKEN, "H26") == (200, None)
        elapsed[0] = 1.0
        assert await status() == (429, "1")
        elapsed[0] = 2.0
        assert [await status() for _ in range(2)] == [(200, None), (429, "2")]
        elapsed[0] = 1000.0
        assert [(await status())[0] for _ in range(4)] == [200, 200, 200, 429]


async def test_a_body_that_does_not_come_is_not_waited_for(kafka: str, topic: str) -> None:
    async def dripping() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with sending(kafka, topic, limits=Limits(body_seconds=0.1)) as client:
        answer = await client.post("/", data=dripping(), headers=BEARER)
        assert (answer.status, (await said(answer))["reason"]) == (408, "too_slow")
        assert (await client.post("/", data=call([full()]), headers=BEARER)).status == 200


async def test_a_sender_that_fills_its_room_leaves_room_for_the_others(kafka: str, topic: str) -> None:
    async with sending(kafka, topic, limits=Limits(room=2 * MAX_BYTES)) as client:
        assert client.port
        large = call([full(MaTTHC="x" * (MAX_BYTES - 1000))])
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(_request(large, "Expect: 100-continue")[: -len(large)])
        assert b"100" in await reader.readuntil(b"\r\n\r\n")
        answer = await client.post("/", data=call([full()]), headers=BEARER)
        assert (answer.status, (await said(answer))["reason"]) == (503, "busy")
        assert answer.headers["Retry-After"] == "1"
        other = {"Authorization": f"Bearer {OTHER_TOKEN}"}
        assert (await client.post("/", data=call([], madonvi="H26"), headers=other)).status == 200
        writer.write(large)
        assert b" 200 " in await reader.readline()
        writer.close()
        await writer.wait_closed()
        assert (await client.post("/", data=call([full()]), headers=BEARER)).status == 200


async def test_other_addresses_and_verbs_answer_in_the_same_shape(kafka: str, topic: str) -> None:
    async with sending(kafka, topic) as client:
        for verb, address, status in (("GET", "/", 405), ("PUT", "/", 405), ("POST", "/mapi/g", 404)):
            answer = await client.request(verb, address)
            await said(answer)
            assert answer.status == status
        assert (await client.get("/livez")).status == 200
        assert (await client.get("/readyz")).status == 200


async def test_a_sender_that_hangs_up_costs_nothing(
    kafka: str, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with sending(kafka, topic) as client:
        assert client.port
        for cut in (b"POST / HTTP/1.1\r\n", b"\x16\x03\x01 no HTTP", _request(call([full()]))[:-5]):
            _, writer = await asyncio.open_connection("127.0.0.1", client.port)
            writer.write(cut)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        assert (await client.post("/", data=call([full()]), headers=BEARER)).status == 200
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert len(arrived(kafka, topic)) == 1


def _request(body: bytes, *more: str) -> bytes:
    lines = ("POST / HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}", f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, *more, "", "")).encode() + body


async def test_without_kafka_it_says_so_in_time_and_takes_calls_again_when_kafka_is_back(
    tmp_path: Path,
) -> None:
    with contextlib.ExitStack() as life:
        alone = life.enter_context(broker.running(tmp_path))
        topics.create(alone.address, "dossiers")
        async with sending(alone.address, "dossiers", patience=1.0) as client:

            async def send(number: int) -> ClientResponse:
                sent = call([full(MaHoSo=f"H18.21-231002-{number:04}")])
                return await client.post("/", data=sent, headers=BEARER)

            await taken_again(lambda: send(1))
            await asyncio.to_thread(life.close)
            for answer in await asyncio.gather(*(send(number) for number in range(2, 42))):
                assert (answer.status, (await said(answer))["reason"]) == (503, "away")
                assert answer.headers["Retry-After"] == "5"
            assert (await client.get("/readyz")).status == 503
            assert (await client.get("/livez")).status == 200
            port = int(alone.address.rpartition(":")[2])
            manager = broker.running(tmp_path, port)
            await asyncio.to_thread(manager.__enter__)
            life.push(manager)
            await taken_again(lambda: send(42))
            assert (await client.get("/readyz")).status == 200
            found = await asyncio.to_thread(arrived, alone.address, "dossiers")
            # What was turned away may have arrived all the same; what was taken has.
            assert {"H18.21-231002-0001", "H18.21-231002-0042"} <= set(numbers(found))
            await asyncio.to_thread(life.close)


async def test_it_starts_while_kafka_is_away_and_ends_while_kafka_is_away() -> None:
    async with sending("127.0.0.1:1", "dossiers", patience=0.5) as client:
        answer = await client.post("/", data=call([full()]), headers=BEARER)
        assert (answer.status, (await said(answer))["reason"]) == (503, "away")
        assert (await client.get("/readyz")).status == 503


async def test_a_topic_that_is_made_anew_takes_calls_at_once(kafka: str, topic: str) -> None:
    async with sending(kafka, topic) as client:
        for _ in range(3):
            assert (await client.post("/", data=call([full()]), headers=BEARER)).status == 200
        topics.delete(kafka, topic)
        topics.create(kafka, topic)
        await taken_again(lambda: client.post("/", data=call([full()]), headers=BEARER))
    assert set(numbers(arrived(kafka, topic))) == {NUMBER}
