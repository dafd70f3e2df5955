"""The settings as a page of documentation: `python -m workers.settings_table > docs/settings.md`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sedna_py.settings import Settings
from workers.settings import CloudSettings, EdgeSettings, WorkerSettings
from workers.sink_settings import SinkSettings
from workers.storage_initializer.settings import InitializerSettings

INTRODUCTION = """# Settings

Both workers, and the init container that downloads models, read their settings from the environment, once, at start. An empty
variable counts as unset, and a name in small letters may also be written in capitals. Those of upstream Sedna have upstream's
names; the controller, and `sedna run`, set
NAMESPACE, SERVICE_NAME, WORKER_NAME, MODEL_URL, BIG_MODEL_IP, BIG_MODEL_PORT, BIG_MODEL_BIND_PORT, HEM_NAME and HEM_PARAMETERS
from the YAML.

This page is made from the code (`make docs`).
"""


def page() -> str:
    """Return the page."""
    return INTRODUCTION + "".join(
        f"\n## {title}\n\n| Variable | Default | Write |\n|---|---|---|\n{''.join(_rows(settings, beside))}"
        for title, settings, beside in (
            ("Both workers", WorkerSettings, ()),
            ("Edge worker", EdgeSettings, (WorkerSettings, SinkSettings)),
            ("Edge worker: MQTT and webhook", SinkSettings, ()),
            ("Cloud worker", CloudSettings, (WorkerSettings,)),
            ("Storage initializer", InitializerSettings, ()),
        )
    )


def _rows(settings: type[Settings], beside: Sequence[type[Settings]]) -> Iterator[str]:
    known = {name for other in beside for name in other.model_fields}
    for name, field in settings.model_fields.items():
        if name not in known:
            default = "required" if field.is_required() else _default(field.default)
            yield f"| `{field.alias}` | {default} | {field.description} |\n"


def _default(value: object) -> str:
    return "unset" if value in (None, "") else f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
