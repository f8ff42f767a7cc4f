"""The embedded engine keeps a ClickHouse server's promises over HTTP, as clickhouse-connect sees them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import http.client
import io
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import clickhouse_connect
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, StreamFailureError

ROOT = Path(__file__).parents[2]
COLUMNS = "a UInt64, b LowCardinality(String), day Date, at DateTime, links Array(String)"


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[str]
    port: int

    def client(self, **options: object) -> Client:
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, **{"database": "motcua", "compress": False} | options
        )

    def send(
        self, body: bytes, headers: dict[str, str], method: str = "POST", **params: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, "/?" + urlencode(params), body, headers)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()


def command(data: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "infra.local.engine", "--data", str(data), "--port", "0", *options]


@contextlib.contextmanager
def engine(data: Path, *options: str, env: dict[str, str] | None = None) -> Iterator[Running]:
    process = subprocess.Popen(
        command(data, *options), stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | (env or {})
    )
    assert process.stdout is not None
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            assert selector.select(60), "the engine did not become ready in a minute"
        line = process.stdout.readline()
        ready = re.fullmatch(r"engine ready on \S+:(\d+)\n", line)
        assert ready, f"not the ready line: {line!r}"
        yield Running(process, int(ready[1]))
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with engine(tmp_path_factory.mktemp("engine")) as one:
        yield one


@pytest.fixture
def client(running: Running) -> Iterator[Client]:
    one = running.client()
    yield one
    one.close()


@pytest.fixture
def table(client: Client, request: pytest.FixtureRequest) -> Iterator[str]:
    name = "t_" + re.sub(r"\W", "_", request.node.name)
    client.command(f"CREATE TABLE {name} ({COLUMNS}) ENGINE = MergeTree ORDER BY a")
    yield name
    client.command(f"DROP TABLE IF EXISTS {name}")


def eventually(is_so: Callable[[], bool], within: float = 30) -> None:
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.02)


def rows(first: int, count: int) -> list[list[object]]:
    day = dt.date(2023, 10, 2)
    at = dt.datetime.fromisoformat("2023-10-02T09:30:00+00:00")
    return [[first + i, f"H{i % 7}", day, at, ["x"] * (i % 3)] for i in range(count)]


def refusal(error: pytest.ExceptionInfo[DatabaseError]) -> int | None:
    return error.value.code


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_inserted_lists_come_back_whatever_packs_them(running: Running, table: str, compress: object) -> None:
    packed = running.client(compress=compress)
    sent = rows(0, 40_000)
    assert packed.insert(table, sent, column_names=["a", "b", "day", "at", "links"]).written_rows == 40_000
    got = packed.query(f"SELECT * FROM {table} ORDER BY a").result_rows
    # The driver gives times of UTC without a zone. Compared first: a difference of 40,000 rows takes minutes.
    same = [[*row[:3], row[3].replace(tzinfo=dt.UTC), row[4]] for row in got] == sent
    assert same
    packed.close()


@pytest.mark.parametrize("compress", [False, "lz4", "zstd"])
def test_inserted_arrow_comes_back_as_arrow(running: Running, table: str, compress: object) -> None:
    packed = running.client(compress=compress)
    sent = pa.table({"a": pa.array(range(5_000), pa.uint64()), "b": [f"x{i % 9}" for i in range(5_000)]})
    packed.insert_arrow(table, sent)
    got = packed.query_arrow(f"SELECT a, toString(b) AS b FROM {table} ORDER BY a", use_strings=True)
    assert got.to_pydict() == sent.to_pydict()
    packed.close()


def test_arrow_streams_larger_than_one_piece_are_taken_whole(client: Client, table: str) -> None:
    sent = pa.table({"a": pa.array(range(200_000), pa.uint64()), "b": ["civil_status"] * 200_000})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, sent.schema) as writer:
        writer.write_table(sent, max_chunksize=10_000)
    client.raw_insert(table, ["a", "b"], sink.getvalue(), fmt="ArrowStream")
    assert client.command(f"SELECT count(), sum(a) FROM {table}") == ["200000", str(sum(range(200_000)))]


def test_values_and_inline_formats_are_inserted_as_a_server_does(client: Client, table: str) -> None:
    client.command(f"INSERT INTO {table} (a, b) VALUES (1, 'it''s (one'), (2, 'two')")
    client.command(f"INSERT INTO {table} (a) VALUES ({{n:UInt64}} + 1)", parameters={"n": 2})
    client.command(f'INSERT INTO {table} (a, b) FORMAT JSONEachRow {{"a": 4, "b": "four"}}')
    client.command(f"INSERT INTO {table} (a, b) SELECT a + 4, b FROM {table}")
    got = client.query(f"SELECT a, b FROM {table} ORDER BY a LIMIT 5").result_rows
    assert got == [(1, "it's (one"), (2, "two"), (3, ""), (4, "four"), (5, "it's (one")]


def test_an_empty_result_keeps_its_names_and_types(client: Client, table: str) -> None:
    sql = f"WITH 1 AS one SELECT a, b AS body, links, one FROM {table} WHERE a > 5 ORDER BY a -- none"
    result = client.query(sql, settings={"max_threads": 1})
    assert result.result_rows == []
    assert result.column_names == ("a", "body", "links", "one")
    assert [kind.name for kind in result.column_types][:3] == [
        "UInt64",
        "LowCardinality(String)",
        "Array(String)",
    ]
    assert client.query("SHOW TABLES LIKE 'nothing at all'").column_names == ("name",)
    assert client.query(f"SELECT a FROM {table} LIMIT 0").column_names == ("a",)


def test_an_empty_result_has_the_columns_of_what_a_view_is_now(client: Client, table: str) -> None:
    sql = f"SELECT * FROM {table}_view"
    for columns in ("a", "a, b", "b AS body"):
        client.command(f"CREATE OR REPLACE VIEW {table}_view AS SELECT {columns} FROM {table} WHERE a > 5")
        for _ in range(2):
            names = client.query(sql).column_names
            assert names == tuple(one.split(" AS ")[-1] for one in columns.split(", "))
    client.command(f"DROP VIEW {table}_view")
    chosen = f"SELECT {{one:Identifier}} AS chosen FROM {table} WHERE a > 5"
    kinds = [client.query(chosen, parameters={"one": one}).column_types[0].name for one in ("a", "b")]
    assert kinds == ["UInt64", "LowCardinality(String)"]


def test_parameters_of_every_shape_arrive_as_sent(client: Client) -> None:
    sent = {
        "text": "it's a \\ tab\t, a line\n and Điện Biên",
        "keys": ["H18.21-231002-0147", "it's"],
        "day": dt.date(2023, 10, 2),
        "none": None,
    }
    sql = "SELECT {text:String}, {keys:Array(String)}, {day:Date}, {none:Nullable(UInt8)}"
    assert client.query(sql, parameters=sent).result_rows == [tuple(sent.values())]


def test_parameters_travel_in_a_form_too(running: Running) -> None:
    form = running.client(form_encode_query_params=True)
    keys = list(range(100_000))
    got = form.query("SELECT length({keys:Array(UInt32)}) AS n", parameters={"keys": keys})
    assert got.result_rows == [(100_000,)]
    form.close()


def test_settings_hold_for_their_query_and_no_other(client: Client) -> None:
    sql = "SELECT getSetting('max_block_size')"
    assert client.query(sql, settings={"max_block_size": 7}).result_rows == [(7,)]
    assert client.query(sql).result_rows[0][0] > 7
    assert client.query(f"{sql} SETTINGS max_block_size = 9").result_rows == [(9,)]
    with pytest.raises(DatabaseError) as refused:
        client.raw_query("SELECT 1 SETTINGS no_such_setting = 1")
    assert refusal(refused) == 115


def test_a_statement_of_megabytes_passes_with_its_max_query_size(client: Client) -> None:
    text = "H18.21-231002-0147," * 150_000
    sql = f"SELECT length(splitByChar(',', '{text}'))"
    with pytest.raises(DatabaseError) as refused:
        client.query(sql)
    assert refusal(refused) == 62
    assert client.query(sql, settings={"max_query_size": 16 << 20}).result_rows == [(150_001,)]


@pytest.mark.parametrize(
    ("sql", "code", "status"),
    [
        ("SELECT * FROM no_such_table", 60, 404),
        ("SELECT no_such_column", 47, 400),
        ("SELEKT 1", 62, 400),
        ("CREATE TABLE t (a UInt8) ENGINE = NoSuchEngine", 56, 500),
        ("SELECT throwIf(1)", 395, 500),
        ("SELECT 1; SELECT 2", 62, 400),
        ("SELECT 1 INTO OUTFILE 'x.csv'", 36, 400),
        ("SET max_threads = 1", 48, 501),
        ("DROP DATABASE default", 36, 400),
    ],
)
def test_an_error_is_the_engines_own_with_its_code_and_status(
    running: Running, sql: str, code: int, status: int
) -> None:
    response, body = running.send(sql.encode(), {}, database="motcua")
    assert (response.status, response.getheader("X-ClickHouse-Exception-Code")) == (status, str(code))
    assert body.startswith(f"Code: {code}. DB::Exception: ".encode())
    assert b"(version " in body


def test_an_unknown_database_is_the_engines_error_81(running: Running) -> None:
    for name in ("nowhere", "now here", "a?b"):
        response, _ = running.send(b"SELECT 1", {}, database=name)
        assert (response.status, response.getheader("X-ClickHouse-Exception-Code")) == (404, "81")


def test_a_bad_insert_leaves_nothing_behind(client: Client, table: str) -> None:
    with pytest.raises(DatabaseError) as refused:
        client.raw_insert(table, ["a"], b"1\n2\nthree\n", fmt="CSV")
    assert refusal(refused) == 117
    assert client.command(f"SELECT count() FROM {table}") == 0


@pytest.mark.parametrize(
    ("declared", "settings", "code"),
    [
        ("(a UInt64, CONSTRAINT small CHECK a < 3) ENGINE = MergeTree ORDER BY a", {}, 469),
        (
            "(a UInt64) ENGINE = MergeTree PARTITION BY a ORDER BY a",
            {"max_partitions_per_insert_block": 2},
            252,
        ),
        (
            "(a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS parts_to_throw_insert = 1",
            {},
            252,
        ),
    ],
)
def test_an_insert_that_the_engine_will_not_store_is_never_acknowledged(
    client: Client, declared: str, settings: dict[str, int], code: int
) -> None:
    client.command("DROP TABLE IF EXISTS picky")
    client.command(f"CREATE TABLE picky {declared}")
    client.command("SYSTEM STOP MERGES picky")
    for value in (0, 1):
        with contextlib.suppress(DatabaseError):
            client.insert("picky", [[value]], column_names=["a"], settings=settings)
    stored = client.command("SELECT count() FROM picky")
    with pytest.raises(DatabaseError) as refused:
        client.insert("picky", [[1], [2], [3]], column_names=["a"], settings=settings)
    assert refusal(refused) == code
    assert client.command("SELECT count() FROM picky") == stored


def test_a_long_insert_hears_why_it_was_refused(client: Client) -> None:
    with pytest.raises(DatabaseError) as refused:
        client.raw_insert("no_such_table", ["a"], b"1\n" * 20_000_000, fmt="CSV")
    assert refusal(refused) == 60


def test_a_retried_insert_with_its_token_counts_once(client: Client) -> None:
    client.command(
        "CREATE TABLE once (a UInt64) ENGINE = MergeTree ORDER BY a"
        " SETTINGS non_replicated_deduplication_window = 100"
    )
    for _ in range(2):
        client.insert("once", [[1]], column_names=["a"], settings={"insert_deduplication_token": "it's 1"})
    client.insert("once", [[1]], column_names=["a"], settings={"insert_deduplication_token": "it's 2"})
    assert client.command("SELECT count() FROM once") == 2


def test_an_insert_whose_client_leaves_in_the_middle_is_not_committed(
    running: Running, client: Client, table: str
) -> None:
    with socket.create_connection(("127.0.0.1", running.port)) as plug:
        head = f"INSERT INTO {table} (a) FORMAT CSV\n".encode()
        plug.sendall(
            b"POST /?database=motcua HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n\r\n"
            + head
            + b"1\n" * 3_000_000
        )
    # A round trip behind it on the same door: it is over when a later insert is seen.
    client.raw_insert(table, ["a"], b"7\n", fmt="CSV")
    eventually(
        lambda: client.command("SELECT count() FROM system.processes WHERE query ILIKE 'INSERT%'") == 0
    )
    assert client.query(f"SELECT a FROM {table}").result_rows == [(7,)]


def test_a_big_result_streams_block_by_block(client: Client) -> None:
    seen = total = 0
    sql = "SELECT number, toString(number) AS text FROM numbers(3000000)"
    with client.query_column_block_stream(sql) as stream:
        for numbers, _ in stream:
            seen += len(numbers)
            total += sum(numbers)
    assert (seen, total) == (3_000_000, sum(range(3_000_000)))


def test_a_client_that_leaves_ends_its_streamed_query(running: Running, client: Client) -> None:
    with socket.create_connection(("127.0.0.1", running.port)) as plug:
        sql = b"SELECT number AS endless FROM system.numbers"
        plug.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(sql), sql))
        assert plug.recv(12) == b"HTTP/1.1 200"
    running_now = "SELECT count() FROM system.processes WHERE query LIKE '%AS endless FROM%numbers'"
    eventually(lambda: client.command(running_now) == 0)


def test_an_error_in_the_middle_of_a_stream_is_raised_with_its_text(client: Client) -> None:
    sql = "SELECT throwIf(number = 2500000, 'here it broke') FROM numbers(3000000)"
    with (
        pytest.raises(StreamFailureError, match="here it broke"),
        client.query_row_block_stream(sql) as stream,
    ):
        for _ in stream:
            pass


def test_an_error_after_rows_has_its_status_when_the_client_waits_for_the_end(client: Client) -> None:
    with pytest.raises(DatabaseError, match="here it broke") as refused:
        client.query("SELECT throwIf(number = 900000, 'here it broke') FROM numbers(1000000)")
    assert refusal(refused) == 395


async def test_the_async_client_reads_while_others_insert(
    running: Running, client: Client, table: str
) -> None:
    one = await clickhouse_connect.get_async_client(
        host="127.0.0.1", port=running.port, database="motcua", compress=False
    )
    names = ["a", "b", "day", "at", "links"]
    inserts = [one.insert(table, rows(n * 2_000, 2_000), column_names=names) for n in range(10)]
    reads = [one.query(f"SELECT count(), uniqExact(a) FROM {table}") for _ in range(10)]
    done = await asyncio.gather(*inserts, *reads)
    assert all(count == unique for count, unique in (result.result_rows[0] for result in done[10:]))
    assert (await one.query(f"SELECT count() FROM {table}")).result_rows == [(20_000,)]
    await one.close()


def test_an_insert_and_a_ping_do_not_wait_for_readers(running: Running, client: Client, table: str) -> None:
    """More slow reads than there are threads for them; what comes after them overtakes them."""
    slow = "SELECT sleepEachRow(1) FROM numbers(3) SETTINGS max_block_size = 1"
    ended: list[float] = []

    def read() -> None:
        running.send(slow.encode(), {}, wait_end_of_query="1")
        ended.append(time.monotonic())

    readers = [threading.Thread(target=read) for _ in range(20)]
    for reader in readers:
        reader.start()
    eventually(lambda: sum(reader.is_alive() for reader in readers) == 20)
    client.insert(table, rows(0, 10), column_names=["a", "b", "day", "at", "links"])
    assert client.ping()
    overtook = time.monotonic()
    for reader in readers:
        reader.join()
    assert overtook < max(ended)


def test_a_reader_reads_but_neither_writes_nor_leaves_the_engine(
    running: Running, client: Client, table: str, tmp_path: Path
) -> None:
    client.command(f"INSERT INTO {table} (a) VALUES (1)")
    secret = tmp_path / "secret.csv"
    secret.write_text("42\n")
    reader = running.client(username="grafana")
    assert reader.query(f"SELECT count() FROM {table}").result_rows == [(1,)]
    assert reader.query("SELECT sum(number) FROM numbers(4)").result_rows == [(6,)]
    hidden = "\\x66ile"
    for sql in [
        f"INSERT INTO {table} (a) VALUES (2)",
        f"INSERT INTO {table} (a) SELECT 2",
        f"DROP TABLE {table}",
        "CREATE TABLE more (a UInt8) ENGINE = Memory",
        "SYSTEM FLUSH LOGS",
        "KILL QUERY WHERE 1",
        "BACKUP DATABASE motcua TO File('stolen.tar')",
        f"SELECT file('{secret}')",
        f"SELECT `file`('{secret}')",
        f"SELECT file/**/ -- \n ('{secret}')",
        f"SELECT $$'$$, file('{secret}'), $$'$$",
        f"SELECT /* /* */ ' */ file('{secret}') /* ' */",
        f"SELECT \u201cfile\u201d('{secret}')",
        f"SELECT \u201c{hidden}\u201d('{secret}')",
        f"EXPLAIN PLAN SELECT file('{secret}')",
        f"SELECT arrayMap(file, ['{secret}'])",
        f"SELECT * APPLY file FROM (SELECT '{secret}')",
        f"SELECT * APPLY `{hidden}` FROM (SELECT '{secret}')",
        f"SELECT `{hidden}`('{secret}')",
        f"SELECT * FROM file('{secret}')",
        f"SELECT * FROM `{secret}`",
        f"SELECT * FROM default.`{secret}`",
        f"SELECT * FROM sqlite('{secret}', 'x')",
        "SELECT * FROM s3('http://127.0.0.1:1/x.csv')",
        "SELECT * FROM url('http://127.0.0.1:1/x.csv')",
        "SELECT * FROM remote('127.0.0.1:1', system.one)",
        "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
        "SELECT * FROM executable('x.sh', TSV, 'a String')",
        "SELECT * FROM Python(sql)",
        "SELECT * FROM `Python`(sql)",
        "SELECT * FROM sql",
        f"SELECT * FROM loop(file('{secret}'))",
        f"SELECT * FROM view(SELECT file('{secret}'))",
        f"DESCRIBE TABLE file('{secret}')",
        "SELECT * FROM filesystem('/')",
        f"INSERT INTO FUNCTION file('{tmp_path / 'out.csv'}') SELECT 1",
        f"EXPLAIN SELECT 1 INTO OUTFILE '{tmp_path / 'out.csv'}'",
        f"SHOW TABLES INTO OUTFILE '{tmp_path / 'out.csv'}'",
        f"SELECT 1 INTO OUTFILE '{tmp_path / 'out.csv'}'",
        "SELECT 1 SETTINGS max_memory_usage = 0",
        "SELECT 1; DROP TABLE x",
        "SELEKT \t1",
    ]:
        with pytest.raises(DatabaseError) as refused:
            reader.raw_query(sql)
        assert refusal(refused) in {36, 60, 62, 164}, sql
    asked = {"user": "grafana", "max_memory_usage": "0", "max_execution_time": "5"}
    _, got = running.send(
        b"SELECT getSetting('max_memory_usage'), getSetting('max_execution_time')", {}, **asked
    )
    assert got == f"{512 << 20}\t5\n".encode()
    for name, most in (("max_execution_time", "60"), ("max_threads", "2")):
        for wanted in ("0", "1000000", "-1", "1e9", "'0'"):
            _, got = running.send(
                f"SELECT getSetting('{name}')".encode(), {}, user="grafana", **{name: wanted}
            )
            assert got.decode().strip() == most, (name, wanted)
    for name in ("readonly", "allow_ddl"):
        response, _ = running.send(
            b"CREATE TABLE more (a UInt8) ENGINE = Memory", {}, user="grafana", **{name: "0"}
        )
        assert response.status == 403
    for database in ("motcua", "default"):
        response, _ = running.send(
            b"SELECT * FROM {t:Identifier}", {}, user="grafana", database=database, param_t=str(secret)
        )
        assert response.status == 404
    assert not (tmp_path / "out.csv").exists()
    assert client.query(f"SELECT a FROM {table}").result_rows == [(1,)]
    reader.close()


def test_a_get_and_readonly_only_read(running: Running, table: str) -> None:
    for method, params in (("GET", {}), ("POST", {"readonly": "1"})):
        query = f"INSERT INTO {table} (a) VALUES (1)"
        response, _ = running.send(b"", {}, method, query=query, database="motcua", **params)
        assert (response.status, response.getheader("X-ClickHouse-Exception-Code")) == (403, "164")
        response, body = running.send(b"", {}, method, query="SELECT 1", **params)
        assert (response.status, body) == (200, b"1\n")


def test_a_page_in_a_browser_is_kept_out(running: Running) -> None:
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        for method in ("POST", "GET"):
            response, _ = running.send(b"", headers, method, query="SELECT 1")
            assert response.status == 403


def test_a_query_beyond_its_memory_fails_and_the_engine_lives(client: Client) -> None:
    with pytest.raises(DatabaseError) as refused:
        client.query(
            "SELECT length(groupArray(toString(number))) FROM numbers(3000000)",
            settings={"max_memory_usage": 50_000_000},
        )
    assert refusal(refused) == 241
    assert client.command("SELECT 1") == 1


def test_a_dictionary_by_date_range_follows_its_table(client: Client) -> None:
    client.command(
        "CREATE TABLE bodies (unit String, valid_from Date, valid_to Date, body String)"
        " ENGINE = MergeTree ORDER BY (unit, valid_from)"
    )
    client.command(
        "CREATE DICTIONARY body_of (unit String, valid_from Date, valid_to Date, body String)"
        " PRIMARY KEY unit"
        " SOURCE(CLICKHOUSE(QUERY 'SELECT unit, valid_from, valid_to, body FROM motcua.bodies'))"
        " LAYOUT(COMPLEX_KEY_RANGE_HASHED()) RANGE(MIN valid_from MAX valid_to) LIFETIME(0)"
    )
    first, second = dt.date(2020, 1, 1), dt.date(2025, 7, 1)
    last = dt.date(2149, 6, 6)
    columns = ["unit", "valid_from", "valid_to", "body"]
    client.insert("bodies", [["H18.21", first, dt.date(2025, 6, 30), "H18"]], column_names=columns)
    client.command("SYSTEM RELOAD DICTIONARY motcua.body_of")
    sql = "SELECT dictGetOrDefault('motcua.body_of', 'body', tuple({u:String}), {d:Date}, '?')"

    def body(unit: str, day: dt.date) -> object:
        return client.query(sql, parameters={"u": unit, "d": day}).result_rows[0][0]

    assert body("H18.21", dt.date(2025, 6, 30)) == "H18"
    assert body("H18.21", second) == "?"
    client.insert("bodies", [["H18.21", second, last, "H19"]], column_names=columns)
    client.command("SYSTEM RELOAD DICTIONARY motcua.body_of")
    assert [body("H18.21", day) for day in (dt.date(2025, 6, 30), second)] == ["H18", "H19"]
    assert body("H99", second) == "?"


def test_a_backup_comes_back_and_tables_change_places(client: Client, table: str) -> None:
    client.insert(table, rows(0, 100), column_names=["a", "b", "day", "at", "links"])
    client.command(f"BACKUP TABLE {table} TO File('{table}.tar')")
    client.command(f"RESTORE TABLE {table} AS {table}_again FROM File('{table}.tar')")
    client.command(f"TRUNCATE TABLE {table}")
    client.command(f"EXCHANGE TABLES {table} AND {table}_again")
    assert client.command(f"SELECT count() FROM {table}") == 100
    client.command(f"DROP TABLE {table}_again")
    with pytest.raises(DatabaseError):
        client.command(f"BACKUP TABLE {table} TO File('/tmp/outside.tar')")


def test_the_hello_of_clickhouse_go_is_answered_in_its_revision(running: Running) -> None:
    sql = b"SELECT displayName(), version(), revision(), timezone()"
    _, block = running.send(sql, {}, default_format="Native", client_protocol_version="54460")
    assert block.startswith(
        b"\x01\x00\x02\xff\xff\xff\xff\x00\x04\x01\rdisplayName()\x06String\x00\x06motcua"
    )
    assert b"revision()\x06UInt32\x00\x00\x00\x00\x00" in block
    assert block.endswith(b"timezone()\x06String\x00\x03UTC")


def test_formats_and_pings_of_plain_http(running: Running) -> None:
    assert running.send(b"", {}, "GET")[1] == b"Ok.\n"
    _, body = running.send(b"SELECT 1 AS one FORMAT JSONCompact", {})
    assert json.loads(body)["data"] == [[1]]
    _, body = running.send(b"SELECT number AS n FROM numbers(100000) FORMAT CSVWithNames", {})
    assert body.count(b'"n"') == 1
    response, body = running.send(b"SELECT 1 AS one", {}, default_format="JSONEachRow")
    assert (response.getheader("X-ClickHouse-Format"), body) == ("JSONEachRow", b'{"one":1}\n')


def test_acknowledged_rows_survive_a_kill_and_the_directory_opens_again(tmp_path: Path) -> None:
    acknowledged = 0
    warm = threading.Event()
    with engine(tmp_path) as first:
        client = first.client()
        client.command("CREATE TABLE kept (a UInt64) ENGINE = MergeTree ORDER BY a")
        killer = threading.Thread(target=lambda: warm.wait(60) and first.process.kill())
        killer.start()
        with contextlib.suppress(ClickHouseError):
            while True:
                client.insert("kept", [[acknowledged * 1_000 + i] for i in range(1_000)], column_names=["a"])
                acknowledged += 1
                if acknowledged == 5:
                    warm.set()
        killer.join()
        assert first.process.wait(30) == -signal.SIGKILL
    assert acknowledged >= 5
    with engine(tmp_path) as second:
        client = second.client()
        got = client.query("SELECT count(), uniqExact(a) FROM kept").result_rows[0]
        assert got[0] == got[1]
        assert got[0] in (acknowledged * 1_000, (acknowledged + 1) * 1_000)
        assert client.query("SELECT engine FROM system.databases WHERE name = 'default'").result_rows == [
            ("Dictionary",)
        ]


def test_a_second_process_is_refused_in_one_line(tmp_path: Path) -> None:
    with engine(tmp_path) as first:
        second = subprocess.run(command(tmp_path), capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert second.returncode == 3
        assert second.stdout == ""
        assert second.stderr.count("\n") == 1
        assert f"in use by process {first.process.pid}" in second.stderr
        other = tmp_path / "other"
        taken = subprocess.run(
            [*command(other)[:-1], str(first.port)], capture_output=True, text=True, cwd=ROOT, timeout=60
        )
        assert taken.returncode == 1
        assert taken.stderr.startswith(f"engine: port {first.port} on 127.0.0.1 is taken: ")
        assert taken.stderr.count("\n") == 1


def test_a_stop_is_clean_while_a_query_runs(tmp_path: Path) -> None:
    with engine(tmp_path) as one:

        def ask() -> None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                one.send(b"SELECT count() FROM system.numbers WHERE NOT ignore(number)", {})

        busy = threading.Thread(target=ask)
        busy.start()
        client = one.client()
        eventually(lambda: client.command("SELECT count() FROM system.processes") == 2)
        client.close()
        one.process.send_signal(signal.SIGINT)
        assert one.process.wait(30) == 0
        busy.join(30)


def test_an_open_host_needs_a_password_and_then_asks_for_it(tmp_path: Path) -> None:
    refused = subprocess.run(
        command(tmp_path, "--host", "0.0.0.0"), capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "MOTCUA_ENGINE_PASSWORD" in refused.stderr
    secrets = {"MOTCUA_ENGINE_PASSWORD": "writes", "MOTCUA_ENGINE_READER_PASSWORD": "reads"}
    with engine(tmp_path, "--host", "0.0.0.0", env=secrets) as one:
        for user, password in (("default", ""), ("default", "reads"), ("grafana", "writes"), ("grafana", "")):
            with pytest.raises(DatabaseError) as shut:
                one.client(username=user, password=password)
            assert refusal(shut) == 516
        one.client(username="default", password="writes").command("CREATE TABLE t (a UInt8) ENGINE = Memory")
        assert one.client(username="grafana", password="reads").command("SELECT count() FROM t") == 0
        response, _ = one.send(b"SELECT 1", {"X-ClickHouse-User": "default", "X-ClickHouse-Key": "writes"})
        assert response.status == 200
        response, _ = one.send(b"SELECT 1", {})
        assert response.status == 403
