"""The certificate, as OpenSSL sees it."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from controller.errors import ControllerError
from controller.metrics_api.certificates import RENEW_AFTER, make_certificate, still_valid
from controller.metrics_api.tls import server_context

NOW = datetime(2026, 5, 1, tzinfo=UTC)
NAMES = ["sedna-metrics-api.sedna.svc", "127.0.0.1"]


def test_the_authority_signs_this_one_certificate_only():
    made = make_certificate(NAMES, NOW)
    [authority], [certificate] = (x509.load_pem_x509_certificates(pem) for pem in (made.authority, made.certificate))
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == NAMES[:1]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == NAMES[1:]
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    assert make_certificate(NAMES, NOW).authority != made.authority


def test_it_is_due_long_before_it_ends_and_after_a_clock_that_was_put_back():
    made = make_certificate(NAMES, NOW)
    [certificate] = x509.load_pem_x509_certificates(made.certificate)
    assert not made.is_due(NOW)
    assert made.is_due(NOW + RENEW_AFTER)
    assert certificate.not_valid_after_utc - (NOW + RENEW_AFTER) >= timedelta(days=3)
    assert made.is_due(NOW - timedelta(days=1))


def test_of_a_bundle_the_valid_ones_are_found():
    old, new = make_certificate(NAMES, NOW - timedelta(days=30)), make_certificate(NAMES, NOW)
    assert still_valid(old.authority + new.authority, NOW) == [new.authority]
    assert still_valid(b"", NOW) == []
    assert still_valid(b"nonsense", NOW) == []


def test_the_key_is_in_no_text_of_it():
    made = make_certificate(NAMES, NOW)
    assert "KEY" not in repr(made)
    assert "KEY" not in f"{made}"


def test_a_context_asks_for_the_front_proxys_certificate_only_where_there_is_one():
    made = make_certificate(NAMES, NOW)
    assert server_context(made, "").verify_mode is ssl.CERT_NONE
    assert server_context(made, made.authority.decode()).verify_mode is ssl.CERT_OPTIONAL
    with pytest.raises(ControllerError, match="front proxy's authority cannot be read"):
        server_context(made, "nonsense")
