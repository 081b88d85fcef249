"""Every variable the project reads, validated in one place; no other module reads the environment.

Sources: process environment first, then `.env` in the working directory. Names and defaults are public contract.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from dotenv import load_dotenv
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from media_pipeline.genesys.errors import ConfigurationError

_FORMAT = re.compile(r"[a-z0-9][a-z0-9_+-]*")
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f:.]*:[0-9a-f:.]*", re.IGNORECASE)


def _default_spool() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "media-pipeline"


def started_from() -> Path:
    """The folder this process was started from, for programs that change it (dbt goes to its project)."""
    return Path(os.environ.get("PWD") or Path.cwd())


def dagster_home() -> Path | None:
    """Dagster's own variable: the folder of its instance, None where it is not set."""
    home = os.environ.get("DAGSTER_HOME")
    return Path(home).expanduser() if home else None


@contextmanager
def environment_of_children(**variables: str) -> Iterator[None]:
    """Processes that are started in this context have these variables besides ours."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class Settings(BaseSettings):
    """The deployment's variables, typed; secrets never print."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", populate_by_name=True)

    client_id: str = Field("", alias="GENESYS_CLIENT_ID")
    client_secret: SecretStr = Field(SecretStr(""), alias="GENESYS_CLIENT_SECRET")
    region: str = Field("mypurecloud.com", alias="GENESYS_REGION")
    base_url: str = Field("", alias="GENESYS_BASE_URL")
    login_url: str = Field("", alias="GENESYS_LOGIN_URL")
    dialect: Literal["platform", "guide"] = Field("platform", alias="GENESYS_DIALECT")
    requests_per_minute: int = Field(300, alias="GENESYS_REQUESTS_PER_MINUTE", ge=0)

    root: str = Field("./data", alias="MEDIA_ROOT")
    start_date: dt.date = Field(dt.date(2026, 1, 1), alias="MEDIA_START_DATE")
    lookback_days: int = Field(7, alias="MEDIA_LOOKBACK_DAYS", ge=1, le=90)
    concurrency: int = Field(8, alias="MEDIA_CONCURRENCY", ge=1, le=128)
    spool: Path = Field(default_factory=_default_spool, alias="MEDIA_SPOOL")
    codecs: Annotated[tuple[str, ...], NoDecode] = Field(("wav", "mp3", "aac", "ogg"), alias="MEDIA_CODECS")
    min_available_mb: int = Field(1024, alias="MEDIA_MIN_AVAILABLE_MB", ge=0)
    sidecars: bool = Field(True, alias="MEDIA_SIDECARS")
    allow_write_back: bool = Field(False, alias="MEDIA_ALLOW_WRITE_BACK")
    inbox: str = Field("", alias="MEDIA_INBOX")
    allow_remote_delete: bool = Field(False, alias="MEDIA_ALLOW_REMOTE_DELETE")
    keep_unredacted: bool = Field(False, alias="MEDIA_KEEP_UNREDACTED")
    download_hosts: Annotated[tuple[str, ...], NoDecode] = Field((), alias="MEDIA_DOWNLOAD_HOSTS")
    download_networks: Annotated[tuple[str, ...], NoDecode] = Field((), alias="MEDIA_DOWNLOAD_NETWORKS")
    reports_db: Path | None = Field(None, alias="MEDIA_REPORTS_DB")

    service_tokens: SecretStr = Field(SecretStr(""), alias="MEDIA_SERVICE_TOKENS")
    link_key: SecretStr = Field(SecretStr(""), alias="MEDIA_LINK_KEY")
    service_url: str = Field("", alias="MEDIA_SERVICE_URL")
    listener_requests_per_minute: int = Field(6000, alias="MEDIA_LISTENER_REQUESTS_PER_MINUTE", ge=1)
    listener_streams: int = Field(256, alias="MEDIA_LISTENER_STREAMS", ge=1)

    webhooks: SecretStr = Field(SecretStr(""), alias="MEDIA_WEBHOOKS")
    webhook_key: SecretStr = Field(SecretStr(""), alias="MEDIA_WEBHOOK_KEY")
    ui_url: str = Field("http://127.0.0.1:3000", alias="MEDIA_UI_URL")

    @field_validator("codecs", "download_hosts", "download_networks", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().lower().lstrip(".") for part in value.split(",") if part.strip())
        return value

    @field_validator("root")
    @classmethod
    def _is_a_place(cls, value: str) -> str:
        if value.startswith("s3:") and not value.startswith("s3://"):
            raise ValueError("a folder, or s3://bucket/prefix")
        return value

    @field_validator("codecs")
    @classmethod
    def _are_formats(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not all(map(_FORMAT.fullmatch, value)):
            raise ValueError("formats such as wav,mp3, separated by commas")
        return value

    @field_validator("download_hosts")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(_HOST.fullmatch, value)):
            raise ValueError("host names such as media.example.com, without scheme, port and path")
        return value

    @field_validator("download_networks")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ipaddress.ip_network(each)) for each in value)

    @property
    def inbox_folder(self) -> Path | None:
        """MEDIA_INBOX where it is a folder, which voice messages need; None where it is S3 or not set."""
        return Path(self.inbox) if self.inbox and "://" not in self.inbox else None

    @classmethod
    def load(cls, folder: Path | None = None) -> Settings:
        """Read the environment and `.env` of the folder, by default the working directory.

        Raises ConfigurationError naming each bad variable and what it takes.
        """
        load_dotenv((folder or Path.cwd()) / ".env")  # into the environment: boto3's AWS_* and dg.EnvVar look there too
        try:
            return cls()
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc']))}={e['input']!r} is not valid ({e['msg']})" for e in error.errors()
            )
            raise ConfigurationError(f"{problems}. Correct the variable in the environment or in .env.") from None
