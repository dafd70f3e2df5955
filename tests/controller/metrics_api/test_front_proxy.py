"""Whose headers count."""

from __future__ import annotations

import json

import pytest

from controller.metrics_api.front_proxy import ANYBODY, Caller, FrontProxy, caller_in_headers, common_names, front_proxy

DATA = {
    "client-ca-file": "another",
    "requestheader-client-ca-file": "PEM",
    "requestheader-allowed-names": '["front-proxy-client"]',
    "requestheader-username-headers": '["X-Remote-User"]',
    "requestheader-group-headers": '["X-Remote-Group"]',
    "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
}
HEADERS = [
    ("X-Remote-User", "system:serviceaccount:kube-system:horizontal-pod-autoscaler"),
    ("X-Remote-Group", "system:serviceaccounts"),
    ("x-remote-group", "others"),
    ("X-Remote-Extra-Scopes%2fa", "one"),
    ("X-Remote-Extra-Scopes%2fa", "two"),
]
PROXY = front_proxy(DATA)


def test_what_the_api_server_says():
    found = front_proxy(DATA)
    assert found == FrontProxy(
        "PEM", ("front-proxy-client",), ("x-remote-user",), ("x-remote-group",), ("x-remote-extra-",)
    )


def test_the_front_proxy_calls_for_somebody():
    assert caller_in_headers(PROXY, ["front-proxy-client"], HEADERS) == Caller(
        "system:serviceaccount:kube-system:horizontal-pod-autoscaler",
        groups=("system:serviceaccounts", "others", ANYBODY),
        extra=(("scopes/a", ("one", "two")),),
    )


@pytest.mark.parametrize(
    ("proxy", "names", "headers"),
    [
        (PROXY, [], HEADERS),  # no certificate: anybody can write headers
        (PROXY, ["somebody"], HEADERS),
        (PROXY, ["front-proxy-client"], HEADERS[1:]),
        (PROXY, ["front-proxy-client"], [("X-Remote-User", "")]),
        (FrontProxy(), ["front-proxy-client"], HEADERS),
        (front_proxy({}), ["front-proxy-client"], HEADERS),
        (front_proxy({**DATA, "requestheader-allowed-names": "nonsense"}), ["front-proxy-client"], HEADERS),
        (front_proxy({**DATA, "requestheader-allowed-names": "[1]"}), ["1"], HEADERS),
        (front_proxy({**DATA, "requestheader-username-headers": None}), ["front-proxy-client"], HEADERS),
    ],
)
def test_nobody_else_does(proxy, names, headers):
    assert caller_in_headers(proxy, names, headers) is None


def test_an_empty_list_of_names_allows_every_one_that_the_authority_has_signed():
    proxy = front_proxy({**DATA, "requestheader-allowed-names": "[]"})
    assert caller_in_headers(proxy, ["anybody"], HEADERS) is not None
    assert caller_in_headers(proxy, [], HEADERS) is None


def test_the_names_in_a_certificate():
    subject = ((("organizationName", "o"),), (("commonName", "a"),))
    assert common_names({"subject": subject}) == ["a"]
    assert common_names(None) == common_names({}) == []
    assert json.loads(DATA["requestheader-allowed-names"]) == list(PROXY.allowed_names)
