"""The body formats that cross the wire, by Content-Type."""

from __future__ import annotations

from typing import Final

from sedna_py.errors import UnsupportedMediaType

JSON: Final = "application/json"
JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
NPY: Final = "application/x-npy"

ACCEPTED: Final = (JSON, JPEG, PNG, NPY)
ENCODED: Final = (JPEG, PNG)  # pictures that say their own size


def parse_content_type(header: str | None) -> str:
    """Return the media type in lower case, without parameters.

    A missing or empty header means JSON, which older clients may leave unsaid. Raises UnsupportedMediaType.
    """
    media_type = (header or "").partition(";")[0].strip().lower() or JSON
    if media_type not in ACCEPTED:
        raise UnsupportedMediaType(
            f"Content-Type {media_type[:80]!r} is not supported; send one of {', '.join(ACCEPTED)}"
        )
    return media_type
