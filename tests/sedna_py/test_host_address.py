from __future__ import annotations

import ipaddress

from sedna_py import host_address


def test_it_is_an_address_of_this_host():
    assert ipaddress.ip_address(host_address.get_host_ip()).version == 4


def test_without_a_route_it_is_loopback(monkeypatch):
    class NoRoute:
        def __init__(self, *_):
            pass

        def connect(self, _):
            raise OSError("network is unreachable")

        def close(self):
            pass

    monkeypatch.setattr(host_address.socket, "socket", NoRoute)
    assert host_address.get_host_ip() == "127.0.0.1"
