"""The rule files of deploy/prometheus, as a Prometheus without the operator has them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.manifests import DEPLOY, manifest

FOLDER = DEPLOY / "prometheus"
RULES = ("signals", "alerts")


def rule_file(name: str) -> dict[str, Any]:
    """Return what is below `spec:`."""
    return dict(manifest("PrometheusRule", f"sedna-{name}", "prometheus")["spec"])


def recorded() -> dict[str, str]:
    """Return the expression of each recorded name."""
    return {rule["record"]: rule["expr"] for group in rule_file("signals")["groups"] for rule in group["rules"]}


def alerts() -> dict[str, dict[str, Any]]:
    """Return the alerts by name."""
    return {rule["alert"]: rule for group in rule_file("alerts")["groups"] for rule in group["rules"]}


def dashboard_queries() -> list[str]:
    """Return what the dashboard's panels ask, with everything selected."""
    board = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return [expression.replace("$namespace", ".*").replace("$ji", ".*") for expression in asked]


def write_rules(folder: Path, window: str = "1m") -> list[Path]:
    """Write the rule files, with another window than a minute where a test has not got one; return their paths."""
    paths = []
    for name in RULES:
        text = json.dumps(rule_file(name)).replace("[1m]", f"[{window}]")
        if name == "signals" and window != "1m":
            text = text.replace('"interval": "5s"', '"interval": "1s"')
        paths.append(folder / f"{name}.yml")
        paths[-1].write_text(yaml.safe_dump(json.loads(text)), encoding="utf-8")
    return paths


def names_in(expression: str) -> set[str]:
    """Return the metrics that an expression speaks of, without a histogram's endings."""
    found = set(re.findall(r"\b(?:sedna_[a-z0-9_]+|ei_scale_ratio)\b", expression))
    return {name.removesuffix("_bucket") for name in found}
