"""docs/operations.md speaks of what there is: reasons, permissions, metrics, settings."""

from __future__ import annotations

import re
from pathlib import Path

from controller.reasons import Reason
from controller.settings import ControllerSettings
from sedna_py.metrics import names
from tests.deploy.manifests import manifest
from tests.e2e.planted_faults import Ground, faults
from workers.settings import CloudSettings, EdgeSettings

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
# What was done to a child: said in Events, below the table.
EVENT_REASONS = {Reason.CREATED, Reason.UPDATED, Reason.REPAIRED, Reason.DELETED}


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its two first lines."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_every_reason_has_one_row_that_says_what_it_means():
    found = [quoted(cells[0])[0] for cells in rows("Conditions and reasons")]
    assert sorted(found) == sorted(str(reason) for reason in Reason if reason not in EVENT_REASONS)
    assert all(cells[1] for cells in rows("Conditions and reasons"))
    assert all(f"`{reason}`" in PAGE for reason in EVENT_REASONS)


def test_every_permission_is_explained_with_its_verbs():
    granted: dict[str, set[str]] = {}
    roles = [
        ("ClusterRole", "sedna-controller", ""),
        ("Role", "sedna-controller-lease", "controller"),
        ("Role", "sedna-controller-metrics-api", "metrics-api"),
        ("ClusterRole", "sedna-controller-metrics-api", "metrics-api"),
    ]
    for role in roles:
        for rule in manifest(*role)["rules"]:
            for resource in rule["resources"]:
                granted.setdefault(resource, set()).update(rule["verbs"])
    written: dict[str, set[str]] = {}
    for cells in rows("Permissions"):
        for resource in quoted(cells[0]):
            written.setdefault(resource, set()).update(re.split(r",\s*", cells[1]))
    assert written == granted


def test_every_metric_and_setting_that_it_names_exists():
    metrics = {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
    named = set(re.findall(r"sedna_(?:controller|edge|cloud)_[a-z_]+", PAGE))
    assert named
    assert named <= metrics
    settings = {
        field.alias
        for page in (ControllerSettings, EdgeSettings, CloudSettings)
        for field in page.model_fields.values()
    }
    assert set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", PAGE)) <= settings


def test_every_planted_fault_has_a_row_that_says_what_to_do():
    planted = faults(Ground(Path("/models"), Path("/clips/a.mp4"), Path("/folder"), Path("/folder/full"), "192.0.2.1"))
    assert [cells[0] for cells in rows("Faults")] == list(planted)
    assert all(cells[-1] for cells in rows("Faults"))
    assert {quoted(cells[2])[0] for cells in rows("Faults")} <= {str(reason) for reason in Reason}


def test_links_into_the_page_lead_somewhere():
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line[3:].lower()).replace(" ", "-")
        for line in PAGE.splitlines()
        if line[:3] == "## "
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= headings
