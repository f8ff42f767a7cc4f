"""Who may read the page and of which body: on the real engine, through every address and every panel."""

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from dashboards.page import page
from dashboards.panels import BODIES, DOSSIERS, PANELS, REJECTIONS, UNITS
from dashboards.readers import Readers
from rates.cohort import Cell, cohort_of
from rates.definitions import DEFINITIONS, FORMS
from rates.dossier import Dossier
from rates.effects import ChangeRow, DossierRow, Reached, TallyRow, counted, version
from rates.register import Register
from rates.tallies import days_of, lanes, mask_of
from rates.wire import E_RESULT, RESULT_REQUIRED
from sinks import migrate, reads, reference
from sinks.client import Database, connect
from sinks.cohorts import CohortStore
from tests.support.alarmed import alarmed

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY = 86_400
OCTOBER_2023 = 1_696_233_600
MAY_2025 = 1_747_728_000
NOW = MAY_2025 + 10 * DAY
MOVED = "G04.01"
"""A department of G04 until 2025-02-28, and of G17 since."""
NUMBERS = (
    ("H18.02-231002-0001", OCTOBER_2023),
    ("H18.02-231002-0002", OCTOBER_2023),
    ("H18.03-231002-0001", OCTOBER_2023),
    ("000.00.05.H18-231002-0001", OCTOBER_2023),
    ("H17.05-231002-0001", OCTOBER_2023),
    ("G15-231002-0001", OCTOBER_2023),
    (f"{MOVED}-231002-0001", OCTOBER_2023),
    (f"{MOVED}-250520-0002", MAY_2025),
)
LETTERS = ("H18.02", "H17.05", "")
PASSWORDS = {"an": "an's own words", "dienbien": "đi-ện-bi-ên", "old": "o", "new": "n"}
BODY = {"an": "", "dienbien": "H18", "old": "G04", "new": "G17"}
_names = count(1)


