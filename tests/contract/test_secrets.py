"""Passwords and people's data stay where they belong: a stack with a password is searched from end to end."""

import json
import os
import socket
import stat
import struct
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import pytest
from kafka import KafkaConsumer

from infra.local.trouble import WrongUse
from motcua.settings import load, origins
from tests.support.stack import Stack, running

pytestmark = pytest.mark.stack

PASSWORD = "k7-engine-and-nobody-elses"
READER = "w4-reader-of-the-page"
PEOPLE = ("Nguyễn Văn Bí Mật", "0912987654", "001088123456", "nguyen.bi.mat@thu.example", "12 Ngõ Kín")
PERSONAL = {
    "ChuHoSo": PEOPLE[0],
    "SoDienThoai": PEOPLE[1],
    "SoCMND": PEOPLE[2],
    "Email": PEOPLE[3],
    "DiaChi": PEOPLE[4],
    "TenDangNhap": PEOPLE[3],
    "TrichYeuHoSo": f"Hồ sơ của {PEOPLE[0]}, {PEOPLE[1]}",
}
RECORD = {
    "MaHoSo": "H18.21-231002-0001",
    "MaTTHC": "1.003560",
    "NgayTiepNhan": "20231002083000",
    "NgayHenTra": "20231009000000",
    "TrangThaiHoSo": "4",
    "DanhSachGiayToKetQua": [{"TenGiayTo": PEOPLE[0], "DuongDanTepTinKetQua": "https://kq.example/1.pdf"}],
    **PERSONAL,
}


def called(*records: Mapping[str, object] | str, service: str = "DongBoHoSoMC", **more: object) -> str:
    sent = {"service": service, "madonvi": "H18.21", "isUpdating": "True", "data": records, **more}
    return json.dumps({"received_at": "2023-10-02T09:00:00+07:00", "call": sent}, ensure_ascii=False)


LOG = (
    called(RECORD),
    called({**RECORD, "MaHoSo": "H17.05-231002-0001"}, madonvi="H17.05"),
    called({**RECORD, "MaHoSo": f"{PEOPLE[2]} {PEOPLE[0]}"}),
    called({**RECORD, "NgayTiepNhan": PEOPLE[0]}),
    called({**RECORD, "TrangThaiHoSo": [PEOPLE[0]]}),
    called({**RECORD, "MaTTHC": {"x": PEOPLE[1]}}),
    called({"MaHoSo": "H18.21-231002-0001", "TrangThai": "4", "ThoiDiemXuLy": "20231003080000", **PERSONAL}),
    called(PEOPLE[0]),
    called(service=PEOPLE[0]),
    called(RECORD, isUpdating={"of": PEOPLE[0]}),
    f'{{"call": "{PEOPLE[0]}"}}',
    f"{PEOPLE[0]} {PEOPLE[1]}",
)
"""Sound and broken in every way: wherever a declared field is not abused, nothing of a person may pass."""
ABUSED = (2, 3, 8)
"""The lines that put a person into a declared field: what is declared is kept, see docs/security.md."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that asks for passwords, at its engine and at its page, and was sent what it must not keep."""
    folder = tmp_path_factory.mktemp("secrets")
    password = folder / "password"
    password.write_text(f"{PASSWORD}\n")
    readers = folder / "readers.toml"
    readers.write_text(f'[an]\nsha256 = "{sha256(READER.encode()).hexdigest()}"\nbody = "H18"\n')
    log = folder / "people.ndjson"
    log.write_text(
        "\n".join(line for at, line in enumerate(LOG) if at not in ABUSED) + "\n", encoding="utf-8"
    )
    with running(
        folder / "data",
        MOTCUA_CLICKHOUSE_PASSWORD_FILE=str(password),
        MOTCUA_PAGE_READERS=str(readers),
        MOTCUA_LOG_LEVEL="debug",
    ) as stack:
        done = stack.done("publish", log, "--wait")
        assert done.returncode == 0, done.stderr
        assert not [one for one in PEOPLE if one in done.stdout + done.stderr]
        yield stack


