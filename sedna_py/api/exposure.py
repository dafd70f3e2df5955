"""How the cloud worker is made reachable for edges: one block of the spec, and the addresses that can be written in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from sedna_py.api.base import ApiModel, problem
from sedna_py.api.child_names import BIG_MODEL_PORT
from sedna_py.api.wording import show

ExposureType = Literal["ClusterIP", "NodePort", "LoadBalancer", "Address"]

NODE_PORTS: Final = (30000, 32767)
ADDRESS_FORM: Final = (
    "write host or host:port, such as 192.0.2.10:30500, an IPv6 address with a port as [2001:db8::1]:30500"
)
BARE_HOST: Final = "write the host alone, as the Service's nodePort is the port"
_HOST_PORT: Final = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<host>[^\[\]:]*))(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_CLUSTER_NAME: Final = re.compile(r".+\.svc(\.[a-z0-9.-]+)?\.?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class HostPort:
    """Where to connect: a host name or an IP address without brackets, and a port (None: none was written)."""

    host: str
    port: int | None = None

    def url(self, default_port: int = BIG_MODEL_PORT) -> str:
        """Return it as an http URL without a path."""
        return f"http://{self.text(default_port)}"

    def text(self, default_port: int = BIG_MODEL_PORT) -> str:
        """Return it as host:port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port or default_port}"

    @property
    def is_cluster_name(self) -> bool:
        """Tell whether only the DNS of a cluster knows the host."""
        return _CLUSTER_NAME.fullmatch(self.host) is not None


def parse_address(text: str) -> HostPort | None:
    """Return the parts of host, host:port, [IPv6]:port or a bare IPv6 address; None for anything else."""
    if _is_ipv6(text):
        return HostPort(text)
    found = _HOST_PORT.fullmatch(text)
    if found is None:
        return None
    host = found["six"] if found["six"] is not None else found["host"]
    good = _is_ipv6(host) if found["six"] is not None else _HOST_NAME.fullmatch(host) is not None
    port = int(found["port"]) if found["port"] else None
    return HostPort(host, port) if good and (port is None or 1 <= port <= 65535) else None


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


class Exposure(ApiModel):
    """How edges reach the cloud worker."""

    type: ExposureType = Field(
        default="ClusterIP",
        description="ClusterIP, the default, needs EdgeMesh at the edge; NodePort and LoadBalancer are types of the"
        " Service; Address is a way of your own.",
    )
    address: str | None = Field(
        default=None,
        description="For Address: host or host:port (5000) that edges reach; for NodePort: the node's host.",
        validate_default=True,
    )
    node_port: Annotated[int, Field(ge=NODE_PORTS[0], le=NODE_PORTS[1])] | None = Field(
        default=None, description="For NodePort: the port; the cluster chooses one when absent."
    )

    @field_validator("address")
    @classmethod
    def _address_fits_type(cls, text: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("type")
        if text is None:
            if kind == "Address":
                raise problem("is missing; write host or host:port at which edges reach the cloud worker")
            return None
        if kind in {"ClusterIP", "LoadBalancer"}:
            raise problem(f"does not belong to type {kind}; remove it, or write type: Address")
        found = parse_address(text)
        if found is None:
            raise problem(f"is {show(text)}; {ADDRESS_FORM}")
        if kind == "NodePort" and found.port is not None:
            raise problem(f"is {show(text)}; {BARE_HOST}")
        return text

    @field_validator("node_port")
    @classmethod
    def _port_fits_type(cls, port: int | None, info: ValidationInfo) -> int | None:
        kind = info.data.get("type")
        if port is not None and kind is not None and kind != "NodePort":
            raise problem(f"does not belong to type {kind}; remove it, or write type: NodePort")
        return port

    @property
    def written(self) -> HostPort | None:
        """The address as it was written, None where none was."""
        return parse_address(self.address) if self.address is not None else None
