from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from sedna_py.decision_log import DecisionRecord
from sedna_py.local import formats
from sedna_py.local.comparison import Mode, Run
from sedna_py.local.figures import agreement, summarize
from sedna_py.local.report import render_report
from sedna_py.local.report_samples import Sample

MakeRecord = Callable[..., DecisionRecord]

ATTACK = '"><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>'
VOID = {"meta", "br", "image", "rect", "circle", "line", "path", "polyline", "polygon", "img", "link"}
REFERENCES = {"src", "href", "xlink:href", "action", "data", "poster", "srcset", "background", "formaction"}


class Page(HTMLParser):
    """Collects the tags, the table's cells and all text; checks that what is opened is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: dict[tuple[str, str], str] = {}
        self.text = ""
        self._open: list[str] = []
        self._cell: tuple[str, str] | None = None
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        if tag not in VOID:
            self._open.append(tag)
        if "data-figure" in values:
            self._cell = (str(values["data-figure"]), str(values["data-run"]))
            self.cells[self._cell] = ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag
        if tag == "td":
            self._cell = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell is not None:
            self.cells[self._cell] += data.replace(formats.SPACE, " ")


@pytest.fixture
def sample() -> Sample:
    box = [10, 10, 50, 60, 0.91, 0]
    return Sample(3, b"\xff\xd8picture", 640, 272, [box], [box, [100, 10, 150, 60, 0.55, 1]], "cloud answered")


def test_nothing_is_fetched_and_nothing_runs(runs: list[Run], sample: Sample) -> None:
    html = render_report(runs, [sample], {"Home": "https://example.org/sedna"})
    page = Page(html)
    references = [value for _, attrs in page.tags for name, value in attrs.items() if name in REFERENCES]
    assert references
    assert all(str(value).startswith("data:image/jpeg;base64,") for value in references)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert not re.search(r"@import|url\(", html)
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_the_table_says_what_the_figures_say(runs: list[Run]) -> None:
    cells = Page(render_report(runs, [], {})).cells
    for run in runs:
        summary = summarize(run.records)
        causes = ", ".join(f"{cause.replace('_', ' ')} {n}" for cause, n in summary.fallbacks.items()) or "none"
        total = summary.total_ms
        assert total is not None
        assert cells["frames", run.mode] == str(summary.frames)
        assert cells["frames_with_object", run.mode].split(" (")[0] == str(summary.frames_with_object)
        assert cells["objects", run.mode] == str(summary.objects)
        assert cells["hard", run.mode].split(" (")[0] == str(summary.hard)
        assert cells["offloaded", run.mode].split(" (")[0] == str(summary.offloaded)
        assert cells["cloud_answered", run.mode] == str(summary.cloud_answered)
        assert cells["fallbacks", run.mode] == causes
        assert cells["bytes_sent", run.mode] == formats.kilobytes(summary.bytes_sent).replace(formats.SPACE, " ")
        assert cells["latency", run.mode] == f"{total.p50:.0f} ms / {total.p95:.0f} ms"
        assert cells["frames_per_second", run.mode] == f"{summary.frames_per_second:.1f}"
    for run in runs[:2]:
        found = agreement(run.records, runs[2].records)
        assert found.share is not None
        assert cells["agreement", run.mode] == f"{found.share * 100:.1f} % ({found.agreeing} of {found.frames})"
    assert cells["agreement", Mode.CLOUD_ONLY] == "reference"


def test_text_from_outside_stays_text(runs: list[Run], sample: Sample) -> None:
    hostile = [
        Run(run.mode, [replace(r, source=ATTACK, reason=ATTACK, filter=ATTACK) for r in run.records], (ATTACK,))
        for run in runs
    ]
    named = replace(sample, caption=ATTACK, edge=[[1, 1, 9, 9, 0.5, ATTACK]])
    html = render_report(hostile, [named], {ATTACK: ATTACK + "\ud800"})
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.tags}
    assert "img" not in {tag for tag, _ in page.tags}
    assert ATTACK in page.text
    assert html.encode()  # a lone surrogate cannot be written to a file


def test_samples_show_both_models(runs: list[Run], sample: Sample) -> None:
    unasked = replace(sample, frame=4, cloud=None, edge=[])
    page = Page(render_report(runs, [sample, unasked], {}))
    seen = [attrs["class"] for tag, attrs in page.tags if tag == "g" and "seen" in str(attrs.get("class"))]
    assert sorted(map(str, seen)) == ["seen cloud", "seen cloud", "seen edge"]
    assert "0.91 c0" in page.text
    assert "boxes: edge 1, cloud 2" in page.text
    assert "boxes: edge 0, cloud not asked or no answer" in page.text


def test_facts_and_failures_are_shown(runs: list[Run]) -> None:
    broken = [replace(runs[0], problems=("the worker was killed",)), *runs[1:]]
    text = Page(render_report(broken, [], {"OpenVINO": "2026.4.1"})).text
    assert "OpenVINO" in text
    assert "2026.4.1" in text
    assert "Edge only: the worker was killed" in text
    assert "No sample frame was kept." in text


@pytest.mark.parametrize("present", [[], [0], [1], [2], [0, 1], [1, 2]])
@pytest.mark.parametrize("empty", [False, True])
def test_any_set_of_runs_makes_a_page(runs: list[Run], present: list[int], empty: bool) -> None:
    chosen = [replace(runs[i], records=[]) if empty else runs[i] for i in present]
    page = Page(render_report(chosen, [], {}))
    assert "nan" not in page.text.lower()
    assert "None" not in page.text


def test_one_frame_and_odd_numbers_make_a_page(make_record: MakeRecord, sample: Sample) -> None:
    odd = make_record(0, captured=-1e18, emitted=-1e18, score=-3.5, width=0, height=0)
    nothing = replace(sample, width=0, height=0, jpeg=b"", edge=[], cloud=[])
    html = render_report([Run(Mode.JOINT, [odd]), Run(Mode.CLOUD_ONLY, [odd])], [nothing], {})
    assert "data:image" not in html.split("</style>")[1]
    Page(html)
