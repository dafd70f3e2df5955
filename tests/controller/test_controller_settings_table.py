"""docs/controller-settings.md is what the code says."""

from __future__ import annotations

from pathlib import Path

from controller.settings import ControllerSettings
from controller.settings_table import page

PAGE = Path(__file__).parents[2] / "docs" / "controller-settings.md"


def test_the_page_of_the_controller_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_every_setting_has_one_row():
    rows = [line.split("`")[1] for line in page().splitlines() if line.startswith("| `")]
    assert rows == [field.alias for field in ControllerSettings.model_fields.values()]
