"""Certificates that openssl itself accepts."""

from __future__ import annotations

import shutil
import ssl
import subprocess

import pytest

from tests.cluster.credentials import Credentials
from tests.cluster.kubeconfig import Access, write_kubeconfig
from tests.cluster.pki import Authority, Subject

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command")


def said(*words: str) -> str:
    return subprocess.run(["openssl", *words], capture_output=True, text=True, check=True, timeout=20).stdout


def test_a_certificate_names_who_it_is_for_and_is_signed_by_its_authority(tmp_path):
    authority = Authority.create(tmp_path / "keys", "ca")
    subject = Subject("system:node:edge1", "system:nodes", ("IP:10.200.0.2", "DNS:edge1"))
    pair = authority.issue("edge1", subject)
    text = said("x509", "-in", str(pair.certificate), "-noout", "-text")
    assert "O = system:nodes, CN = system:node:edge1" in text
    assert "IP Address:10.200.0.2, DNS:edge1" in text
    assert "CA:FALSE" in text
    assert said("verify", "-CAfile", str(authority.pair.certificate), str(pair.certificate)).strip().endswith("OK")
    assert pair.key.stat().st_mode & 0o077 == 0
    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0


def test_another_authority_is_not_believed(tmp_path):
    pair = Authority.create(tmp_path / "one", "ca").issue("server", Subject("server"))
    other = Authority.create(tmp_path / "two", "ca")
    with pytest.raises(subprocess.CalledProcessError):
        said("verify", "-CAfile", str(other.pair.certificate), str(pair.certificate))


def test_a_cluster_has_all_its_certificates_and_python_trusts_the_file_that_clients_get(tmp_path):
    credentials = Credentials(tmp_path / "certificates")
    credentials.make({"cloud1": "10.200.0.1"})
    names = {path.stem for path in credentials.folder.glob("*.crt")}
    assert names >= {"ca", "apiserver", "front-proxy-ca", "front-proxy-client", "kube-scheduler", "cloud1"}
    trusted = ssl.create_default_context(cafile=credentials.pair("apiserver").certificate)
    assert len(trusted.get_ca_certs()) == 1
    path = credentials.kubeconfig("kube-proxy", "https://127.0.0.1:1")
    assert "client-certificate-data" in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o077 == 0


def test_a_kubeconfig_with_a_token_has_no_certificate(tmp_path):
    write_kubeconfig(tmp_path / "kubeconfig", Access("https://127.0.0.1:1", b"", "word", "admin"))
    text = (tmp_path / "kubeconfig").read_text(encoding="utf-8")
    assert "token: word" in text
    assert "client-certificate-data" not in text
