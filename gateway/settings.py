"""Every setting, from the environment (prefix ``GATEWAY_``); each is also a flag of ``serve``."""

from __future__ import annotations

import importlib.resources
import os
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

KEEPING: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""Of libpq, where the URL doesn't say otherwise: a server's host that went without a word is found
out within seconds."""

ROLES: Final = ("api", "mllp", "work")


RECENT: Final = 7
"""Days for which a message that comes again gets its stored answer, whatever is purged: longer than
anybody goes on sending it."""


class Settings(BaseSettings):
    """The settings of one gateway process. Sizes are bytes, times seconds."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", frozen=True)

    database_url: str = Field("", description="SQLAlchemy URL; empty: a SQLite file in data_dir")
    data_dir: Path = Field(Path("gateway-data"), description="where the embedded files stand")
    roles: Annotated[tuple[str, ...], NoDecode] = Field(
        ROLES,
        description="what this process does: api, mllp, work; without work on PostgreSQL alone",
    )
    host: str = Field("127.0.0.1", description="address that HTTP and MLLP listen on")
    port: int = Field(8080, ge=0, le=65535, description="HTTP port; 0 takes a free one")
    public_url: str = Field(
        "", description="address by which others reach HTTP here; empty: http://host:port"
    )
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
    maps_check: float = Field(
        2.0, ge=0, description="seconds between two looks for edited maps; 0: never"
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
    agency_rate: float = Field(
        0, ge=0, description="calls and messages a second that an agency may make; 0: no limit"
    )
    agency_burst: int = Field(
        0, ge=0, description="how many of them may come at once; 0: a second's worth"
    )
    agency_in_hand: int = Field(
        1000, ge=0, description="calls and messages of an agency under way at a time; 0: no limit"
    )
    most_in_hand: int = Field(
        2000, gt=0, description="calls and messages of all agencies under way at a time"
    )
    stranger_rate: float = Field(
        50, ge=0, description="calls a second from one address without a valid key; 0: no limit"
    )
    stranger_burst: int = Field(500, gt=0, description="how many of them may come at once")
    proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1",),
        description="addresses and networks of balancers whose X-Forwarded-For says who calls",
    )
    import_limit: int = Field(2**30, gt=0, description="largest body of a bulk import, bytes")
    feed_secrets: dict[str, SecretStr] = Field(
        default_factory=dict,
        description='what webhooks sign with, by feed: {"st-brigid/referrals": "whsec_..."}',
    )
    dropbox: Path | None = Field(
        None, description="folder that is watched for files: <agency>/<feed>/…; unset, none is"
    )
    dropbox_every: float = Field(5.0, gt=0, description="how often the dropbox is looked into")
    load_limit: int = Field(
        16 * 2**30, gt=0, description="largest load of rows, bytes, archives unpacked"
    )
    bulk_keep: float = Field(86400, gt=0, description="so long a bulk job's files are kept")
    keep_messages: float = Field(
        0, ge=0, description="days that an accepted message is kept as it came; 0: for ever"
    )
    keep_failed: float = Field(
        0, ge=0, description="days that what failed or was set aside is kept; 0: until dealt with"
    )
    keep_audit: float = Field(0, ge=0, description="days that the trail is kept; 0: for ever")
    keep_deliveries: float = Field(
        0, ge=0, description="days that a delivery's record is kept; 0: for ever"
    )
    keep_history: float = Field(
        0, ge=0, description="days that a version is kept once another followed; 0: for ever"
    )
    idle_timeout: float = Field(600, gt=0, description="an MLLP connection may be silent so long")
    header_timeout: float = Field(10, gt=0, description="an HTTP request's headers must be in")
    body_timeout: float = Field(30, gt=0, description="an HTTP request's body must be in")
    drain_timeout: float = Field(30, gt=0, description="how long SIGTERM waits for work in hand")
    endpoint_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="private networks (CIDR) that endpoints may stand in"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="whose pages may call from a browser: https://app.example, or *"
    )
    retry_first: float = Field(1.0, gt=0, description="first delay of a failed delivery")
    retry_limit: float = Field(3600, gt=0, description="longest delay between two attempts")
    retry_refused: float = Field(
        3600, gt=0, description="after so long what a receiver refuses is set aside"
    )
    retry_give_up: float = Field(5 * 86400, gt=0, description="after so long a subscription errs")
    link_for: float = Field(14 * 86400, gt=0, description="so long a mailed link is good")
    smtp_host: str = Field("", description="the mail server that e-mails are handed to")
    smtp_port: int = Field(587, gt=0, le=65535, description="its port")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="TLS with that server: starttls, tls, or none (best on loopback)"
    )
    smtp_ca: Path | None = Field(
        None, description="PEM of the CA of that server; unset, the system's are trusted"
    )
    smtp_user: str = Field("", description="who we are there; empty: nobody is asked")
    smtp_password: str = Field("", repr=False, description="the password of smtp_user")
    smtp_from: str = Field("", description="the address that e-mails come from")
    reconcile_every: float = Field(5.0, gt=0, description="how often what a crash left is sought")
    navigator: str = Field(
        "", description="the agency whose people take referrals that nobody takes; empty: admins"
    )
    timezone: str = Field("UTC", description="IANA zone of the community's working days")
    acknowledge_urgent: float = Field(
        4 * 3600, gt=0, description="an urgent referral is to be answered within it"
    )
    acknowledge_routine: int = Field(
        3, gt=0, description="working days within which a routine referral is to be answered"
    )
    waitlist_look: int = Field(
        1, gt=0, description="working days between two looks for somebody else while one waits"
    )
    referral_hops: int = Field(5, gt=0, description="how many agencies are asked, at most")
    referral_pace: float = Field(
        1.0, gt=0, description="divides the times of referrals: 3600 makes hours of seconds"
    )
    demo_once: bool = Field(False, description="`gateway demo` plays its scenes and exits")
    log_level: str = Field("info", description="debug, info, warning or error")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="json, console, or auto: for people where stderr is a terminal"
    )
    otel_endpoint: str = Field(
        "", description="where spans go by OTLP over HTTP (http://host:4318); empty: nowhere"
    )
    metrics_public: bool = Field(False, description="whether /metrics opens without a key")

    @field_validator("mappings", "profiles", mode="before")
    @classmethod
    def _folders(cls, value: object) -> object:
        return _split(value, ":") if isinstance(value, str) else value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("no timezone of the IANA database") from None
        return value

    @field_validator("keep_messages", "keep_failed", "keep_deliveries", "keep_history")
    @classmethod
    def _long(cls, value: float) -> float:
        if 0 < value < RECENT:
            raise ValueError(f"{RECENT} days or more, or 0: what is younger is still asked for")
        return value

    @field_validator("roles")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not set(value) <= set(ROLES):
            raise ValueError(f"some of {', '.join(ROLES)}")
        return value

    @field_validator("endpoint_networks", "cors_origins", "roles", "proxies", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return _split(value, ",") if isinstance(value, str) else value

    @field_validator("mllp_ports", mode="before")
    @classmethod
    def _ports(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return dict(pair.split("=", 1) for pair in _split(value, ","))

    @property
    def root(self) -> str:
        """The address by which others reach HTTP here, without a slash at its end."""
        return self.public_url.rstrip("/") or f"http://{self.host}:{self.port}"

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
