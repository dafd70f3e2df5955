"""Which annotations of a service mean something here: a change of one of them is a change of what is wanted.

The generation of an object does not count them, unlike a change of its spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

PREFIXES: Final = ("sedna.io/", "autoscaling.knative.dev/", "serving.kserve.io/")


def read_annotations(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return those of an object's annotations that are read here."""
    written = metadata.get("annotations")
    if not isinstance(written, Mapping):
        return {}
    return {name: value for name, value in written.items() if isinstance(name, str) and name.startswith(PREFIXES)}
