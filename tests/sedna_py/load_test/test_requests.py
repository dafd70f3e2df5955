"""The bytes that go out, and the options that are refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sedna_py.errors import SettingsError
from sedna_py.load_test.options import LoadOptions, Priority, Target, check, read_header
from sedna_py.load_test.pictures import load_pictures
from sedna_py.load_test.requests import build_requests, parse_url


def built(options: LoadOptions) -> list[tuple[str, dict[str, str], bytes]]:
    parts = []
    for request in build_requests(options, parse_url(options.url)):
        head, _, body = request.partition(b"\r\n\r\n")
        line, *rest = head.decode("ascii").split("\r\n")
        headers = dict(item.split(": ", 1) for item in rest)
        assert len(headers) == len(rest)
        assert headers["Content-Length"] == str(len(body))
        parts.append((line, headers, body))
    return parts


def test_pictures_go_to_our_own_endpoint_as_they_are(jpeg):
    options = LoadOptions("http://h:5000/", [jpeg, jpeg + b"2"], deadline_ms=250, priority=Priority.BACKGROUND)
    first, second = built(options)
    assert first[0] == "POST /sedna/predict HTTP/1.1"
    assert first[1]["Host"] == "h:5000"
    assert first[1]["Content-Type"] == "image/jpeg"
    assert first[1]["X-Deadline-Ms"] == "250"
    assert first[1]["Priority"] == "u=5"
    assert (first[2], second[2]) == (jpeg, jpeg + b"2")


def test_a_text_is_a_list_of_one_datum():
    ((line, headers, body),) = built(LoadOptions("https://h/base/", data="grüße", prefix="/mine/"))
    assert line == "POST /base/mine/predict HTTP/1.1"
    assert headers["Host"] == "h"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"data": ["grüße"]}


def test_an_inference_request_has_one_binary_tensor(jpeg):
    options = LoadOptions("http://[::1]:8000", [jpeg], target=Target.OIP, model="big model/1")
    ((line, headers, body),) = built(options)
    assert line == "POST /v2/models/big%20model%2F1/infer HTTP/1.1"
    assert headers["Host"] == "[::1]:8000"
    assert headers["Content-Type"] == "application/octet-stream"
    size = int(headers["Inference-Header-Content-Length"])
    (tensor,) = json.loads(body[:size])["inputs"]
    assert (tensor["name"], tensor["shape"], tensor["datatype"]) == ("image", [1], "BYTES")
    binary = body[size:]
    assert tensor["parameters"] == {"binary_data_size": len(binary)}
    assert int.from_bytes(binary[:4], "little") == len(jpeg)
    assert binary[4:] == jpeg
    ((_, _, body),) = built(replace(options, images=(), data="é", tensor="words"))
    assert b'"name":"words"' in body
    ((_, _, unnamed),) = built(replace(options, images=(), data="é"))
    assert b'"name":"data"' in unnamed
    assert body.endswith(b"\x02\x00\x00\x00\xc3\xa9")


def test_a_header_that_is_given_wins(jpeg):
    options = LoadOptions(
        "http://h", [jpeg], headers=[read_header("host: other"), read_header("Authorization: Bearer a:b")]
    )
    ((_, headers, _),) = built(options)
    assert "Host" not in headers
    assert headers["host"] == "other"
    assert headers["Authorization"] == "Bearer a:b"


@pytest.mark.parametrize(
    "url", ["h:5000", "ftp://h", "http://", "http://h:x", "http://h:0", "http://h?x=1", "http://[h"]
)
def test_an_address_that_cannot_be_used_is_refused_with_one_that_can(url):
    with pytest.raises(SettingsError, match="write http://host:port"):
        parse_url(url)


def test_a_password_is_neither_used_nor_repeated():
    with pytest.raises(SettingsError, match="--header 'Authorization") as raised:
        parse_url("http://me:secret@h:5000")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"images": ()}, "--image FILE_OR_FOLDER"),
        ({"data": "x"}, "--image FILE_OR_FOLDER"),
        ({"target": Target.OIP}, "--model NAME"),
        ({"connections": 0}, "--connections is 0"),
        ({"connections": 5000}, "--connections is 5000"),
        ({"rate": 0.0}, "--rate is 0"),
        ({"rate": float("nan")}, "--rate is nan"),
        ({"seconds": 0.0}, "--seconds is 0"),
        ({"warmup_s": -1.0}, "--warm-up is -1"),
        ({"timeout_s": 0.0}, "--timeout is 0"),
        ({"deadline_ms": -1}, "--deadline-ms is -1"),
        ({"headers": [("A", "b\r\nC: d")]}, "on one line"),
        ({"headers": [("content-LENGTH", "5")]}, "leave it out"),
    ],
)
def test_options_that_cannot_be_run_are_refused(jpeg, change, advice):
    options = LoadOptions("http://h", [jpeg])
    check(options)
    with pytest.raises(SettingsError, match=advice):
        check(replace(options, **change))


def test_pictures_are_files_or_all_of_a_folder_in_order(tmp_path, jpeg):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("b.JPG", "a.jpeg", "notes.txt"):
        (folder / name).write_bytes(jpeg + name.encode())
    assert load_pictures([folder / "b.JPG", folder]) == [jpeg + b"b.JPG", jpeg + b"a.jpeg", jpeg + b"b.JPG"]


def test_what_is_no_picture_is_refused(tmp_path, monkeypatch):
    with pytest.raises(SettingsError, match="name a JPEG file or a folder"):
        load_pictures([tmp_path / "none.jpg"])
    with pytest.raises(SettingsError, match=r"no \.jpg or \.jpeg in this folder"):
        load_pictures([tmp_path])
    (tmp_path / "x.jpg").write_bytes(b"\x89PNG")
    with pytest.raises(SettingsError, match="is not a JPEG file"):
        load_pictures([tmp_path])
    monkeypatch.setattr("sedna_py.load_test.pictures.MAX_PAYLOAD_BYTES", 3)
    with pytest.raises(SettingsError, match="name a smaller picture"):
        load_pictures([tmp_path])
