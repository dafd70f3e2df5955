"""Certificates of a test's own authorities, made with the openssl command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.system import run_tool

VALID_DAYS = "365"
# Only what openssl insists on: the system's own file would add extensions.
CONFIG = "[req]\ndistinguished_name = dn\n[dn]\n"
EC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
# The API server also signs service account tokens with its key, and reads RSA keys of every form there.
RSA_KEY = ("-newkey", "rsa:2048")


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, two PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Subject:
    """Who a certificate is for; Kubernetes reads `organisation` as a group. Names are `DNS:...` and `IP:...`."""

    name: str
    organisation: str = ""
    alternative_names: Sequence[str] = ()

    @property
    def text(self) -> str:
        return (f"/O={self.organisation}" if self.organisation else "") + f"/CN={self.name}"


@dataclass(frozen=True)
class Authority:
    """Signs certificates into the folder that its own is in."""

    pair: KeyPair

    @classmethod
    def create(cls, folder: Path, name: str) -> Authority:
        """Make an authority of this name; its files are `<name>.crt` and `<name>.key`."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "openssl.cnf").write_text(CONFIG, encoding="utf-8")
        pair = pair_in(folder, name)
        extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,digitalSignature"]
        request(pair, Subject(name), EC_KEY, extensions, [])
        return cls(pair)

    def issue(self, file: str, subject: Subject, *, key: Sequence[str] = EC_KEY) -> KeyPair:
        """Make a certificate for clients and servers with a key of its own."""
        pair = pair_in(self.pair.key.parent, file)
        extensions = ["basicConstraints=critical,CA:FALSE", "extendedKeyUsage=clientAuth,serverAuth"]
        if subject.alternative_names:
            extensions.append("subjectAltName=" + ",".join(subject.alternative_names))
        signer = ["-CA", str(self.pair.certificate), "-CAkey", str(self.pair.key)]
        request(pair, subject, key, extensions, signer)
        return pair


def pair_in(folder: Path, name: str) -> KeyPair:
    """Return the two paths of this name."""
    return KeyPair(folder / f"{name}.crt", folder / f"{name}.key")


def request(
    pair: KeyPair, subject: Subject, key: Sequence[str], extensions: Sequence[str], signer: Sequence[str]
) -> None:
    """Make one certificate, signed by itself without a signer."""
    added = [part for extension in extensions for part in ("-addext", extension)]
    files = ["-keyout", str(pair.key), "-out", str(pair.certificate), "-config", str(pair.key.parent / "openssl.cnf")]
    arguments = ["-x509", "-noenc", "-days", VALID_DAYS, "-subj", subject.text, *key, *files, *added, *signer]
    run_tool("openssl", "req", *arguments)
