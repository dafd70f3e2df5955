"""The host's settings of pip reach the build; its paths become the build's."""

from __future__ import annotations

import configparser
import os

import pytest

from tests.images.pip_settings import PipSettings, host_settings, parse_settings, write_settings

LISTING = """\
:env:.cert='/from/environment.pem'
:env:.find-links='/wheels'
global.cert='/from/file.pem'
global.index-url='https://user:pa=ss@index.example/simple'
global.timeout='60'
install.timeout='90'
list.format='json'
"""


def test_variables_win_over_files_and_install_over_global():
    assert parse_settings(LISTING) == {
        "cert": "/from/environment.pem",
        "find-links": "/wheels",
        "index-url": "https://user:pa=ss@index.example/simple",
        "timeout": "90",
    }


def test_pips_own_answer_is_understood():
    environ = {
        "PATH": os.environ["PATH"],
        "PIP_TIMEOUT": "77",
        "CURL_CA_BUNDLE": "/ca.pem",
        "PIP_CONFIG_FILE": os.devnull,
    }
    found = host_settings(environ)
    assert (found["timeout"], found["cert"]) == ("77", "/ca.pem")
    assert host_settings(environ | {"PIP_CERT": "/other.pem"})["cert"] == "/other.pem"


def written(settings: dict[str, str], tmp_path) -> tuple[dict[str, str], PipSettings]:
    made = write_settings(settings, tmp_path / "pip", tmp_path / "downloads")
    parser = configparser.RawConfigParser()
    parser.read(tmp_path / "pip" / "pip.conf")
    return dict(parser["global"]), made


def test_certificates_are_copied_and_folders_of_wheels_are_mounted(tmp_path):
    (tmp_path / "ca.pem").write_text("trusted")
    (tmp_path / "wheels").mkdir()
    links = f"{tmp_path}/wheels https://wheels.example/ {tmp_path}/missing"
    found, made = written({"cert": f"{tmp_path}/ca.pem", "find-links": links, "target": "/elsewhere"}, tmp_path)
    assert found == {
        "cert": "/mnt/cert.pem",
        "find-links": "/mnt/links-0\nhttps://wheels.example/",
        "cache-dir": "/mnt/cache",
    }
    assert (tmp_path / "pip" / "cert.pem").read_text() == "trusted"
    assert made.mounts == (
        (tmp_path / "pip", "/mnt"),
        (tmp_path / "downloads", "/mnt/cache"),
        (tmp_path / "wheels", "/mnt/links-0"),
    )
    # Mounts on mounts need their folder in the outer one.
    assert all((tmp_path / "pip" / target.removeprefix("/mnt/")).is_dir() for _, target in made.mounts[1:])


def test_a_password_is_for_nobody_else(tmp_path):
    found, _ = written({"index-url": "https://user:pa%ss@index.example/simple"}, tmp_path)
    assert found["index-url"] == "https://user:pa%ss@index.example/simple"
    assert (tmp_path / "pip").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("settings", [{}, {"cert": "/missing.pem"}, {"find-links": "/missing"}])
def test_what_is_not_there_is_left_out(settings, tmp_path):
    found, _ = written(settings, tmp_path)
    assert found == {"cache-dir": "/mnt/cache"}
