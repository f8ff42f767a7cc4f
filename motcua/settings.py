"""What can be set, and where each value came from.

In rising order: defaults, the running embedded stack (`run.json` of the data directory), `motcua.toml` in the
working directory, `MOTCUA_…` variables, options of the command line.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from infra.local.trouble import WrongUse

TOML: Final = "motcua.toml"
_SECRET: Final = ("clickhouse_password",)


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
        pattern=r"^(https?://[^/\s]+/?)?$",
        description="the ClickHouse HTTP interface, http://host:port",
    )
    clickhouse_user: str = Field(default="", description="its user; empty for the default one")
    clickhouse_password: str = Field(default="", description="that user's password", repr=False)
    database: str = Field(
        default="motcua", pattern="^[a-z][a-z0-9_]*$", description="the ClickHouse database"
    )
    topic: str = Field(default="dossiers", pattern="^[a-zA-Z0-9._-]+$", description="the Kafka topic")
    partitions: int = Field(default=12, ge=1, le=1024, description="partitions of a topic that is made anew")
    workers: int = Field(default=1, ge=1, le=64, description="worker processes of the embedded stack")
    cache_dossiers: int = Field(default=1_500_000, ge=1, description="dossiers that a worker keeps in memory")
    batch_messages: int = Field(
        default=20_000, ge=1, description="a micro-batch is at most so many messages,"
    )
    batch_bytes: int = Field(default=8 * 1024 * 1024, ge=1, description="so many bytes,")
    batch_age: float = Field(default=0.25, gt=0, le=60, description="and so many seconds old")
    kafka_port: int = Field(
        default=0, ge=0, le=65535, description="the embedded broker's port; 0: a free one"
    )
    clickhouse_port: int = Field(
        default=0, ge=0, le=65535, description="the embedded engine's port; 0: a free one"
    )
    page_port: int = Field(default=0, ge=0, le=65535, description="the page's port; 0: a free one")
    log_level: str = Field(
        default="info", pattern="^(debug|info|warning|error)$", description="least level logged"
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
        settings = Settings(**given)
        running = _running(settings.data_dir)
        announced = {name: running[name] for name in running if not getattr(settings, name)}
        return settings.model_copy(update=announced)
    except ValidationError as error:
        wrong = error.errors()[0]
        name = ".".join(str(part) for part in wrong["loc"])
        origin = _origins(given).get(name, "an option")
        msg = f"setting {name!r} from {origin}: {wrong['msg']}. Next: motcua config --help"
        raise WrongUse(msg) from error
    except ValueError as error:
        msg = f"{TOML} cannot be read: {error}. Next: mend or remove it"
        raise WrongUse(msg) from error


def origins(options: Mapping[str, Any] | None = None) -> list[tuple[str, str, str, str]]:
    """Each setting as (name, value, origin, meaning); secrets as stars."""
    settings = load(options)
    origin = _origins({name: value for name, value in (options or {}).items() if value is not None})
    running = _running(settings.data_dir)
    rows = []
    for name, field in Settings.model_fields.items():
        value = str(getattr(settings, name))
        where = origin.get(name) or ("run.json" if running.get(name) == value else "default")
        shown = "*" * 8 if name in _SECRET and value else value
        rows.append((name, shown, where, field.description or ""))
    return rows


def _origins(options: Mapping[str, Any]) -> dict[str, str]:
    found = dict.fromkeys(TomlConfigSettingsSource(Settings)(), TOML)
    found |= {name: f"MOTCUA_{name.upper()}" for name in EnvSettingsSource(Settings)()}
    return found | dict.fromkeys(options, "option")


def _running(data_dir: Path) -> dict[str, str]:
    try:
        said = json.loads((data_dir / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: said[name] for name in ("kafka", "clickhouse") if isinstance(said.get(name), str)}
