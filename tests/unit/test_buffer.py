"""The buffer between fetching and folding: bounded, in order, and forgetful after a rebalance."""

import asyncio

import pytest

from rates.failures import Fatal
from streams.events import Message
from streams.offsets import Buffer, Limits


def messages(partition: int, first: int, count: int, size: int = 10) -> dict[int, list[Message]]:
    return {
        partition: [Message(partition, first + i, 0, b"H18", b"x" * size) for i in range(count)],
    }


def buffer(**limits: float) -> Buffer:
    return Buffer(Limits(**{"age": 0.01, **limits}))  # type: ignore[arg-type]


async def test_a_batch_is_due_when_it_is_old_enough() -> None:
    waiting = buffer()
    await waiting.offer(messages(0, 5, 2), 0)
    batch = await waiting.next_batch()
    assert batch is not None
    assert [message.offset for message in batch.messages] == [5, 6]


async def test_a_batch_is_cut_at_its_limit_and_the_rest_waits() -> None:
    waiting = buffer(messages=48)
    await waiting.offer(messages(0, 0, 100), 0)
    sizes = [len((await waiting.next_batch()).messages) for _ in range(4)]  # type: ignore[union-attr]
    assert sizes == [3, 48, 48, 1]


async def test_the_first_batch_of_an_epoch_is_small_so_that_its_rows_are_soon_there() -> None:
    waiting = buffer(messages=48)
    for epoch in range(2):
        await waiting.offer(messages(0, 0, 60), epoch)
        sizes = [len((await waiting.next_batch()).messages) for _ in range(2)]  # type: ignore[union-attr]
        assert sizes == [3, 48]
        waiting.new_epoch()


async def test_one_message_larger_than_the_limit_is_a_batch_of_its_own() -> None:
    waiting = buffer(bytes=50)
    await waiting.offer(messages(0, 0, 2, size=1_000), 0)
    batch = await waiting.next_batch()
    assert batch is not None
    assert len(batch.messages) == 1


async def test_offering_waits_while_the_buffer_is_full() -> None:
    waiting = buffer(buffered_bytes=100)
    await waiting.offer(messages(0, 0, 1), 0)
    offering = asyncio.create_task(waiting.offer(messages(0, 1, 1), 0))
    await asyncio.sleep(0)
    assert not offering.done()
    await waiting.next_batch()
    await offering


async def test_a_rebalance_forgets_what_was_fetched_and_lets_nobody_wait() -> None:
    waiting = buffer(buffered_bytes=100)
    await waiting.offer(messages(0, 0, 1), 0)
    offering = asyncio.create_task(waiting.offer(messages(0, 1, 1), 0))
    await asyncio.sleep(0)
    waiting.new_epoch()
    await offering
    await waiting.offer(messages(0, 7, 1), 1)
    batch = await waiting.next_batch()
    assert batch is not None
    assert (batch.epoch, [message.offset for message in batch.messages]) == (1, [7])


@pytest.mark.parametrize("next_offset", [5, 1, 0])
async def test_offsets_that_jump_forth_or_back_are_fatal(next_offset: int) -> None:
    waiting = buffer()
    await waiting.offer(messages(0, 0, 3), 0)
    with pytest.raises(Fatal, match=f"from offset 3 to {next_offset}: the topic was"):
        await waiting.offer(messages(0, next_offset, 1), 0)


async def test_a_closed_buffer_gives_no_batch_and_takes_no_message() -> None:
    waiting = buffer()
    await waiting.offer(messages(0, 0, 3), 0)
    waiting.close()
    await waiting.offer(messages(0, 3, 1), 0)
    assert await waiting.next_batch() is None
