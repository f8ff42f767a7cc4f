"""What runs in containers names only what is there: files, commands, settings. Nothing is open by itself."""

import os
import re
import shutil
import subprocess
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, Final

import pytest
from typer.main import get_command

from dashboards import alarms, plugin
from dashboards.page.asked import LANGS
from infra.local import broker_settings
from motcua.cli import app
from motcua.settings import Settings

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = {name: one for name, one in SERVICES.items() if one["image"].startswith("motcua")}
PROVISIONING: Final = ROOT / "infra" / "grafana" / "provisioning"

SERVICE_KEYS: Final = {
    "build", "cap_drop", "command", "depends_on", "deploy", "environment", "healthcheck", "image", "ports",
    "restart", "secrets", "security_opt", "stop_grace_period", "ulimits", "volumes",
}  # fmt: skip
"""The keys of the compose specification's service that this file needs; a misspelt one would be no key."""
HEALTH_KEYS: Final = {"test", "interval", "timeout", "retries", "start_period"}
CONDITIONS: Final = {"service_started", "service_healthy", "service_completed_successfully"}


def test_keys_are_those_of_the_compose_specification() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} == {"name", "services", "volumes", "secrets"}
    for name, service in SERVICES.items():
        assert set(service) <= SERVICE_KEYS, name
        assert set(service.get("healthcheck", {})) <= HEALTH_KEYS, name
        for other, on in service.get("depends_on", {}).items():
            assert other in SERVICES
            assert on["condition"] in CONDITIONS
            if on["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other]


def test_compose_itself_accepts_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("there is no docker compose here; the keys are checked by the test above")
    given = dict.fromkeys(asked_for(), "a")
    checked = subprocess.run(
        [docker, "compose", "-f", str(ROOT / "docker-compose.yml"), "config", "--quiet"],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr


def test_every_path_that_is_mounted_or_copied_is_there() -> None:
    mounted = [
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if volume.startswith(".")
    ]
    assert mounted
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert copied
    for path in (*mounted, *(one for line in copied for one in line.split())):
        assert (ROOT / path).exists(), path


def test_the_image_has_every_package_of_the_program() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert set(re.findall(r"^COPY (\w+) \./\1$", image, re.MULTILINE)) == packages
    assert "run.lock" in image


def test_every_volume_and_secret_is_declared() -> None:
    named = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }
    assert named == set(COMPOSE["volumes"])
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])


def test_every_command_and_setting_is_the_programs() -> None:
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    settings = {f"MOTCUA_{name.upper()}" for name in Settings.model_fields}
    assert set(OURS) == {"migrate", "worker", "page", "intake"}
    for name, service in OURS.items():
        assert service["command"] == [name]
        assert service["command"][0] in commands
        assert set(service["environment"]) <= settings, name
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert set(re.findall(r"\bMOTCUA_\w+(?==)", image)) <= settings
    assert "python -m streams.compiled" in image


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_parts_settings_are_ones_that_it_starts_with(name: str) -> None:
    given = {
        key.removeprefix("MOTCUA_").lower(): "x" if "${" in str(value) else value
        for key, value in OURS[name]["environment"].items()
    }
    assert Settings(**given).kafka == "kafka:9092"


def test_what_is_published_is_published_on_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert "ports" not in SERVICES["kafka"]


def asked_for() -> set[str]:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    return set(re.findall(r"\$\{(\w+):\?", text))


def test_secrets_are_asked_for_and_have_no_default() -> None:
    assert asked_for() == {
        "CLICKHOUSE_MOTCUA_PASSWORD",
        "CLICKHOUSE_GRAFANA_PASSWORD",
        "GRAFANA_ADMIN_PASSWORD",
        "GRAFANA_SECRET_KEY",
        "ALERT_WEBHOOK_URL",
    }
    secret = re.compile("PASSWORD|SECRET|TOKEN|KEY")
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if secret.search(key) and not str(value).startswith("/run/secrets/"):
                assert ":?" in str(value), key


