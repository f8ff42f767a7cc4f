"""ClickHouse's errors, code by code: what passes by itself is Retry, everything else ends the worker."""

import aiohttp
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from rates.failures import Fatal, Retry
from sinks.client import RETRIED, failure


@pytest.mark.parametrize("code", sorted(RETRIED))
def test_what_passes_by_itself_is_tried_again(code: int) -> None:
    error = failure(DatabaseError(f"Code: {code}. DB::Exception: for now", code=code))
    assert isinstance(error, Retry)
    assert str(code) in str(error)


@pytest.mark.parametrize("code", [16, 27, 47, 53, 60, 62, 81, 349, 497, 516])
def test_a_wrong_schema_statement_or_right_is_fatal_and_says_what_is_next(code: int) -> None:
    error = failure(DatabaseError(f"Code: {code}. DB::Exception: no", code=code))
    assert isinstance(error, Fatal)
    assert str(code) in str(error)
    assert "Next: motcua doctor" in str(error)


def test_252_is_two_errors() -> None:
    parts = DatabaseError("Code: 252. DB::Exception: Too many parts (300 with average size)", code=252)
    partitions = DatabaseError(
        "Code: 252. DB::Exception: Too many partitions for single INSERT block (more than 100)", code=252
    )
    assert isinstance(failure(parts), Retry)
    assert isinstance(failure(partitions), Fatal)


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
