"""The project's container images for tests: built without a registry and without a container engine, kept in the cache.

`archives` says where they are and never builds, `provide` builds what is missing; `python -m tests.images` is for people.
"""

from __future__ import annotations

from tests.images.archive import archives, provide

__all__ = ["archives", "provide"]
