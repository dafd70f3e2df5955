"""Settings read once, from an environment that is handed in; nothing else in the package looks at `os.environ` for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from sedna_py.errors import SettingsError

# After "://": a name with a password, up to the last '@' of the word, unless what follows the colon is a port;
# or a name alone, up to the last '@' before the path. Neither reaches into the next URL.
_USER = re.compile(r"(?<=://)(?:[^\s/?#:@\[]*:(?!//|\d{1,5}(?:[/?#\s]|$))(?:(?!://)\S)*@|[^\s/?#]*@)")


class Settings(BaseModel):
    """Base of all settings: frozen, every field named after its environment variable by its alias.

    A variable may also be written in capitals, and an empty one counts as unset: both are upstream's rules.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="ignore", arbitrary_types_allowed=True)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings. Raises SettingsError naming the variable, its value and what to write instead."""
        values: dict[str, Any] = {}
        for field in cls.model_fields.values():
            name = field.alias or ""
            value = environment.get(name) or environment.get(name.upper())
            if value:
                values[name] = value
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SettingsError("; ".join(_explain(cls, problem, values) for problem in error.errors())) from None


def _explain(settings: type[Settings], problem: Any, values: Mapping[str, Any]) -> str:
    wanted = redact(problem["msg"].removeprefix("Value error, "))
    if not problem["loc"]:  # what a validator of the whole model says, which names its variables itself
        return wanted
    name = str(problem["loc"][0])
    meaning = next((f.description for f in settings.model_fields.values() if f.alias == name), None)
    if problem["type"] == "missing":
        return f"{name} is not set; write {meaning}"
    return f"{name} is {redact(str(values[name]))!r}: {wanted[:1].lower()}{wanted[1:]}; write {meaning}"


def redact(text: str) -> str:
    """Return `text` with the user part of every URL in it replaced: passwords never reach a log, a status or a metric.

    A password may hold '@', '/', '?' and '#' unescaped, as people write them; rather too much is hidden than too little.
    """
    return _USER.sub("***@", text)
