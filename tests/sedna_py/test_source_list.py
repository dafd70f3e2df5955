"""Several sources in one text, and how they are shown."""

from __future__ import annotations

import pytest

from sedna_py.errors import SourceError
from sedna_py.source_list import change_paths, file_name, read_sources, shown, unique_names, write_sources


def listed(text: str, *existing: str) -> list[tuple[str, str]]:
    return [(source.name, source.address) for source in read_sources(text, lambda path: path in existing)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("clip.mp4", [("", "clip.mp4")]),
        ("0", [("", "0")]),
        ("a.mp4,/b.mp4 , 1", [("", "a.mp4"), ("", "/b.mp4"), ("", "1")]),
        ("door=rtsp://h/1,rtsp://h/2", [("door", "rtsp://h/1"), ("", "rtsp://h/2")]),
        ("door=rtsp://h/1,\n yard=rtsp://h/2", [("door", "rtsp://h/1"), ("yard", "rtsp://h/2")]),
        ("rtsp://h/x?range=1,2,in=watch:/in", [("", "rtsp://h/x?range=1,2"), ("in", "watch:/in")]),
        ("rtsp://u:p,ss,word@h/1,push://door", [("", "rtsp://u:p,ss,word@h/1"), ("", "push://door")]),
        ("rtsp://u:p,/s,x=/s@h:5/1,/a@b", [("", "rtsp://u:p,/s,x=/s@h:5/1"), ("", "/a@b")]),
        (
            "rtsp://h:554,rtsp://[::1]:554/x,rtsp://h:1/a,/b",
            [("", "rtsp://h:554"), ("", "rtsp://[::1]:554/x"), ("", "rtsp://h:1/a"), ("", "/b")],
        ),
        ("http://h/a,b.jpg,./c.mp4,d.mp4", [("", "http://h/a,b.jpg"), ("", "./c.mp4"), ("", "d.mp4")]),
        ("rtsp://u:a=b@h/1", [("", "rtsp://u:a=b@h/1")]),
        ('["a,b.mp4", "x=rtsp://u:p,/w@h/1"]', [("", "a,b.mp4"), ("x", "rtsp://u:p,/w@h/1")]),
    ],
)
def test_lists(text, expected):
    assert listed(text) == expected
    assert listed(write_sources(read_sources(text, lambda _: False))) == expected


def test_what_exists_is_one_source_whatever_is_in_its_name():
    for path in ("a,b.mp4", "[1].mp4", "x=1.mp4"):
        assert listed(path, path) == [("", path)]
    assert listed("x=1.mp4,b.mp4", "x=1.mp4") == [("", "x=1.mp4"), ("", "b.mp4")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.mp4,", "source 2 of 2 in video_url is empty"),
        ('["a", ""]', "source 2 of 2 in video_url is empty"),
        ("[", 'no JSON list of texts; write \\["rtsp'),
        ("[]", "no JSON list"),
        ("[1]", "no JSON list"),
        ("a=rtsp://h/1,a=rtsp://h/2", "two sources in video_url have the name 'a'"),
    ],
)
def test_what_cannot_be_read(text, message):
    with pytest.raises(SourceError, match=message):
        listed(text)


def test_names_are_unique_and_a_chosen_one_stays():
    wanted = [("a.mp4", False), ("a.mp4", False), ("a.mp4-2", True), ("b", False), ("a.mp4", False)]
    assert unique_names(wanted) == ["a.mp4", "a.mp4-3", "a.mp4-2", "b", "a.mp4-4"]


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("rtsp://me:s3cret@h:554/x", "rtsp://***@h:554/x"),
        ("http://h/x.cgi?user=me&pwd=s3cret&channel=2", "http://h/x.cgi?user=***&pwd=***&channel=2"),
        ("rtsp://h/user=me_password=s3cret_channel=1/2", "rtsp://h/user=***/2"),
        ("http://h/x?auth_token=s3cret;size=2", "http://h/x?auth_token=***;size=2"),
        ("http://h/x?API_KEY=s3cret", "http://h/x?API_KEY=***"),
        ("rtsp://h/x?channel=1&subtype=0", "rtsp://h/x?channel=1&subtype=0"),
        ("/data/key=1/a.mp4", "/data/key=1/a.mp4"),
    ],
)
def test_no_secret_is_shown(address, seen):
    assert shown(address) == seen


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("/v/a.mp4", "/host/v/a.mp4"),
        ("door=/v/a.mp4,rtsp://h/1,watch:/in", "door=/host/v/a.mp4,rtsp://h/1,watch:/host/in"),
        ('["/v/a,b.mp4", "push://"]', '["/host/v/a,b.mp4", "push://"]'),
        ("rtsp://h/1, rtsp://h/2", "rtsp://h/1, rtsp://h/2"),  # nothing to change: as it was
        ("/v/a.mp4,", "/v/a.mp4,"),  # the worker says what is wrong with it
    ],
)
def test_paths_in_a_list_are_changed_and_nothing_else(text, changed):
    assert change_paths(text, lambda path: f"/host{path}" if path.startswith("/") else path) == changed


def test_names_of_files():
    assert file_name("rtsp://***@h:554/x") == "rtsp_h_554_x"
    assert file_name("door-1.mp4") == "door-1.mp4"
    assert file_name("../..") == "source"
