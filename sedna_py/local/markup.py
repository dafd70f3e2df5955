"""Text into HTML: the one door through which anything from outside enters the report."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from sedna_py.local.formats import printable


class LegendEntry(NamedTuple):
    """A mark (one of the names below), the CSS class of its colour, and what it means."""

    mark: str
    css: str
    label: str


def text(value: str) -> str:
    """Return the text escaped for element content and for quoted attributes."""
    return escape(printable(value), quote=True)


def legend(entries: list[LegendEntry]) -> str:
    """Return the entries in one wrapping line."""
    items = "".join(f"<li>{_SWATCH.format(_MARKS[mark], css)}{text(label)}</li>" for mark, css, label in entries)
    return f'<ul class="legend">{items}</ul>'


_SWATCH = '<svg class="swatch {1}" viewBox="0 0 20 12" aria-hidden="true">{0}</svg>'
_MARKS = {
    "line": '<path class="line" d="M0 6h20"/>',
    "dashes": '<path class="line dashed" d="M0 6h20"/>',
    "area": '<rect class="area" width="20" height="12"/><path class="line" d="M0 1h20"/>',
    "block": '<g class="mark"><rect y="1" width="20" height="10"/></g>',
    "circle": '<g class="mark"><circle cx="10" cy="6" r="3.5"/></g>',
    "diamond": '<g class="mark"><path d="M10 1l5 5l-5 5l-5-5z"/></g>',
    "cross": '<g class="mark"><path class="stroke" d="M6 2l8 8m-8 0l8-8"/></g>',
    "box": '<rect class="line" x="2" y="1.5" width="16" height="9"/>',
    "dashed-box": '<rect class="line dashed" x="2" y="1.5" width="16" height="9"/>',
}
