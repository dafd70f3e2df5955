"""What the controller reads from its environment."""

from __future__ import annotations

import re
import socket
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from controller.desired_state import DEFAULT_CONTROLLER_ADDRESS, DEFAULT_STORAGE_INITIALIZER_IMAGE, Placement
from sedna_py.settings import Settings

_LAST_PORT: Final = 65535
_NAMESPACE: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class ControllerSettings(Settings):
    """What the controller needs to know; all of it has a default that works."""

    namespaces: tuple[str, ...] = Field(
        (), alias="WATCH_NAMESPACES", description="namespaces to serve, with commas between them; empty = all"
    )
    pod_name: str = Field(default_factory=socket.gethostname, alias="POD_NAME", description="the name of this replica")
    pod_namespace: str = Field("sedna", alias="POD_NAMESPACE", description="the namespace of this replica's lease")
    pod_ip: str = Field("127.0.0.1", alias="POD_IP", description="the address at which other replicas reach this one")
    leader_election: bool = Field(
        True, alias="LEADER_ELECTION", description="true, or false for a controller that is alone"
    )
    lease_name: str = Field("sedna-controller", alias="LEASE_NAME", description="the name of the Lease to hold")
    lease_duration_s: int = Field(
        8,
        alias="LEASE_DURATION_S",
        ge=4,
        le=120,
        description="seconds without renewal after which another replica leads",
    )
    http_host: str = Field(
        "0.0.0.0",  # noqa: S104 - a server in a pod
        alias="HTTP_HOST",
        description="the address to serve health, metrics, reports and the metrics API on",
    )
    http_port: int = Field(9100, alias="HTTP_PORT", ge=0, le=65535, description="the port for them; 0 takes a free one")
    activator_port: int = Field(
        9200,
        alias="ACTIVATOR_PORT",
        ge=1,
        le=65535,
        description="the first of the ports at which the leader answers for cloud workers that are scaled to zero",
    )
    activator_ports: int = Field(
        200,
        alias="ACTIVATOR_PORTS",
        ge=1,
        le=4096,
        description="how many ports there are for that: so many cloud workers may sleep at once",
    )
    metrics_api: bool = Field(
        True,
        alias="METRICS_API",
        description="true to serve custom.metrics.k8s.io for autoscalers, where all namespaces are served and deploy/metrics-api"
        " is applied; false where something else does",
    )
    metrics_api_port: int = Field(
        9443, alias="METRICS_API_PORT", ge=0, le=65535, description="the port for that; 0 takes a free one"
    )
    controller_address: str = Field(
        DEFAULT_CONTROLLER_ADDRESS,
        alias="CONTROLLER_ADDRESS",
        description="http://host:port where cloud workers reach this controller, to pass reports on",
    )
    edge_lc_server: str | None = Field(
        None,
        alias="EDGE_LC_SERVER",
        description="http://host:port for the edges' reports; absent = the address at which they find the cloud worker",
    )
    storage_initializer_image: str = Field(
        DEFAULT_STORAGE_INITIALIZER_IMAGE,
        alias="STORAGE_INITIALIZER_IMAGE",
        description="the image of the init container that fetches models",
    )
    concurrency: int = Field(8, alias="CONCURRENT_RECONCILES", ge=1, le=256, description="services handled at once")
    request_timeout_s: float = Field(
        20.0, alias="API_TIMEOUT_S", gt=0, le=300, description="seconds for one request to the API server"
    )
    resync_s: float = Field(
        600.0, alias="RESYNC_S", ge=1, le=86400, description="seconds between two comparisons with a full list"
    )
    status_interval_s: float = Field(
        1.0, alias="STATUS_INTERVAL_S", ge=0, le=60, description="least seconds between two status writes of a service"
    )
    report_interval_s: float = Field(
        10.0,
        alias="REPORT_INTERVAL_S",
        ge=0,
        le=3600,
        description="least seconds between two writes of reported counts",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", alias="LOG_LEVEL", description="DEBUG, INFO, WARNING or ERROR"
    )
    log_format: Literal["text", "json"] = Field("text", alias="LOG_FORMAT", description="text or json")

    @field_validator("namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))

    @field_validator("namespaces")
    @classmethod
    def _are_namespaces(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [name for name in value if not _NAMESPACE.fullmatch(name)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} cannot be a namespace")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: str) -> str:
        return value.upper()

    @field_validator("controller_address", "edge_lc_server")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("not an http address")
        return value

    @model_validator(mode="after")
    def _ports_exist(self) -> Self:
        if self.activator_port + self.activator_ports - 1 > _LAST_PORT:
            raise ValueError("ACTIVATOR_PORT and ACTIVATOR_PORTS go beyond port 65535; write less")
        return self

    @property
    def activator_range(self) -> range:
        """The ports for cloud workers that are scaled to zero."""
        return range(self.activator_port, self.activator_port + self.activator_ports)

    @property
    def placement(self) -> Placement:
        """What of this goes into the objects."""
        return Placement(
            storage_initializer_image=self.storage_initializer_image,
            controller_address=self.controller_address,
            edge_lc_server=self.edge_lc_server,
        )
