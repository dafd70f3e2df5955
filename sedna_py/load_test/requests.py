"""The bytes of every request, made once before the first is sent: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from sedna_py.errors import SettingsError
from sedna_py.load_test.options import LoadOptions, Priority, Target
from sedna_py.protocol import sedna_json
from sedna_py.protocol.headers import DEADLINE_MS, PRIORITY
from sedna_py.protocol.media_types import JPEG, JSON
from sedna_py.protocol.open_inference.binary_form import CONTENT_TYPE, HEADER_LENGTH
from sedna_py.protocol.open_inference.request import InferRequest, encode_request
from sedna_py.protocol.open_inference.tensors import Tensor
from sedna_py.settings import redact

_URGENCY: Final = {Priority.URGENT: "u=1", Priority.BACKGROUND: "u=5"}
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens; `path` is that of the URL, without a slash at its end."""

    host: str
    port: int
    tls: bool
    path: str

    @property
    def authority(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.tls else "http"] else f"{host}:{self.port}"


def parse_url(url: str) -> Address:
    """Return the parts of a server's address. Raises SettingsError."""
    problem = f"the address {redact(url)[:200]!r} is not usable; write http://host:port"
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError as error:
        raise SettingsError(problem) from error
    if parts.scheme not in _PORTS or not host or parts.query or parts.fragment or port == 0:
        raise SettingsError(problem)
    if parts.username is not None:
        raise SettingsError(f"{problem}, and credentials as --header 'Authorization: ...'")
    return Address(host, port or _PORTS[parts.scheme], parts.scheme == "https", quote(parts.path.rstrip("/"), "/%:@"))


def build_requests(options: LoadOptions, address: Address) -> list[bytes]:
    """Return whole POST requests, head and body in one piece, one for each picture or the text."""
    if options.target is Target.OIP:
        path = f"{address.path}/v2/models/{quote(options.model, '')}/infer"
        tensor = options.tensor or ("image" if options.data is None else "data")
        elements = options.images if options.data is None else [options.data.encode()]
        return [_request(options, address, path, *_tensor_body(tensor, element)) for element in elements]
    path = f"{address.path}/{quote(options.prefix.strip('/'))}/predict"
    if options.data is not None:
        return [_request(options, address, path, sedna_json.encode_request([options.data]), {"Content-Type": JSON})]
    return [_request(options, address, path, image, {"Content-Type": JPEG}) for image in options.images]


def _tensor_body(name: str, element: bytes) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of an inference request with one BYTES tensor of one element, in the binary form."""
    body, header_length = encode_request(InferRequest((Tensor.of_bytes(name, [element]),)), binary=True)
    return body, {"Content-Type": CONTENT_TYPE, HEADER_LENGTH: str(header_length)}


def _request(options: LoadOptions, address: Address, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    said = {"Host": address.authority, "User-Agent": "sedna-bench", "Accept": "*/*", **headers}
    if options.deadline_ms is not None:
        said[DEADLINE_MS] = str(options.deadline_ms)
    if options.priority is not None:
        said[PRIORITY] = _URGENCY[options.priority]
    # One that is given wins over ours, whatever the case of its name.
    given = {name.lower() for name, _ in options.headers}
    fields = [(name, value) for name, value in said.items() if name.lower() not in given]
    fields += [*options.headers, ("Content-Length", str(len(body)))]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body
