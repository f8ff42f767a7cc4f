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


def test_a_rebalance_lets_the_consumer_say_where_to_read_on() -> None:
    assert "seek_to_committed" in inspect.getsource(AnyConsumer.perform_seek)
    assert "consumer.perform_seek()" in inspect.getsource(faust.tables.recovery.Recovery._resume_streams)
    revoked = inspect.getsource(faust.transport.drivers.aiokafka.ConsumerRebalanceListener)
    assert "on_partitions_revoked" in revoked


def test_tables_start_as_ours_do_but_for_the_second_that_they_wait() -> None:
    source = inspect.getsource(faust.tables.TableManager.on_start)
    ours = inspect.getsource(Tables.on_start)
    said = [line.strip() for line in ours.splitlines() if line.strip().startswith("await")]
    assert [line for line in said if line not in source] == []
    assert source.count("await ") == len(said) + 1


def test_a_commit_goes_through_one_method_that_answers_whether_it_was_accepted() -> None:
    assert list(inspect.signature(driver.Consumer._commit).parameters) == ["self", "offsets"]
    assert "return False" in inspect.getsource(driver.AIOKafkaConsumerThread._commit)


def test_the_app_makes_our_transport_and_that_our_consumer() -> None:
    app = App("contract", broker="kafka://127.0.0.1:1", store="memory://", autodiscover=False)
    transport = app._new_transport()
    assert isinstance(transport, Transport)
    assert transport.Consumer is Consumer
