"""docs/autoscaling has a page for each signal, and docs/metrics.md a row for each counter that they are made of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sedna_py.metrics import names

DOCS = Path(__file__).parents[2] / "docs"
INDEX = (DOCS / "autoscaling" / "README.md").read_text(encoding="utf-8")
SIGNALS = sorted(value for name, value in vars(names).items() if name.startswith("SIGNAL_"))
COUNTERS = sorted(value for name, value in vars(names).items() if name.startswith("WORKER_"))


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_signal_has_one_page_in_the_index(signal: str):
    [page] = re.findall(rf"^\| \[`{signal}`\]\(([a-z0-9-]+\.md)\) \|", INDEX, re.MULTILINE)
    text = (DOCS / "autoscaling" / page).read_text(encoding="utf-8")
    assert text.startswith(f"# {signal}\n")
    for part in ("**When to use it.**", "**Formula.**", "**Traps.**"):
        assert text.count(part) == 1
    assert len(text) < 2200


@pytest.mark.parametrize("name", [*SIGNALS, *COUNTERS])
def test_every_signal_and_counter_has_a_row_among_the_metrics(name: str):
    assert (DOCS / "metrics.md").read_text(encoding="utf-8").count(f"\n| `{name}` |") == 1


@pytest.mark.parametrize("page", sorted((DOCS / "autoscaling").glob("*.md")), ids=lambda page: page.name)
def test_what_a_page_names_and_links_to_exists(page: Path):
    text = page.read_text(encoding="utf-8")
    metrics = {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
    named = set(re.findall(r"`(sedna_[a-z0-9_]+|ei_[a-z_]+)`", text)) - {"sedna_py"}
    assert named <= metrics
    for link in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", text):
        assert (page.parent / link).exists(), link
