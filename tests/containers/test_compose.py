"""The whole of docker-compose.yml on a container engine: it counts, and Grafana answers as the page does."""

import json
import os
import secrets
import subprocess
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from dashboards import alarms, grafana, macros, plugin, readers
from dashboards.boards import BOARDS
from dashboards.panels import names, panel
from producers import senders
from rates.definitions import DEFINITIONS
from tests.support.waiting import eventually

ROOT: Final = Path(__file__).parents[2]
BEGINS, ENDS = 1_672_506_000, 1_696_093_199
"""January to September 2023, local, in seconds since 1970 UTC."""


def missing() -> str:
    """Why there is no engine to run this on, "" where there is one."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if address.startswith("unix://") and not Path(address.removeprefix("unix://")).exists():
        return f"no container engine answers at {address}"
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            done = subprocess.run(command, capture_output=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return f"{' '.join(command)} does not answer"
        if done.returncode:
            return f"{' '.join(command)} says: {done.stderr.decode().strip()[:200]}"
    return ""


WHY = missing()
pytestmark = [pytest.mark.container, pytest.mark.skipif(bool(WHY), reason=WHY), pytest.mark.timeout(1_800)]


class Up:
    """The services, and the passwords of who asks them."""

    def __init__(self, folder: Path) -> None:
        from testcontainers.compose import DockerCompose

        self.reader, lines = readers.new("an")
        _, token = senders.new("H18")
        self.admin = secrets.token_urlsafe(16)
        files = {"page.readers": lines, "intake.tokens": token + "\n"}
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(0o644)
        given = {
            "COMPOSE_PROJECT_NAME": f"motcua-test-{secrets.token_hex(4)}",
            "CLICKHOUSE_MOTCUA_PASSWORD": secrets.token_urlsafe(16),
            "CLICKHOUSE_GRAFANA_PASSWORD": secrets.token_urlsafe(16),
            "GRAFANA_ADMIN_PASSWORD": self.admin,
            "GRAFANA_SECRET_KEY": secrets.token_urlsafe(16),
            "ALERT_WEBHOOK_URL": "http://page:8080/nobody",
            "PAGE_READERS": str(folder / "page.readers"),
            "INTAKE_TOKENS": str(folder / "intake.tokens"),
            **dict.fromkeys(("CLICKHOUSE_PORT", "PAGE_PORT", "INTAKE_PORT", "GRAFANA_PORT"), "0"),
        }
        (folder / "env").write_text("".join(f"{k}={v}\n" for k, v in given.items()), encoding="utf-8")
        self.compose = DockerCompose(
            ROOT, "docker-compose.yml", build=True, wait=False, env_file=str(folder / "env")
        )

    def address(self, service: str, port: int) -> str:
        return f"http://127.0.0.1:{self.compose.get_service_port(service, port)}"

    def page(self, path: str) -> Any:
        return asked(self.address("page", 8080) + path, "an", self.reader)

    def grafana(self, path: str, body: object = None) -> Any:
        return asked(self.address("grafana", 3000) + path, "admin", self.admin, body)


def asked(url: str, name: str, password: str, body: object = None) -> Any:
    login = b64encode(f"{name}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """All services, with the October 2023 report's world counted."""
    running = Up(tmp_path_factory.mktemp("compose"))
    with running.compose:
        eventually(lambda: working(running), "page and Grafana answer", 900)
        play = "scenario october-2023 --to /tmp/o.ndjson", "publish /tmp/o.ndjson --wait"
        for command in play:
            _, said, code = running.compose.exec_in_container(
                ["python", "-m", "motcua", *command.split()], "worker"
            )
            assert code == 0, said
        yield running


def working(running: Up) -> bool:
    from testcontainers.core.exceptions import ContainerIsNotRunning, NoSuchPortExposed

    try:
        return bool(running.grafana("/api/health")) and bool(running.page("/api/panels/rates"))
    except (OSError, subprocess.SubprocessError, ContainerIsNotRunning, NoSuchPortExposed):
        return False


def test_every_published_figure_is_recomputed(up: Up) -> None:
    out, said, code = up.compose.exec_in_container(
        ["python", "-m", "motcua", "scoreboard", "--json"], "worker"
    )
    assert code == 0, (out, said)


@pytest.mark.parametrize("identifier", ["rates", "bodies"])
def test_grafana_answers_what_the_page_answers(up: Up, identifier: str) -> None:
    shown = panel(identifier)
    chosen = names(DEFINITIONS[0], "reported")
    text = macros.expand(macros.raw(shown, macros.variables(BOARDS[0])), chosen, BEGINS, ENDS)
    query = {"from": f"{BEGINS * 1000}", "to": f"{ENDS * 1000}", "queries": [plugin.query(text)]}
    (frame,) = up.grafana("/api/ds/query", query)["results"]["A"]["frames"]
    (page,) = up.page(f"/api/panels/{identifier}?from=2023-01-01&to=2023-09-30")["frames"]
    assert frame["data"]["values"] == page["data"]["values"]


def test_grafana_has_every_dashboard_and_rule_from_its_files(up: Up) -> None:
    found = {one["uid"] for one in up.grafana("/api/search?tag=motcua")}
    assert found == {json.loads(text)["uid"] for text in grafana.generated().values()}
    rules = {one["uid"]: one for one in up.grafana("/api/v1/provisioning/alert-rules")}
    assert set(rules) == {rule.uid for rule in alarms.RULES}
    (timing,) = up.grafana("/api/v1/provisioning/mute-timings")
    assert timing["name"] == alarms.FREE_DAYS
