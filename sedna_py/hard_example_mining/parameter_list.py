"""HEM_PARAMETERS: the JSON list of {key, value} by which a filter's parameters reach a worker."""

from __future__ import annotations

import json
from typing import Any

_EXAMPLE = '[{"key": "threshold_img", "value": "0.9"}]'


def parse_parameters(text: str | None) -> dict[str, str]:
    """Return the parameters by name; nothing where `text` cannot be read, as upstream does.

    Of a repeated key the last value counts. Ask `parameters_problem` for what was wrong.
    """
    return _read(text)[0]


def parameters_problem(text: str | None) -> str | None:
    """Say in one line why `parse_parameters` reads nothing (or not everything) from `text`; None if all is well."""
    return _read(text)[1]


def _read(text: str | None) -> tuple[dict[str, str], str | None]:
    if not text:
        return {}, None
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        return {}, f"HEM_PARAMETERS is not JSON ({error}); write a list such as {_EXAMPLE}"
    if entries is None:  # how the control plane writes "no parameters"
        return {}, None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return {}, f"HEM_PARAMETERS is not a list of objects; write a list such as {_EXAMPLE}"
    named = [entry for entry in entries if isinstance(entry.get("key"), str)]
    problem = None if len(named) == len(entries) else "HEM_PARAMETERS has entries without a key; write one for each"
    return {entry["key"]: _as_text(entry.get("value", "")) for entry in named}, problem


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
