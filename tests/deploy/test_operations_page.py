"""docs/operations.md speaks of what there is: reasons, permissions, metrics, settings."""

from __future__ import annotations

import re
from pathlib import Path

from controller.reasons import Reason
from controller.settings import ControllerSettings
from sedna_py.metrics import names
from tests.deploy.manifests import manifest

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
    for kind, name in (("ClusterRole", "sedna-controller"), ("Role", "sedna-controller-lease")):
        folder = "" if kind == "ClusterRole" else "controller"
        for rule in manifest(kind, name, folder)["rules"]:
            for resource in rule["resources"]:
                granted.setdefault(resource, set()).update(rule["verbs"])
    written = {
        resource: set(re.split(r",\s*", cells[1])) for cells in rows("Permissions") for resource in quoted(cells[0])
    }
    assert written == granted


def test_every_metric_and_setting_that_it_names_exists():
    metrics = {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
    named = set(re.findall(r"sedna_controller_[a-z_]+", PAGE))
    assert named
    assert named <= metrics
    settings = {field.alias for field in ControllerSettings.model_fields.values()}
    assert set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", PAGE)) - {"WORKER_NAME", "LC_SERVER"} <= settings
