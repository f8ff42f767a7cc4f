"""What can be set, and where each value came from.

In rising order: defaults, the running embedded stack (`run.json` of the data directory), `motcua.toml` in the
working directory, `MOTCUA_…` variables, options of the command line. A `MOTCUA_…` variable that sets nothing
is an error: a limit that was misspelt must not be no limit.

Secrets come from a variable, from `motcua.toml` or from a file that is named there, and are never shown.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from infra.local.trouble import WrongUse

TOML: Final = "motcua.toml"
_READ_ELSEWHERE: Final = (
    "MOTCUA_CACHE_DIR",
    "MOTCUA_CLOCK_DRILL",
    "MOTCUA_ENGINE_PASSWORD",
    "MOTCUA_ENGINE_READER_PASSWORD",
)
"""Variables that are no settings: what the clock and the embedded stack's parts read for themselves."""

NAME: Final = "[a-z][a-z0-9_]{0,30}"
"""What a rehearsal may be called,"""
_TAKEN: Final = ("live", "restoring", "replaced")
"""but for the live system's own name, and those of the databases that a restore makes."""
_REHEARSED_CACHE: Final = 2_000_000


class Settings(BaseSettings):
    """Everything that can be set. Addresses are empty where no stack runs and none is named."""

    model_config = SettingsConfigDict(env_prefix="MOTCUA_", toml_file=TOML, extra="forbid", frozen=True)

    data_dir: Path = Field(default=Path("motcua-data"), description="all that the embedded stack writes")
    kafka: str = Field(
        default="",
        pattern=r"^([^:/,\s]+:[0-9]+(,[^:/,\s]+:[0-9]+)*)?$",
        description="Kafka brokers, host:port[,host:port…]",
    )
    clickhouse: str = Field(
        default="",
        pattern=r"^(https?://[^/\s@]+/?)?$",
        description="the ClickHouse HTTP interface, http://host:port",
    )
    clickhouse_user: str = Field(default="", description="its user; empty for the default one")
    clickhouse_password: SecretStr = Field(
        default=SecretStr(""), description="that user's password; the embedded engine asks for it, too"
    )
    clickhouse_password_file: str = Field(default="", description="or the file that holds it")
    body: str = Field(
        default="",
        pattern="^([HG][0-9]{2})?$",
        description="the one ministry or province that page and commands show; empty for all",
    )
    database: str = Field(
        default="motcua", pattern="^[a-z][a-z0-9_]*$", description="the ClickHouse database"
    )
    topic: str = Field(default="dossiers", pattern="^[a-zA-Z0-9._-]+$", description="the Kafka topic")
    on: str = Field(
        default="",
        pattern=f"^({NAME})?$",
        description="the rehearsal whose database and topic are meant, instead of the live ones",
    )
    partitions: int = Field(default=12, ge=1, le=1024, description="partitions of a topic that is made anew")
    workers: int = Field(
        default=1,
        ge=0,
        le=64,
        description="worker processes of the embedded stack; 0: broker and engine alone",
    )
    cache_dossiers: int = Field(
        default=4_500_000, ge=1, description="dossiers and cells that a worker keeps in memory"
    )
    batch_messages: int = Field(
        default=20_000, ge=1, description="a micro-batch is at most so many messages,"
    )
    batch_bytes: int = Field(default=16 * 1024 * 1024, ge=1, description="so many bytes,")
    batch_age: float = Field(default=0.25, gt=0, le=60, description="and so many seconds old")
    canary_seconds: float = Field(
        default=10, ge=0, le=3600, description="a partition that is quiet so long is sent a canary; 0: none"
    )
    kafka_port: int = Field(
        default=0, ge=0, le=65535, description="the embedded broker's port; 0: a free one"
    )
    clickhouse_port: int = Field(
        default=0, ge=0, le=65535, description="the embedded engine's port; 0: a free one"
    )
    page_port: int = Field(default=0, ge=0, le=65535, description="the page's port; 0: a free one")
    page_host: str = Field(
        default="127.0.0.1",
        pattern=r"^[^\s/]+$",
        description="where the page listens; beyond loopback it needs page_readers",
    )
    page_readers: str = Field(default="", description="the file of those who may read the page")
    intake_tokens: str = Field(default="", description="the file of those who may send to the intake")
    intake_host: str = Field(
        default="127.0.0.1", pattern=r"^[^\s/]+$", description="where the intake listens"
    )
    intake_port: int = Field(default=0, ge=0, le=65535, description="the intake's port; 0: a free one")
    intake_calls: float = Field(
        default=20, gt=0, le=10_000, description="calls a second that one token may send to the intake"
    )
    grafana: str = Field(
        default="",
        pattern=r"^(https?://[^/\s@]+(/[^\s?#]*)?)?$",
        description="the Grafana that dashboards are sent to, http://host:port",
    )
    grafana_token: SecretStr = Field(
        default=SecretStr(""), description="the token of a service account of it with the role Admin"
    )
    worker_port: int = Field(
        default=0, ge=0, le=65535, description="a worker's health and metrics, on loopback; 0: a free port"
    )
    alertmanager_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s@]+)?$",
        description="an Alertmanager that is told of alerts, http://host:port",
    )
    webhook_url: SecretStr = Field(
        default=SecretStr(""), description="an address that is sent the same, by POST as JSON"
    )
    smtp_url: SecretStr = Field(
        default=SecretStr(""),
        description="a mail server, smtp://[user:password@]host[:port], also smtps:// and smtp+starttls://",
    )
    mail_to: str = Field(default="", description="who is sent mail of alerts, a@b[,c@d…]")
    mail_from: str = Field(default="", description="the sender of that mail; motcua@ the server by default")
    alerts_file: str = Field(default="", description="a file to which notices of alerts are appended")
    reminder_hours: float = Field(
        default=24, ge=0, le=8760, description="how often an alert that goes on is told again; 0: never"
    )
    log_level: str = Field(
        default="info", pattern="^(debug|info|warning|error)$", description="least level logged"
    )
    log_format: str = Field(
        default="text", pattern="^(text|json)$", description="lines of log as text or as JSON"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load(options: Mapping[str, Any] | None = None) -> Settings:
    """The settings in force. A wrong one is `WrongUse`, named with its origin."""
    given = {name: value for name, value in (options or {}).items() if value is not None}
    try:
        _check_names(os.environ)
        settings = _with_password(Settings(**given))
        running = _running(settings.data_dir)
        announced = {name: running[name] for name in running if not getattr(settings, name)}
        settings = settings.model_copy(update=announced)
        return rehearsed(settings, settings.on) if settings.on else settings
    except ValidationError as error:
        wrong = error.errors()[0]
        name = ".".join(str(part) for part in wrong["loc"])
        origin = _origins(given).get(name, "an option")
        said = _closest(name) if wrong["type"] == "extra_forbidden" else wrong["msg"]
        msg = f"setting {name!r} from {origin}: {said}. Next: motcua config --help"
        raise WrongUse(msg) from error
    except ValueError as error:
        msg = f"{TOML} cannot be read: {error}. Next: mend or remove it"
        raise WrongUse(msg) from error


def rehearsed(live: Settings, name: str) -> Settings:
    """The settings of a rehearsal, from those of the live system beside which it runs. Raises WrongUse.

    It has a database and a topic of its own, holds less in memory unless `cache_dossiers` was set, lives in
    the time of its data (no canaries), and tells nobody of its alerts.
    """
    if not re.fullmatch(NAME, name) or name in _TAKEN:
        msg = (
            f"{name!r} is no name for a rehearsal: it begins with a letter a to z, has at most 31 letters, "
            f"digits and _, and is none of {', '.join(_TAKEN)}. Next: another name"
        )
        raise WrongUse(msg)
    cache = live.cache_dossiers
    quiet = {
        "alertmanager_url": "",
        "smtp_url": SecretStr(""),
        "webhook_url": SecretStr(""),
        "alerts_file": "",
    }
    return live.model_copy(
        update={
            "on": name,
            "database": f"{live.database}_{name}",
            "topic": f"{live.topic}.{name}",
            "canary_seconds": 0,
            "cache_dossiers": cache if "cache_dossiers" in live.model_fields_set else _REHEARSED_CACHE,
            **quiet,
        }
    )


def live(found: Settings) -> Settings:
    """The settings of the live system beside which a rehearsal of these settings runs: its addresses,
    database and topic."""
    own = {
        "database": found.database.removesuffix(f"_{found.on}"),
        "topic": found.topic.removesuffix(f".{found.on}"),
    }
    return found.model_copy(update={"on": "", **own}) if found.on else found


def origins(options: Mapping[str, Any] | None = None) -> list[tuple[str, str, str, str]]:
    """Each setting as (name, value, origin, meaning); secrets as stars."""
    settings = load(options)
    origin = _origins({name: value for name, value in (options or {}).items() if value is not None})
    running = _running(settings.data_dir)
    rows = []
    for name, field in Settings.model_fields.items():
        value = str(getattr(settings, name))
        where = origin.get(name) or ("run.json" if running.get(name) == value else "default")
        rows.append((name, value, where, field.description or ""))
    return rows


def _origins(options: Mapping[str, Any]) -> dict[str, str]:
    found = dict.fromkeys(TomlConfigSettingsSource(Settings)(), TOML)
    found |= {name: f"MOTCUA_{name.upper()}" for name in EnvSettingsSource(Settings)()}
    return found | dict.fromkeys(options, "option")


def _check_names(environment: Iterable[str]) -> None:
    known = {f"MOTCUA_{name.upper()}" for name in Settings.model_fields}.union(_READ_ELSEWHERE)
    for name in environment:
        if name.upper().startswith("MOTCUA_") and name.upper() not in known:
            msg = (
                f"variable {name}: {_closest(name[7:].lower(), 'MOTCUA_')}. Next: unset {name}, or correct it"
            )
            raise WrongUse(msg)


def _closest(name: str, prefix: str = "") -> str:
    near = get_close_matches(name, Settings.model_fields, 1)
    meant = near[0].upper() if near and prefix else "".join(near)
    return "there is no such setting" + (f"; did you mean {prefix}{meant}?" if near else "")


def _with_password(settings: Settings) -> Settings:
    file = settings.clickhouse_password_file
    if not file:
        return settings
    next_step = "Next: motcua config"
    if settings.clickhouse_password.get_secret_value():
        msg = f"clickhouse_password and clickhouse_password_file are both set: leave one out. {next_step}"
        raise WrongUse(msg)
    try:
        password = Path(file).read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        msg = f"clickhouse_password_file {file} cannot be read: {why}. {next_step}"
        raise WrongUse(msg) from None
    if not password:
        msg = f"clickhouse_password_file {file} is empty. {next_step}"
        raise WrongUse(msg)
    return settings.model_copy(update={"clickhouse_password": SecretStr(password)})


def _running(data_dir: Path) -> dict[str, str]:
    try:
        said = json.loads((data_dir / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: said[name] for name in ("kafka", "clickhouse") if isinstance(said.get(name), str)}