async def filled(database: Database, whose: str = "") -> Database:
    """A migrated database with the dossiers and dead letters of one body, or of all."""
    await migrate.migrate(database, NOW, lambda _line: None)
    await reference.save(database, NOW)
    await alarmed(database, whose)
    register = Register.shipped()
    store = CohortStore(database)
    for at, (number, received) in enumerate(NUMBERS):
        unit = number.partition("-")[0]
        if whose and register.body(unit, (received + 25_200) // DAY) != whose:
            continue
        times = (received, received + 3_600 if at % 2 else 0, received + 7_200)
        facts = RESULT_REQUIRED | (E_RESULT if at % 2 else 0)
        mask = mask_of(10 if at % 2 else 4, *times, facts)
        key = cohort_of(unit, number)
        state = Dossier(
            version=version(1, at, 0),
            learnt=received,
            mask=mask,
            system=at % 7,  # so that each dossier has cells of its own
            record_status=10 if at % 2 else 4,
            record_time=received,
            progress_status=0,
            progress_time=0,
            received=times[0],
            completed=times[1],
            due=times[2],
            facts=facts,
            procedure="1.001193",
            sector="",
        )
        await store.save_dossiers([DossierRow(key, number, state)])
        # What ended was first heard of as open; of the month it is published without its result.
        open_ = msgspec.structs.replace(
            state, version=0, mask=mask_of(4, received, 0, times[2], RESULT_REQUIRED), completed=0
        )
        later = msgspec.structs.replace(state, learnt=MAY_2025)
        await store.save_history(
            [
                ChangeRow(key, number, open_, counted(None)),
                ChangeRow(key, number, later, counted(open_)),
            ]
        )
        cells = [Cell(at % 7, basis, day) for basis, day in enumerate(days_of(mask, *times)) if day]
        await store.save_tallies(
            [TallyRow(key, cell, version(1, 1_000 + at, 0), lanes(mask)) for cell in cells]
        )
    for at, unit in enumerate(LETTERS):
        if unit.startswith(whose):
            await database.run(
                "INSERT INTO dead_letters (version, partition, offset, received_at, unit, reason) VALUES "
                f"({version(1, 50 + at, 0)}, 1, {50 + at}, {OCTOBER_2023}, '{unit}', 'bad_number')"
            )
    await store.save_progress([Reached(0, version(1, 99, 0), MAY_2025, MAY_2025)])
    return database


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everything(engine_url: str) -> AsyncIterator[Database]:
    async with connect(engine_url, f"readers_{next(_names)}") as database:
        yield await filled(database)


@pytest.fixture
def listed(tmp_path: Path) -> Readers:
    file = tmp_path / "readers.toml"
    lines = [
        f'[{name}]\nsha256 = "{sha256(word.encode()).hexdigest()}"\n'
        + (f'body = "{BODY[name]}"\n' if BODY[name] else "")
        for name, word in PASSWORDS.items()
    ]
    file.write_text("".join(lines), encoding="utf-8")
    return Readers.read(file)


def basic(name: str, password: str = "") -> dict[str, str]:
    pair = f"{name}:{password or PASSWORDS.get(name, '')}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}


class Got(NamedTuple):
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def frame(self) -> dict[str, list[object]]:
        (frame,) = json.loads(self.text)["frames"]
        names = [field["name"] for field in frame["schema"]["fields"]]
        return dict(zip(names, frame["data"]["values"], strict=True))


@asynccontextmanager
async def served(database: Database, **options: Any) -> AsyncIterator[TestClient]:
    app = page(database, Register.shipped(), clock=lambda: NOW, **options)
    async with TestClient(TestServer(app)) as client:
        yield client


async def get(client: TestClient, path: str, headers: Mapping[str, str], *, follow: bool = False) -> Got:
    async with client.get(path, headers=headers, allow_redirects=follow) as answer:
        return Got(answer.status, answer.headers, await answer.text())


def asking(panel: str, body: str = "H18", unit: str = "H18.02", definition: str = "ER-766-PORTAL") -> str:
    number = f"{unit}-231002-0001" if unit else ""
    return f"/api/panels/{panel}?definition={definition}&body={body}&unit={unit}&number={number}"


EVERY_KIND = ("/", "/body/H18", "/unit/H18.02", "/api/panels", "/api/panels/rates", "/healthz", "/nowhere")


@pytest.mark.parametrize("path", [*EVERY_KIND, "/static/page.js", "/?lang=xx"])
async def test_whoever_does_not_prove_a_name_gets_nothing_but_the_question_for_it(
    everything: Database, listed: Readers, path: str
) -> None:
    wrong = (
        {},
        basic("an", "guess"),
        basic("nobody", "x"),
        basic("dienbien", PASSWORDS["an"]),
        basic("nobody", ""),
        {"Authorization": "Basic ***"},
        {"Authorization": "Basic " + b64encode(b"\xff\xfe:x").decode()},
        {"Authorization": "Bearer " + PASSWORDS["an"]},
    )
    async with served(everything, readers=listed) as client:
        for headers in wrong:
            got = await get(client, path, headers)
            assert got.status == 401
            assert got.headers["WWW-Authenticate"].startswith('Basic realm="motcua"')
            assert "script-src 'self'" in got.headers["Content-Security-Policy"]
            assert "H18" not in got.text.replace("/unit/H18.02", "").replace("/body/H18", "")
            if not path.startswith("/api/"):
                assert "Cần tên và mật khẩu" in got.text
                assert "A name and a password are needed" in got.text


async def test_a_reader_of_everything_sees_everything(everything: Database, listed: Readers) -> None:
    async with served(everything, readers=listed) as client:
        seen = await get(client, "/?lang=en", basic("an"))
        assert seen.status == 200
        assert "10 figures agree" in seen.text or "figures agree" in seen.text
        assert (await get(client, asking(BODIES.id), basic("an"))).frame["code"] == [
            "G04",
            "G15",
            "G17",
            "H17",
            "H18",
        ]


@pytest.mark.parametrize("name", ["dienbien", "old", "new"])
async def test_a_limited_reader_gets_of_every_panel_what_a_database_of_that_body_alone_would_answer(
    engine_url: str, everything: Database, listed: Readers, name: str
) -> None:
    """The comparison knows no rule of its own: another database never held anything else."""
    body = BODY[name]
    unit = MOVED if body.startswith("G") else "H18.02"
    async with (
        connect(engine_url, f"readers_{next(_names)}") as theirs,
        served(everything, readers=listed) as limited_page,
        served(await filled(theirs, body)) as whole_page,
    ):
        answered = 0
        for panel in PANELS:
            for one in DEFINITIONS:
                path = asking(panel.id, body, unit, one.id)
                got = await get(limited_page, path, basic(name))
                if not panel.limitable:
                    assert got.status == 403
                    continue
                assert got.status == 200
                if panel.open:
                    continue
                assert got.frame == (await get(whole_page, path, {})).frame, (panel.id, one.id)
                answered += sum(map(len, got.frame.values()))
        assert answered


async def test_a_unit_that_changed_its_body_shows_each_body_its_own_days(
    everything: Database, listed: Readers
) -> None:
    async with served(everything, readers=listed) as client:
        seen = {}
        for name in ("old", "new", "an"):
            got = await get(client, asking(DOSSIERS.id, BODY[name], MOVED), basic(name))
            seen[name] = got.frame["number"]
            page_of = await get(client, f"/unit/{MOVED}?definition=ER-766-PORTAL&lang=en", basic(name))
            assert page_of.status == 200
            for number, _ in NUMBERS[-2:]:
                assert (number in page_of.text) == (number in seen[name])
                whose = await get(client, f"/dossier/{number}?lang=en", basic(name))
                assert whose.status == (200 if number in seen[name] else 404)
                assert ("Kind of change" in whose.text) == (number in seen[name])
    assert seen == {
        "old": [NUMBERS[-2][0]],
        "new": [NUMBERS[-1][0]],
        "an": [NUMBERS[-1][0], NUMBERS[-2][0]],
    }


@pytest.mark.parametrize(
    "path",
    [
        "/body/H17",
        "/unit/H17.05",
        "/unit/G15",
        "/body/H17?part=live",
        "/unit/H17.05?part=live",
        asking("rates", "H17"),
        asking("rates", unit="H17.05"),
        asking("units", "H17"),
        asking("dossiers", unit="H17.05"),
        "/api/panels/dossier?number=H17.05-231002-0001",
        "/api/panels/dossier?unit=H18.02&number=H17.05-231002-0001",
        "/dossier/H17.05-231002-0001",
        "/api/panels/dossiers?unit=000.00.05.H17",
    ],
)
async def test_what_is_not_of_the_readers_body_is_refused_and_never_shown_as_nothing(
    everything: Database, listed: Readers, path: str
) -> None:
    async with served(everything, readers=listed) as client:
        assert (await get(client, path, basic("an"))).status == 200
        got = await get(client, path, basic("dienbien"))
        assert got.status == 403
        if path.startswith("/api/"):
            assert json.loads(got.text) == {"error": "not_yours"}
        else:
            assert "This is not yours to see" in got.text
            assert "Không thuộc phạm vi của bạn" in got.text


async def test_the_overview_of_a_limited_reader_is_the_readers_body(
    everything: Database, listed: Readers
) -> None:
    async with served(everything, readers=listed) as client:
        sent = await get(client, "/?lang=en&form=clean", basic("dienbien"))
        assert (sent.status, sent.headers["Location"].partition("?")[0]) == (302, "/body/H18")
        for path in ("/?lang=en", "/body/H18?lang=en", "/body/H18?lang=en&part=live"):
            seen = await get(client, path, basic("dienbien"), follow=True)
            assert seen.status == 200
            assert "Dien Bien" in seen.text
            assert "H18.02" in seen.text
            for other in ("H17", "G15", "G04", "Ministry"):
                assert other not in seen.text
        listing = await get(client, "/api/panels", basic("dienbien"))
        told = {row["panel"] for row in json.loads(listing.text)["rows"]}
        assert told == {panel.id for panel in PANELS if panel.limitable}
        assert "scoreboard_bodies" not in told


async def test_one_readers_answer_never_serves_another(everything: Database, listed: Readers) -> None:
    async with served(everything, readers=listed) as client:
        for path in ("/unit/G04.01?part=live", asking(REJECTIONS.id, "", ""), asking(BODIES.id, "", "")):
            # At the same time and one after the other, so that what is shared is shared.
            got = await asyncio.gather(
                *(get(client, path, basic(name)) for name in ("an", "old", "an", "new"))
            )
            assert got[0].text == got[2].text
            assert got[0].text not in (got[1].text, got[3].text)
            again = await get(client, path, basic("old"))
            assert again.text == got[1].text
            for one in got:
                assert one.headers["Cache-Control"].startswith("private")
                assert "Authorization" in one.headers["Vary"]
                if "ETag" in one.headers:
                    crossed = await get(client, path, basic("old") | {"If-None-Match": one.headers["ETag"]})
                    assert (crossed.status == 304) == (one.text == got[1].text)


async def test_an_installation_limited_to_a_body_limits_whoever_reads(
    everything: Database, tmp_path: Path
) -> None:
    async with served(everything, only="H18") as client:
        assert (await get(client, "/body/H17", {})).status == 403
        assert (await get(client, asking(UNITS.id), {})).frame["code"] == [
            "000.00.05.H18",
            "H18.02",
            "H18.03",
        ]
    file = tmp_path / "readers.toml"
    file.write_text(f'[a]\nsha256 = "{sha256(b"a").hexdigest()}"\n')
    async with served(everything, readers=Readers.read(file, "H18")) as client:
        assert (await get(client, "/body/H17", basic("a", "a"))).status == 403
        assert (await get(client, "/body/H18", basic("a", "a"))).status == 200


@pytest.mark.parametrize("path", EVERY_KIND)
async def test_without_readers_the_page_answers_under_names_of_this_machine_alone(
    everything: Database, path: str
) -> None:
    async with served(everything) as client:
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1", ""):
            got = await get(client, path, {"Host": host})
            assert got.status == 403
            assert "H18.02" not in got.text.replace("/unit/H18.02", "")
        for host in ("localhost", "localhost:1", "127.0.0.1", "[::1]", "[::1]:8080"):
            assert (await get(client, path, {"Host": host})).status in (200, 404)


async def test_the_command_lines_rates_and_dossiers_keep_to_one_body(everything: Database) -> None:
    for body in ("H18", "G04", "G17"):
        scope = reads.Scope(body=body)
        whole = await reads.rates(everything, DEFINITIONS, FORMS, ("body", "unit", "day"))
        theirs = await reads.rates(everything, DEFINITIONS, FORMS, ("body", "unit", "day"), scope=scope)
        assert theirs
        assert theirs == [row for row in whole if row["body"] == body]
        for one in DEFINITIONS:
            dossiers = await reads.dossiers(everything, one, scope=scope)
            pooled = await reads.rates(everything, [one], ("reported",), scope=scope)
            assert len(dossiers) == pooled[0]["denominator"]
            assert {row["body"] for row in dossiers} <= {body}


PAGE = Path(__file__).parents[2] / "docs" / "security.md"


async def test_the_row_policies_of_the_page_on_security_keep_to_one_body(everything: Database) -> None:
    """The engine has no users, so their grammar is asked of its parser and their conditions of its tables."""
    (block,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for statement in block.strip().split(";\n"):
        await everything.value("SELECT formatQuery({sql:String})", {"sql": statement.rstrip(";")})
    kept = {}
    for table, condition in re.findall(r"h18 ON motcua\.(\w+) USING (.*) TO dien_bien;", block):
        here = condition.replace("'motcua.body_of'", "'body_of'")
        rows = await everything.rows(f"SELECT toString(unit) AS u FROM {table} FINAL WHERE {here}")
        kept[table] = {row["u"] for row in rows}
        whole = await everything.rows(f"SELECT toString(unit) AS u FROM {table} FINAL")
        assert kept[table] < {row["u"] for row in whole}
    # The unit of the old form is not in the register.
    assert kept["tallies"] == kept["dossiers"] == {"H18.02", "H18.03"}
    assert kept["dead_letters"] == {"H18.02"}
