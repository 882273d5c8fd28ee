"""Every setting, from the environment (prefix ``GATEWAY_``); each is also a flag of ``serve``."""

from __future__ import annotations

import importlib.resources
import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """The settings of one gateway process. Sizes are bytes, times seconds."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", frozen=True)

    database_url: str = Field("", description="SQLAlchemy URL; empty: a SQLite file in data_dir")
    data_dir: Path = Field(Path("gateway-data"), description="where the embedded files stand")
    host: str = Field("127.0.0.1", description="address that HTTP and MLLP listen on")
    port: int = Field(8080, ge=0, le=65535, description="HTTP port; 0 takes a free one")
    mllp_port: int = Field(2575, ge=0, le=65535, description="MLLP port; 0 takes a free one")
    mllp_agency: str = Field(
        "", description="on loopback, the agency of an MLLP sender whom no agency declares"
    )
    mllp_ports: Annotated[dict[int, str], NoDecode] = Field(
        default_factory=dict,
        description="more MLLP listeners, each one agency's: 2601=cedar-general,2602=northside",
    )
    mllp_tls_cert: Path | None = Field(None, description="PEM certificate of the MLLP listeners")
    mllp_tls_key: Path | None = Field(None, description="PEM key of the MLLP listeners")
    mllp_tls_ca: Path | None = Field(
        None,
        description="PEM of the CA for client certificates; set, one is required, and its "
        "subject's CN or a DNS name is the agency's id",
    )
    mllp_client_ca: Path | None = Field(
        None, description="PEM of the CA of mllps:// receivers; unset, the system's are trusted"
    )
    mllp_client_cert: Path | None = Field(
        None, description="PEM certificate that we show to mllps:// receivers"
    )
    mllp_client_key: Path | None = Field(None, description="PEM key of mllp_client_cert")
    mappings: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="folders searched for agencies and maps, before the shipped ones"
    )
    profiles: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="folders of FHIR packages whose profiles $validate knows, too"
    )
    translators: int = Field(
        default_factory=lambda: max(0, min(4, (os.cpu_count() or 1) - 1)),
        ge=0,
        description="processes that parse and translate beside the one that writes",
    )
    message_limit: int = Field(10 * 2**20, gt=0, description="largest message or body, bytes")
    import_limit: int = Field(2**30, gt=0, description="largest body of a bulk import, bytes")
    bulk_keep: float = Field(86400, gt=0, description="so long a bulk job's files are kept")
    idle_timeout: float = Field(600, gt=0, description="an MLLP connection may be silent so long")
    header_timeout: float = Field(10, gt=0, description="an HTTP request's headers must be in")
    body_timeout: float = Field(30, gt=0, description="an HTTP request's body must be in")
    drain_timeout: float = Field(30, gt=0, description="how long SIGTERM waits for work in hand")
    endpoint_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="private networks (CIDR) that endpoints may stand in"
    )
    retry_first: float = Field(1.0, gt=0, description="first delay of a failed delivery")
    retry_limit: float = Field(3600, gt=0, description="longest delay between two attempts")
    retry_give_up: float = Field(5 * 86400, gt=0, description="after so long a subscription errs")
    reconcile_every: float = Field(5.0, gt=0, description="how often what a crash left is sought")
    demo_once: bool = Field(False, description="`gateway demo` plays its scenes and exits")
    log_level: str = Field("info", description="debug, info, warning or error")

    @field_validator("mappings", "profiles", mode="before")
    @classmethod
    def _folders(cls, value: object) -> object:
        return _split(value, ":") if isinstance(value, str) else value

    @field_validator("endpoint_networks", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return _split(value, ",") if isinstance(value, str) else value

    @field_validator("mllp_ports", mode="before")
    @classmethod
    def _ports(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return dict(pair.split("=", 1) for pair in _split(value, ","))

    @property
    def database(self) -> str:
        """The URL in force: ``database_url``, else the SQLite file under ``data_dir``."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'gateway.sqlite').resolve()}"

    @property
    def work_database(self) -> str:
        """Where background work keeps its own state: beside the hub, never in its file."""
        if self.database.startswith("sqlite"):
            return f"sqlite:///{(self.data_dir / 'work.sqlite').resolve()}"
        return self.database

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where maps are searched: the user's folders, then the shipped ones."""
        return (*self.mappings, shipped("mappings"))


def shipped(name: str) -> Path:
    """The folder ``mappings`` or ``openapi``, in the wheel or in the checkout."""
    package = Path(str(importlib.resources.files("gateway")))
    inside = package / "shipped" / name
    return inside if inside.is_dir() else package.parent / name


def _split(text: str, by: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(by) if part.strip())