def ask(url: str, user: str = "", password: str = "", body: bytes | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body)
    if user:
        pair = b64encode(f"{user}:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {pair}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def test_an_engine_with_a_password_serves_its_own_parts_and_nobody_without_it(told: Stack) -> None:
    (row,) = told.json("rates", "--definition", "ER-766-PORTAL")["rows"]
    assert row["denominator"] == 2
    where = told.address("clickhouse") + "/?database=motcua"
    count = b"SELECT count() FROM dossiers FINAL"
    assert ask(where, "default", PASSWORD, count) == (200, b"2\n")
    for user, password in (("", ""), ("default", ""), ("default", PASSWORD + "x"), ("grafana", PASSWORD)):
        assert ask(where, user, password, count)[0] == 403
        assert ask(where + "&query=SELECT+1", user, password)[0] == 403
    without = {n: v for n, v in told.environment.items() if n != "MOTCUA_CLICKHOUSE_PASSWORD_FILE"}
    shut = Stack(told.data_dir, without | {"MOTCUA_CLICKHOUSE_PASSWORD_FILE": ""}).done("rates")
    assert shut.returncode in (1, 3)
    assert "Next: " in shut.stderr
    assert "Traceback" not in shut.stderr


def test_the_page_of_a_stack_asks_for_its_readers(told: Stack) -> None:
    address = told.address("page")
    assert ask(f"{address}/")[0] == 401
    assert ask(f"{address}/healthz")[0] == 401
    status, seen = ask(f"{address}/?lang=en", "an", READER)
    assert (status, b"Dien Bien" in seen, b"H17" in seen) == (200, True, False)


def parts(stack: Stack) -> list[Path]:
    """The processes of a stack, by the environment that all of them were given."""
    mark = f"MOTCUA_DATA_DIR={stack.data_dir}\0".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes() and process.name != str(os.getpid()):
                found.append(process)
        except OSError:
            continue
    assert len(found) >= 5, "supervisor, broker, engine, worker, page"
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_process_of_a_stack_carries_a_secret_where_others_see_it(told: Stack) -> None:
    for process in parts(told):
        line = (process / "cmdline").read_bytes()
        assert PASSWORD.encode() not in line, line
        assert stat.S_IMODE((process / "environ").stat().st_mode) == 0o400


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_of_a_stack_listens_beyond_loopback(told: Stack) -> None:
    theirs = set()
    for process in parts(told):
        for handle in (process / "fd").iterdir():
            try:
                theirs.add(str(handle.readlink()))
            except OSError:
                continue
    listening = []
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] != "0A" or f"socket:[{fields[9]}]" not in theirs:
                continue
            text = fields[1].partition(":")[0]
            words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
            listening.append(socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words)))
    assert len(listening) >= 4, "broker, its controller, engine, page"
    assert set(listening) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_secrets_are_in_no_file_and_no_answer(told: Stack) -> None:
    shown = told.run("config") + told.run("config", "--json") + told.run("status", "--json")
    shown += told.done("doctor").stdout
    assert PASSWORD not in shown
    assert READER not in shown
    for file in told.data_dir.rglob("*"):
        if file.is_file():
            text = file.read_bytes()
            assert PASSWORD.encode() not in text, file
            assert READER.encode() not in text, file
    assert stat.S_IMODE(told.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((told.data_dir / "run.json").stat().st_mode) == 0o600


def topic(stack: Stack) -> Iterator[bytes]:
    """All that Kafka holds of the stack's topic, keys, values and headers."""
    reader = KafkaConsumer(
        "dossiers",
        bootstrap_servers=stack.address("kafka"),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=5_000,
    )
    try:
        for message in reader:
            yield b"".join([message.key or b"", message.value or b"", *(v for _, v in message.headers or ())])
    finally:
        reader.close()


def test_of_people_nothing_is_kept_in_topic_tables_or_files(told: Stack) -> None:
    """Compression hides text in files: topic and tables are read through their own doors."""
    people = [one.encode() for one in PEOPLE] + [json.dumps(PEOPLE[0])[1:-1].encode()]

    def clean(where: str, text: bytes) -> None:
        assert not [one for one in people if one in text], (where, text[:2_000])

    held = list(topic(told))
    assert any(b"H18.21-231002-0001" in one for one in held)
    for one in held:
        clean("topic", one)
    where = told.address("clickhouse")
    listing = b"SELECT name FROM system.tables WHERE database = 'motcua' AND engine LIKE '%MergeTree%'"
    names = ask(where, "default", PASSWORD, listing)[1].decode().split()
    assert {"dossiers", "tallies", "dead_letters"} <= set(names)
    rejected = 0
    for name in names:
        status, rows = ask(f"{where}/?database=motcua", "default", PASSWORD, f"SELECT * FROM {name}".encode())
        assert status == 200
        clean(name, rows)
        assert name != "dossiers" or b"H18.21-231002-0001" in rows
        rejected += len(rows.splitlines()) if name == "dead_letters" else 0
    assert rejected >= 3
    for file in told.data_dir.rglob("*"):
        if file.is_file():
            clean(str(file), file.read_bytes())


def test_an_installation_limited_to_a_body_answers_about_no_other(told: Stack) -> None:
    theirs = Stack(told.data_dir, {**told.environment, "MOTCUA_BODY": "H18"})
    assert {row["unit"] for row in told.json("rates", "--by", "unit")["rows"]} == {"H18.21", "H17.05"}
    assert {row["unit"] for row in theirs.json("rates", "--by", "unit")["rows"]} == {"H18.21"}
    assert {row["unit"] for row in theirs.json("dossiers")["rows"]} == {"H18.21"}
    assert theirs.json("dossiers", "--unit", "H17.05")["rows"] == []
    for command in (("dossiers", "--body", "H17"), ("scoreboard",)):
        refused = theirs.done(*command)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "limited to H18" in refused.stderr


def test_an_open_page_without_readers_starts_neither_alone_nor_with_the_stack(tmp_path: Path) -> None:
    for command in (("page",), ("up", "--detach")):
        refused = Stack(tmp_path, {"MOTCUA_PAGE_HOST": "0.0.0.0"}).done(*command)
        assert refused.returncode == 2
        assert "MOTCUA_PAGE_READERS" in refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No settings but those that a test makes."""
    for name in [name for name in os.environ if name.startswith("MOTCUA_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "meant"),
    [("MOTCUA_BDOY", "MOTCUA_BODY"), ("MOTCUA_PAGE_READER", "MOTCUA_PAGE_READERS"), ("MOTCUA_XYZZY", "")],
)
def test_a_variable_that_sets_nothing_is_an_error_that_names_the_nearest(
    bare: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    bare.setenv(name, "H18")
    with pytest.raises(WrongUse, match="there is no such setting") as refused:
        load()
    assert f"variable {name}: " in str(refused.value)
    assert (f"did you mean {meant}?" in str(refused.value)) == bool(meant)
    assert "H18" not in str(refused.value)


def test_a_line_of_motcua_toml_that_sets_nothing_is_an_error_that_names_the_nearest(
    bare: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "motcua.toml").write_text('bdoy = "H18"\n')
    with pytest.raises(
        WrongUse, match=r"'bdoy' from motcua.toml: there is no such setting; did you mean body\?"
    ):
        load()


def test_variables_that_only_parts_read_are_no_settings_and_no_errors(bare: pytest.MonkeyPatch) -> None:
    for name in ("MOTCUA_CACHE_DIR", "MOTCUA_ENGINE_PASSWORD", "MOTCUA_ENGINE_READER_PASSWORD"):
        bare.setenv(name, "x")
    assert load().body == ""


def test_a_password_comes_from_a_file_without_its_end_of_line_and_is_never_shown(
    bare: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(f" {PASSWORD} \r\n")
    bare.setenv("MOTCUA_CLICKHOUSE_PASSWORD_FILE", str(file))
    settings = load()
    assert settings.clickhouse_password.get_secret_value() == f" {PASSWORD} "
    bare.delenv("MOTCUA_CLICKHOUSE_PASSWORD_FILE")
    bare.setenv("MOTCUA_CLICKHOUSE_PASSWORD", PASSWORD)
    for shown in (repr(settings), str(settings), str(load()), str(origins()), settings.model_dump_json()):
        assert PASSWORD not in shown
    ((value, origin),) = [row[1:3] for row in origins() if row[0] == "clickhouse_password"]
    assert (set(value), origin) == ({"*"}, "MOTCUA_CLICKHOUSE_PASSWORD")


@pytest.mark.parametrize(
    ("content", "also", "said"),
    [
        (None, "", "No such file"),
        (b"", "", "is empty"),
        (b"\n", "", "is empty"),
        (b"\xff\xfe", "", "not UTF-8"),
        (b"one", "two", "are both set"),
    ],
)
def test_a_file_of_a_password_that_cannot_be_used_is_refused(
    bare: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, also: str, said: str
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    bare.setenv("MOTCUA_CLICKHOUSE_PASSWORD_FILE", str(file))
    if also:
        bare.setenv("MOTCUA_CLICKHOUSE_PASSWORD", also)
    with pytest.raises(WrongUse, match=f"{said}.*Next: "):
        load()


def test_an_address_with_a_password_in_it_is_refused_without_being_repeated(
    bare: pytest.MonkeyPatch,
) -> None:
    bare.setenv("MOTCUA_CLICKHOUSE", f"http://default:{PASSWORD}@127.0.0.1:8123")
    with pytest.raises(WrongUse) as refused:
        load()
    assert PASSWORD not in str(refused.value)


def test_a_command_that_fails_shows_no_password(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare.setenv("MOTCUA_CLICKHOUSE_PASSWORD", PASSWORD)
    with socket.socket() as shut:
        shut.bind(("127.0.0.1", 0))
        bare.setenv("MOTCUA_CLICKHOUSE", f"http://127.0.0.1:{shut.getsockname()[1]}")
        bare.setenv("MOTCUA_LOG_LEVEL", "debug")
        done = subprocess.run(
            [sys.executable, "-m", "motcua", "rates"],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 3
    assert PASSWORD not in done.stdout + done.stderr
