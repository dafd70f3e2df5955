"""The host's settings of pip, for a pip that runs in a build: where packages come from and whom to trust."""

from __future__ import annotations

import ast
import configparser
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import BuildError

MOUNTED_AT = "/mnt"  # of every image's file system, so that no folder is made for it
FILE_NAME = "pip.conf"  # the Dockerfile's PIP_CONFIG_FILE
PIP_TIMEOUT_S = 60
TEXTS = ("index-url", "extra-index-url", "no-index", "trusted-host", "proxy", "timeout", "default-timeout", "retries")
CERTIFICATES = ("cert", "client-cert")
# What pip takes from the environment where its own setting is missing.
CERTIFICATE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
LINKS = "find-links"


@dataclass(frozen=True)
class PipSettings:
    """What to mount: pairs of a folder here and one in the build."""

    mounts: tuple[tuple[Path, str], ...]


def host_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what pip here is told by its files and its variables, by option."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    try:
        done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, timeout=PIP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise BuildError(f"`pip config list` took more than {PIP_TIMEOUT_S} s") from None
    settings = parse_settings(done.stdout)
    bundles = [environ[name] for name in CERTIFICATE_VARIABLES if environ.get(name)]
    if bundles:
        settings.setdefault("cert", bundles[0])
    return settings


def parse_settings(listing: str) -> dict[str, str]:
    """Return the options in the output of `pip config list`; its order is that in which a later one wins."""
    found: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):
        for line in listing.splitlines():
            key, separator, value = line.partition("=")
            if separator and key.startswith(section):
                found[key.removeprefix(section)] = str(ast.literal_eval(value))
    return found


def write_settings(settings: Mapping[str, str], folder: Path, downloads: Path) -> PipSettings:
    """Write a pip.conf and the certificates it names into a folder for one build; downloads are kept in the other."""
    folder.mkdir(mode=0o700)
    (folder / "cache").mkdir()
    written = {name: settings[name] for name in TEXTS if name in settings}
    for name in CERTIFICATES:
        if name in settings and Path(settings[name]).is_file():
            shutil.copy(settings[name], folder / f"{name}.pem")
            written[name] = f"{MOUNTED_AT}/{name}.pem"
    links = list(_links(settings.get(LINKS, ""), folder))
    if links:
        written[LINKS] = "\n".join(name for name, _ in links)
    written["cache-dir"] = f"{MOUNTED_AT}/cache"
    parser = configparser.RawConfigParser()
    parser["global"] = written
    with (folder / FILE_NAME).open("w", encoding="utf-8") as file:
        parser.write(file)
    downloads.mkdir(parents=True, exist_ok=True)
    inner = [(downloads, f"{MOUNTED_AT}/cache"), *((source, name) for name, source in links if source)]
    return PipSettings(((folder, MOUNTED_AT), *inner))


def _links(value: str, folder: Path) -> Iterator[tuple[str, Path | None]]:
    """Yield each place of find-links as the build sees it, with the folder here that it stands for."""
    for number, place in enumerate(value.split()):
        if "://" in place:
            yield place, None
        elif Path(place).is_dir():
            (folder / f"links-{number}").mkdir()
            yield f"{MOUNTED_AT}/links-{number}", Path(place).absolute()
