"""Fixtures that several kinds of tests share: a real engine, a real broker, a whole stack."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from infra.local import broker
from producers import topics
from tests.support.stack import Stack, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first: two workers are both busy to the end."""
    items.sort(key=lambda item: item.get_closest_marker("stack") is None)


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """A command that ran in this process has sent logs to a stream that is closed with its test."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def engine_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real ClickHouse engine behind its HTTP interface, empty at first."""
    data = tmp_path_factory.mktemp("engine")
    with subprocess.Popen(
        [sys.executable, "-m", "infra.local.engine", "--data", str(data), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("engine ready on "), line
        yield f"http://{line.split()[-1]}"
        process.terminate()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Kafka broker, host:port."""
    with broker.running(tmp_path_factory.mktemp("broker")) as running_broker:
        yield running_broker.address


@pytest.fixture
def topic(kafka: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A topic of the test's own."""
    name = request.node.name.split("[")[0][:200]
    topics.create(kafka, name)
    yield name
    topics.delete(kafka, name)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A whole embedded stack of the test module's own."""
    data: Path = tmp_path_factory.mktemp("stack")
    with running(data) as up:
        yield up
