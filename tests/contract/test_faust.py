"""What the worker relies on in faust-streaming and aiokafka, private names too: upgrades must pass here."""

import inspect
from importlib.metadata import version

import faust
import faust.tables
from faust.transport.consumer import Consumer as AnyConsumer
from faust.transport.drivers import aiokafka as driver

from streams.intake import App, Consumer, Tables, Transport


def test_faust_is_exactly_the_version_that_was_read() -> None:
    assert version("faust-streaming") == "0.15.3"
    assert version("aiokafka") == "0.14.0"


def test_the_method_that_is_replaced_is_the_one_that_the_fetcher_calls() -> None:
    assert "consumer._drain_messages(self)" in inspect.getsource(faust.transport.consumer.Fetcher)
    assert list(inspect.signature(AnyConsumer._drain_messages).parameters) == ["self", "fetcher"]
    assert list(inspect.signature(Consumer._drain_messages).parameters) == ["self", "fetcher"]


def test_a_poll_gives_whole_lists_by_partition_and_is_told_to_seek_after_a_rebalance() -> None:
    source = inspect.getsource(AnyConsumer._wait_next_records)
    assert "self._getmany(" in source
    assert "return records, active_partitions" in source
    assert "seek_to_committed" in inspect.getsource(AnyConsumer.perform_seek)


def test_tables_start_as_ours_do_but_for_the_second_that_they_wait() -> None:
    source = inspect.getsource(faust.tables.TableManager.on_start)
    ours = inspect.getsource(Tables.on_start)
    said = [line.strip() for line in ours.splitlines() if line.strip().startswith("await")]
    assert [line for line in said if line not in source] == []
    assert source.count("await ") == len(said) + 1


def test_a_poll_brings_no_more_than_its_consumer_is_told_to() -> None:
    source = inspect.getsource(driver.AIOKafkaConsumerThread.getmany)
    assert "_consumer = self._ensure_consumer()" in source
    assert "max_records=_consumer._max_poll_records" in source


def test_a_commit_goes_through_one_method_that_answers_whether_it_was_accepted() -> None:
    assert list(inspect.signature(driver.Consumer._commit).parameters) == ["self", "offsets"]
    assert "return False" in inspect.getsource(driver.AIOKafkaConsumerThread._commit)


def test_the_app_makes_our_transport_and_that_our_consumer() -> None:
    app = App("contract", broker="kafka://127.0.0.1:1", store="memory://", autodiscover=False)
    transport = app._new_transport()
    assert isinstance(transport, Transport)
    assert transport.Consumer is Consumer
