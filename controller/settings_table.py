"""The settings as a page of documentation: `python -m controller.settings_table > docs/controller-settings.md`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic.fields import FieldInfo

from controller.settings import ControllerSettings

INTRODUCTION: Final = """# Settings of the controller

The controller reads its settings from the environment, once, at start. An empty variable counts as unset. `deploy/` sets
POD_NAME, POD_NAMESPACE, POD_IP and CONTROLLER_ADDRESS; the others are written into the `configMapGenerator` of
`deploy/kustomization.yaml`, as in

    literals:
    - STORAGE_INITIALIZER_IMAGE=registry.example.com/storage-initializer:0.1.0
    - LOG_LEVEL=DEBUG

This page is made from the code (`make docs`).

| Variable | Default | Write |
|---|---|---|
"""


def page() -> str:
    """Return the page."""
    return INTRODUCTION + "".join(_rows())


def _rows() -> Iterator[str]:
    for field in ControllerSettings.model_fields.values():
        yield f"| `{field.alias}` | {_default(field)} | {field.description} |\n"


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "the host's name"  # only POD_NAME has one, and the page must not depend on where it is made
    value = field.default
    if value in (None, "", ()):
        return "unset"
    return (
        f"`{str(value).lower()}`"
        if isinstance(value, bool)
        else f"`{value:g}`"
        if isinstance(value, float)
        else f"`{value}`"
    )


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
