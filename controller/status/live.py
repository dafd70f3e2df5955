"""Reading live objects that may lack anything: an absent or odd field reads as empty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

LiveObject = Mapping[str, Any]


def block(source: Any, *path: str) -> LiveObject:
    """Return the mapping at the path, {} where there is none."""
    for part in path:
        source = source.get(part) if isinstance(source, Mapping) else None
    return source if isinstance(source, Mapping) else {}


def items(source: Any, *path: str) -> list[LiveObject]:
    """Return the mappings in the list at the path."""
    found = block(source, *path[:-1]).get(path[-1])
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list | tuple) else []


def text(source: Any, *path: str) -> str:
    """Return the text at the path, "" where there is none."""
    found = block(source, *path[:-1]).get(path[-1])
    return found if isinstance(found, str) else ""


def number(source: Any, *path: str, default: int = 0) -> int:
    """Return the integer at the path, `default` where there is none."""
    found = block(source, *path[:-1]).get(path[-1])
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def variable(pod_spec: Any, name: str) -> str:
    """Return the value that the first container's environment has written for a variable, "" where there is none."""
    containers = items(pod_spec, "containers")
    variables = items(containers[0], "env") if containers else []
    return next((text(one, "value") for one in variables if text(one, "name") == name), "")


def moment(source: Any, *path: str) -> datetime | None:
    """Return the RFC 3339 time at the path, None where there is none."""
    try:
        found = datetime.fromisoformat(text(source, *path))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def condition(source: Any, kind: str) -> LiveObject:
    """Return the last condition of that type in the object's status, {} where there is none."""
    found = [item for item in items(source, "status", "conditions") if item.get("type") == kind]
    return found[-1] if found else {}


def is_going(source: Any) -> bool:
    """Tell whether the deletion of the object was asked for."""
    return bool(text(source, "metadata", "deletionTimestamp"))


def seconds_since(then: datetime | None, now: datetime) -> float:
    """Return the seconds from `then` to `now`, 0 where `then` is not known or lies ahead (the clocks differ)."""
    return max(0.0, (now - then).total_seconds()) if then is not None else 0.0


def latest(moments: Iterable[datetime | None]) -> datetime | None:
    """Return the latest of the moments that are known."""
    return max((found for found in moments if found is not None), default=None)


def rfc3339(when: datetime) -> str:
    """Return the time as Kubernetes writes it: whole seconds, UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def kept_time(source: Any, *path: str) -> str:
    """Return the time at the path as it is written there, "" where there is none."""
    return text(source, *path) if moment(source, *path) is not None else ""
