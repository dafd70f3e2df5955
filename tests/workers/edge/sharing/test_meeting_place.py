"""The directory that replicas meet in, what they say there, whose turn it is, and what settings lead to it."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from sedna_py.errors import MalformedBody, SettingsError
from tests.workers.edge.fakes import FakeSource, make_frame
from tests.workers.edge.sharing.replicas import NAME, ExchangeAt, Replica
from workers.edge.sharing import wire
from workers.edge.sharing.directory import SharedDirectory, folder_name
from workers.edge.sharing.exchange import Place
from workers.edge.sharing.joining import join, sources_digest
from workers.edge.sharing.turns import Turns
from workers.settings import EdgeSettings


def settings(**values: object) -> EdgeSettings:
    given = {"MODEL_URL": "m", "video_url": "rtsp://camera/1", "NAMESPACE": "shop", "SERVICE_NAME": "helmet", **values}
    return EdgeSettings.from_environment({name: str(value) for name, value in given.items()})


def test_one_at_a_time_holds_the_lock_and_it_goes_with_its_holder(tmp_path) -> None:
    first, second = SharedDirectory(tmp_path, NAME), SharedDirectory(tmp_path, NAME)
    assert first.try_lock()
    assert not second.try_lock()
    assert second.is_alive(first.token)
    first.close()
    assert not second.is_alive(first.token)
    assert second.try_lock()
    assert second.members() == []
    second.close()


def test_places_outlast_their_writer_and_a_run_lives_while_one_of_its_replicas_does(tmp_path) -> None:
    first, second = SharedDirectory(tmp_path, NAME), SharedDirectory(tmp_path, NAME)
    places = first.places()
    places.begin("run-1")
    places.know("run-1", {"door": Place(), "yard": Place(3, 0, 2, 3)})
    places.note("door", Place(12, 1, 4, 6))
    second.takes_part("run-1")
    places.close()
    assert first.others_in("run-1")
    assert not first.others_in("run-2")
    again = second.places()
    assert again.read() == ("run-1", False, {"door": Place(12, 1, 4, 6), "yard": Place(3, 0, 2, 3)})
    again.end("run-1")
    assert again.read()[1] is True
    again.close()
    second.close()
    assert not first.others_in("run-1")
    first.close()


@pytest.mark.parametrize("rubbish", [b"", b"x", b"\0" * 5000, b"SEDNASH1" + b"\xff" * 5000])
def test_files_that_nobody_can_read_are_a_new_beginning(tmp_path, rubbish) -> None:
    exchange = ExchangeAt(str(tmp_path))()
    for name in ("places", "notice"):
        (tmp_path / NAME / name).write_bytes(rubbish)
    replica = Replica(exchange, lambda: FakeSource(3)).start()
    replica.end()
    assert replica.numbers == [1, 2, 3]


def test_a_folder_deeper_than_a_socket_s_path_may_be_long(tmp_path) -> None:
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    replica = Replica(ExchangeAt(str(deep))(), lambda: FakeSource(3)).start()
    other = Replica(ExchangeAt(str(deep))(), lambda: FakeSource(3)).start()
    replica.end()
    other.end()
    assert sorted(replica.numbers + other.numbers) in ([1, 2, 3], [1, 1, 2, 2, 3, 3])


def test_a_folder_that_others_may_enter_is_not_used(tmp_path) -> None:
    (tmp_path / NAME).mkdir(mode=0o755)
    with pytest.raises(PermissionError, match="its mode is 755, 700 is wanted"):
        SharedDirectory(tmp_path, NAME)


def test_a_link_in_its_place_is_not_followed(tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        SharedDirectory(tmp_path, NAME)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_s_name_is_readable_short_and_no_path() -> None:
    assert folder_name("shop", "helmet", "0123") == "shop.helmet-0123"
    assert folder_name("..", "/etc/ä", "0") == "..._etc__-0"
    assert len(folder_name("n" * 200, "s" * 200, "0123")) <= 130


def test_a_frame_is_the_same_at_the_other_end() -> None:
    frame = make_frame(7, shown=np.arange(24, dtype=np.uint8).reshape(2, 4, 3))
    frame.lap, frame.index, frame.ordinal, frame.frames_waiting = 2, 6, 9, 3
    values = wire.read_header(wire.header(frame, "run-1", wire.shape_text(frame.picture), captured=True))
    there = wire.frame_of(values, wire.pixels(frame.picture.tobytes(), values["picture"]), values["captured"])
    assert (there.number, there.source, there.captured, there.captured_at) == (7, "fake", 100.0, 1_700_000_000.0)
    assert (there.lap, there.index, there.ordinal, there.frames_waiting, there.run) == (2, 6, 9, 3, "run-1")
    assert np.array_equal(there.picture, frame.picture)
    assert "captured" not in wire.read_header(wire.header(frame, "run-1", "", captured=False))


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff"])
def test_a_header_that_is_none_is_malformed(raw) -> None:
    with pytest.raises(MalformedBody):
        wire.read_header(raw)


@pytest.mark.parametrize("shape", ["", "2x4", "2x4x4", "-1x-1x3", "axb"])
def test_pixels_that_do_not_fit_are_malformed(shape) -> None:
    with pytest.raises(MalformedBody):
        wire.pixels(bytes(24), shape)


@pytest.mark.parametrize("parts", [[], [b"T"], [b"?", bytes(32)], [b"T", b""], [b"T", bytes(32), b""]])
def test_what_no_taker_says_is_not_heeded(parts) -> None:
    assert wire.read_word(parts) is None


def test_words_come_back_as_they_went() -> None:
    for kind in (wire.TAKE, wire.HERE, wire.LEAVE, wire.BYE):
        said = wire.Word(kind, "0123456789abcdef", 12, 11)
        assert wire.read_word(wire.word(said)) == said


def test_the_replica_that_waits_for_the_longest_is_next_and_one_with_more_credit_gets_no_more() -> None:
    turns = Turns()
    for token, credit in (("a", 4), ("b", 1), ("c", 2)):
        turns.asked(token).credit = credit
    got = []
    while (taker := turns.next()) is not None:
        got.append(taker.token)
        turns.gave(taker)
    assert got == ["a", "b", "c", "a", "c", "a", "a"]
    turns.takers["a"].finished = 3
    assert turns.forget("a") == 1
    assert turns.forget("nobody") == 0


def test_nothing_is_shared_unless_it_is_set() -> None:
    assert join(settings()) is None


def test_a_directory_that_cannot_be_used_is_said_once_and_the_worker_works_alone(tmp_path, caplog) -> None:
    (tmp_path / "file").touch()
    assert join(settings(SHARED_DIR=tmp_path / "file")) is None
    [line] = caplog.messages
    assert "cannot be used" in line
    assert "give user" in line


def test_pictures_that_are_sent_are_not_shared(tmp_path, caplog) -> None:
    assert join(settings(SHARED_DIR=tmp_path, video_url="push://", EDGE_HTTP_PORT=1)) is None
    assert "push://" in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://u:s3cret@host", "host:6379", "redis://:s3cret@host:port/0"])
def test_a_queue_that_cannot_be_is_said_before_anything_starts(url) -> None:
    with pytest.raises(SettingsError, match=r"FRAME_QUEUE is .*write redis://host:port/0") as raised:
        join(settings(FRAME_QUEUE=url))
    assert "s3cret" not in str(raised.value)


def test_the_queue_counts_where_both_are_set(tmp_path, caplog) -> None:
    caplog.set_level(logging.INFO)
    exchange = join(settings(FRAME_QUEUE="redis://u:s3cret@127.0.0.1:1/0", SHARED_DIR=tmp_path))
    assert type(exchange).__name__ == "RedisExchange"
    exchange.close()
    assert list(tmp_path.iterdir()) == []
    assert "s3cret" not in caplog.text


def test_workers_with_other_sources_meet_elsewhere_and_a_new_password_changes_nothing() -> None:
    same = sources_digest(settings(video_url="rtsp://u:old@camera/1"))
    assert sources_digest(settings(video_url="rtsp://u:new@camera/1")) == same
    for other in ({"video_url": "rtsp://u:old@camera/2"}, {"FRAME_STRIDE": 2}, {"BUFFER_FRAMES": 8}):
        assert sources_digest(settings(**{"video_url": "rtsp://u:old@camera/1", **other})) != same
