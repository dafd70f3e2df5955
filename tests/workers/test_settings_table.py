"""docs/settings.md is what the code says."""

from __future__ import annotations

from pathlib import Path

from workers.settings_table import page

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"
