"""How the cloud worker is exposed: which addresses can be written, and what goes with which type."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sedna_py.api.exposure import Exposure, HostPort, parse_address


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("h", HostPort("h")),
        ("cloud-1.example.com:80", HostPort("cloud-1.example.com", 80)),
        ("192.0.2.1", HostPort("192.0.2.1")),
        ("192.0.2.1:65535", HostPort("192.0.2.1", 65535)),
        ("h:0080", HostPort("h", 80)),
        ("2001:db8::1", HostPort("2001:db8::1")),
        ("[2001:db8::1]", HostPort("2001:db8::1")),
        ("[2001:db8::1]:81", HostPort("2001:db8::1", 81)),
        ("::ffff:192.0.2.1", HostPort("::ffff:192.0.2.1")),
        *(
            (bad, None)
            for bad in ("", ":80", "h:", "h:0", "h:65536", "h:x", "-h", "[h]", "[::1", "::1]", "fe80::1%eth0")
        ),
        *((bad, None) for bad in ("http://h", "h/p", "u:p@h", "a b", "h\n", "h:1:2", "[::1]80", "ä.example")),
    ],
)
def test_an_address_has_a_host_and_perhaps_a_port(text: str, parts: HostPort | None) -> None:
    assert parse_address(text) == parts


@pytest.mark.parametrize(
    ("target", "url"),
    [
        (HostPort("h"), "http://h:5000"),
        (HostPort("192.0.2.1", 30500), "http://192.0.2.1:30500"),
        (HostPort("2001:db8::1", 81), "http://[2001:db8::1]:81"),
    ],
)
def test_a_target_as_url(target: HostPort, url: str) -> None:
    assert target.url() == url


@pytest.mark.parametrize(
    ("host", "internal"),
    [
        ("x.ns.svc", True),
        ("x.ns.svc.cluster.local", True),
        ("X.ns.SVC.", True),
        ("svc", False),
        ("x.ns.svc-a.example", False),
        ("x.example", False),
        ("192.0.2.1", False),
    ],
)
def test_names_of_a_clusters_dns_are_told(host: str, internal: bool) -> None:
    assert HostPort(host).is_cluster_name is internal


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"type": "Address"}, "address: is missing; write host or host:port at which edges reach the cloud worker"),
        ({"address": "h"}, "address: does not belong to type ClusterIP; remove it, or write type: Address"),
        ({"type": "NodePort", "address": "h:1"}, 'address: is "h:1"; write the host alone, as'),
        ({"nodePort": 30000}, "nodePort: does not belong to type ClusterIP; remove it, or write type: NodePort"),
        ({"type": "Address", "address": "h/"}, 'address: is "h/"; write host or host:port, such as'),
    ],
)
def test_what_does_not_go_together_says_what_to_write(document: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Exposure.model_validate(document)
    [found] = caught.value.errors()
    assert f"{found['loc'][0]}: {found['msg']}".startswith(said)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"type": "ClusterIP"},
        {"type": "LoadBalancer"},
        {"type": "NodePort"},
        {"type": "NodePort", "address": "192.0.2.1", "nodePort": 32767},
        {"type": "NodePort", "address": "2001:db8::1"},
        {"type": "NodePort", "address": "[2001:db8::1]"},
        {"type": "Address", "address": "h:1"},
        {"type": None, "address": None},
    ],
)
def test_what_goes_together(document: dict[str, object]) -> None:
    written = {key: value for key, value in document.items() if value is not None}
    assert Exposure.model_validate(written).model_dump(by_alias=True, exclude_unset=True) == written