def test_a_topic_holds_in_a_container_what_it_holds_in_the_embedded_stack() -> None:
    there = properties((ROOT / "infra/kafka/server.properties").read_text(encoding="utf-8"))
    here = properties(broker_settings.properties("127.0.0.1:1", "127.0.0.1:2", Path("log")))
    same = re.compile(r"^(log\.(ret|mess|roll)|message\.|replica\.|fetch\.|offsets\.ret|auto\.|group\.min)")
    told = {name: value for name, value in here.items() if same.match(name)}
    assert len(told) == 12
    assert {name: there.get(name) for name in told} == told


def properties(text: str) -> dict[str, str]:
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def test_grafana_asks_the_database_as_a_reader_of_views_who_can_change_nothing() -> None:
    users = ElementTree.parse(ROOT / "infra/clickhouse/users.d/motcua.xml").getroot()  # noqa: S314  # our own
    reader = users.find("users/grafana")
    assert reader is not None
    assert users.findtext(f"profiles/{reader.findtext('profile')}/readonly") == "1"
    assert all(
        (grant.text or "").startswith(("GRANT SELECT ON", "GRANT dictGet ON"))
        for grant in reader.iterfind("grants/query")
    )
    for name in ("motcua", "grafana"):
        password = users.find(f"users/{name}/password")
        assert password is not None
        assert password.attrib["from_env"] in SERVICES["clickhouse"]["environment"]
    ElementTree.parse(ROOT / "infra/clickhouse/config.d/motcua.xml")  # noqa: S314


def provisioned(kind: str) -> dict[str, Any]:
    """Every file that Grafana reads of a kind, put together. JSON is YAML, too."""
    found: dict[str, Any] = {}
    for path in sorted((PROVISIONING / kind).iterdir()):
        assert path.suffix in (".yaml", ".json")
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert document.pop("apiVersion") == 1
        assert not set(document) & set(found)
        found |= document
    return found


def test_the_data_source_is_the_one_that_dashboards_and_rules_name() -> None:
    (source,) = provisioned("datasources")["datasources"]
    assert {"type": source["type"], "uid": source["uid"]} == plugin.SOURCE
    address = (source["jsonData"]["host"], source["jsonData"]["port"])
    assert address == ("clickhouse", 8123)
    assert source["jsonData"]["defaultDatabase"] == Settings.model_fields["database"].default
    asked = source["secureJsonData"]["password"].removeprefix("$")
    assert asked in SERVICES["grafana"]["environment"]


def test_dashboards_are_read_from_where_they_are_mounted() -> None:
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    within = {there: here for here, there in mounts.items()}
    providers = provisioned("dashboards")["providers"]
    assert {one["folder"] for one in providers} == set(plugin.FOLDERS.values())
    for one, lang in zip(providers, LANGS, strict=True):
        folder = Path(one["options"]["path"])
        assert (ROOT / within[str(folder.parent)] / folder.name / "overview.json").is_file()
        assert one["folder"] == plugin.FOLDERS[lang]
    assert within["/etc/grafana/provisioning"] == "./infra/grafana/provisioning"
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (ROOT / within["/etc/motcua/dashboards"] / home.parent.name / home.name).is_file()


def test_alerts_go_to_a_contact_point_that_is_there_and_wait_for_a_working_day() -> None:
    found = provisioned("alerting")
    points = {point["name"] for point in found["contactPoints"]}
    muted = {timing["name"] for timing in found["muteTimes"]}
    (tree,) = found["policies"]
    assert {tree["receiver"], *(route["receiver"] for route in tree["routes"])} <= points
    (route,) = tree["routes"]
    assert set(route["mute_time_intervals"]) == muted == {alarms.FREE_DAYS}
    ((label, operator, levels),) = route["object_matchers"]
    assert (label, operator) == ("level", "=~")
    (group,) = found["groups"]
    given = {rule["uid"]: rule["labels"]["level"] for rule in group["rules"]}
    waiting = {uid for uid, level in given.items() if re.fullmatch(levels, level)}
    assert set(given) - waiting == {"motcua-late", "motcua-audit"}
    assert group["folder"] in plugin.FOLDERS.values()
    url = found["contactPoints"][0]["receivers"][0]["settings"]["url"].removeprefix("$")
    assert url in SERVICES["grafana"]["environment"]
