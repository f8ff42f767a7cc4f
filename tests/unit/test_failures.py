"""Errors of ClickHouse and Kafka, code by code: what passes by itself, whose rows are at fault, what ends."""

import inspect

import aiohttp
import aiokafka.errors
import kafka.errors
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from rates.failures import CLICKHOUSE, KAFKA, Fatal, Refused, Retry, kafka_failure
from sinks.client import failure


@pytest.mark.parametrize("code", sorted(CLICKHOUSE))
def test_each_named_code_of_clickhouse_becomes_its_failure_and_is_told(code: int) -> None:
    kind, meaning = CLICKHOUSE[code]
    error = failure(DatabaseError(f"Code: {code}. DB::Exception: for now", code=code))
    assert type(error) is kind
    assert str(code) in str(error)
    assert meaning in str(error)


@pytest.mark.parametrize("code", [16, 44, 47, 53, 60, 62, 81, 252_000, 497, 516])
def test_a_wrong_schema_statement_or_right_is_fatal_and_says_what_is_next(code: int) -> None:
    error = failure(DatabaseError(f"Code: {code}. DB::Exception: no", code=code))
    assert type(error) is Fatal
    assert str(code) in str(error)
    assert "Next: motcua doctor" in str(error)


@pytest.mark.parametrize("code", [159, 164, 209, 210, 236, 241, 242, 243, 252, 319, 999])
def test_an_engine_that_is_short_of_something_is_waited_for(code: int) -> None:
    assert isinstance(failure(DatabaseError(f"Code: {code}. DB::Exception: for now", code=code)), Retry)


@pytest.mark.parametrize("code", [27, 69, 117, 131, 321, 349, 469])
def test_rows_that_the_engine_will_not_take_are_told_apart(code: int) -> None:
    assert isinstance(failure(DatabaseError(f"Code: {code}. DB::Exception: no", code=code)), Refused)


def test_252_is_two_errors() -> None:
    parts = DatabaseError("Code: 252. DB::Exception: Too many parts (300 with average size)", code=252)
    partitions = DatabaseError(
        "Code: 252. DB::Exception: Too many partitions for single INSERT block (more than 100)", code=252
    )
    assert isinstance(failure(parts), Retry)
    assert type(failure(partitions)) is Fatal


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("connection refused"),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientConnectionResetError("cut"),
        ConnectionRefusedError(111, "refused"),
        TimeoutError(),
    ],
)
def test_an_answer_that_never_came_is_tried_again(error: Exception) -> None:
    assert isinstance(failure(error), Retry)


@pytest.mark.parametrize("status", [401, 403, 404, 413])
def test_a_door_that_refuses_is_fatal(status: int) -> None:
    error = failure(DatabaseError(f"HTTP driver received HTTP status {status}, server response: no"))
    assert isinstance(error, Fatal)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_door_that_is_busy_is_tried_again(status: int) -> None:
    error = failure(DatabaseError(f"HTTP driver received HTTP status {status}, server response: busy"))
    assert isinstance(error, Retry)


def _errors(module: object) -> list[type[Exception]]:
    return [
        kind
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, Exception) and getattr(kind, "errno", None)
    ]


@pytest.mark.parametrize("module", [kafka.errors, aiokafka.errors])
def test_each_named_code_of_kafka_becomes_its_failure_in_both_clients(module: object) -> None:
    seen = {kind.errno: kind for kind in _errors(module) if kind.errno in KAFKA}  # type: ignore[attr-defined]
    assert len(seen) > 25
    for code, kind in seen.items():
        failed = kafka_failure(kind(), "127.0.0.1:9092")
        assert type(failed) is KAFKA[code][0], kind
        assert f"({code})" in str(failed)


@pytest.mark.parametrize(
    "error",
    [
        aiokafka.errors.KafkaConnectionError("Unable to bootstrap"),
        kafka.errors.KafkaConnectionError("gone"),
        kafka.errors.KafkaTimeoutError("slow"),
        aiokafka.errors.CommitFailedError("the group has rebalanced"),
        ConnectionRefusedError(111, "refused"),
    ],
)
def test_a_broker_that_cannot_be_reached_is_waited_for(error: Exception) -> None:
    assert isinstance(kafka_failure(error, "127.0.0.1:9092"), Retry)


@pytest.mark.parametrize(
    "error",
    [
        aiokafka.errors.TopicAuthorizationFailedError(),
        kafka.errors.UnsupportedVersionError(),
        aiokafka.errors.OffsetOutOfRangeError(),
        aiokafka.errors.UnsupportedCodecError("zstd"),
    ],
)
def test_what_the_brokers_will_never_give_is_fatal(error: Exception) -> None:
    failed = kafka_failure(error, "127.0.0.1:9092")
    assert type(failed) is Fatal
    assert "Next: motcua doctor" in str(failed)
