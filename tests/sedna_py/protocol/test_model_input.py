"""What the cloud says of its model's input."""

from __future__ import annotations

import pytest

from sedna_py.protocol.model_input import ModelInput, parse_model_input


@pytest.mark.parametrize("said", [ModelInput(640, 640, True), ModelInput(192, 128, False), ModelInput(1, 99999, True)])
def test_what_is_said_is_understood(said):
    assert parse_model_input(said.render()) == said


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("640x480;letterbox", ModelInput(640, 480, True)),
        (" 640X480 ; Letterbox ", ModelInput(640, 480, True)),
        ("640x480", ModelInput(640, 480, False)),
        (None, None),
        ("", None),
        ("640", None),
        ("0x640", None),
        ("-1x640", None),
        ("640x480; crop", None),  # a way of resizing that is not known here
        ("640x480; letterbox; more", None),
        ("1000000x640", None),
        ("640x480" + " " * 200 + "; letterbox", None),
        ("6" * 10_000, None),
        ("６４０x640", None),
    ],
)
def test_what_is_written_otherwise_says_nothing(header, meant):
    assert parse_model_input(header) == meant


@pytest.mark.parametrize(
    ("need", "picture", "fitted"),
    [
        (ModelInput(192, 192, True), (640, 480), (192, 144)),
        (ModelInput(192, 192, True), (641, 479), (192, 143)),
        (ModelInput(192, 192, False), (640, 480), (192, 192)),
        (ModelInput(640, 640, True), (640, 272), (640, 272)),
        (ModelInput(640, 640, True), (320, 240), (320, 240)),  # never enlarged
        (ModelInput(640, 640, False), (1920, 480), (640, 480)),
        (ModelInput(8, 8, True), (4000, 3), (8, 1)),
    ],
)
def test_the_size_at_which_the_model_sees_a_picture(need, picture, fitted):
    assert need.fit(*picture) == fitted
