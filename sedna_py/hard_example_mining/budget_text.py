"""What a budget and a cap are, and how they are written in `hardExampleMining.parameters`: pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sedna_py.errors import FilterError
from sedna_py.hard_example_mining.wording import number

BYTES_PER_KBIT: Final = 125  # 1 kbit is 1000 bit, as everywhere on a network

_WRITTEN = re.compile(
    r"\s*([0-9]{1,12}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})\s*(%|[A-Za-z]+(?:/s)?)\s*", re.ASCII | re.IGNORECASE
)
_LONGEST_SHOWN = 40  # characters of a wrong value repeated in a message
_RATES = "5 fps or 500 kbit/s"


class Unit(StrEnum):
    """What a budget is counted in; the value is how it is written, and the `unit` label of the metrics."""

    SHARE = "share"  # of the frames that the little model saw
    FRAMES = "fps"
    BITS = "kbit/s"


@dataclass(frozen=True, slots=True)
class Budget:
    """`amount` of `unit`: a share from 0 to 1, frames/s, or kbit/s of request bodies."""

    amount: float
    unit: Unit

    def __str__(self) -> str:
        if self.unit is Unit.SHARE:
            return f"{self.amount * 100:.6g} %"
        return f"{number(self.amount) if self.amount % 1 else int(self.amount)} {self.unit}"


# By what is written behind the number: the unit, what one of it is, and how much of it at most.
_WORDS: Final = {
    "%": (Unit.SHARE, 0.01, 100.0),
    "fps": (Unit.FRAMES, 1.0, 1000.0),
    "frames/s": (Unit.FRAMES, 1.0, 1000.0),
    "kbit/s": (Unit.BITS, 1.0, 10_000_000.0),
    "mbit/s": (Unit.BITS, 1000.0, 10_000.0),
}


def parse_budget(value: object) -> Budget:
    """Return the budget that `value` writes: `20%`, `5 fps`, `500 kbit/s`, `1.5 Mbit/s`, with or without the space.

    A number alone is refused, as it does not say of what. Raises FilterError with what to write instead.
    """
    return _parse("budget", value, f"20% (of the frames), {_RATES}")


def parse_cap(value: object) -> Budget:
    """Return the rate that `value` writes, which may not be a share: that is over in no second for certain.

    Raises FilterError with what to write instead.
    """
    cap = _parse("cap", value, _RATES)
    if cap.unit is Unit.SHARE:
        raise FilterError(f"cap is {_shown(value)}, a share, which bounds no second; write {_RATES}")
    return cap


def _parse(name: str, value: object, write: str) -> Budget:
    written = _WRITTEN.fullmatch(value) if isinstance(value, str) else None
    word = _WORDS.get(written[2].lower()) if written else None
    if written is None or word is None:
        raise FilterError(f"{name} is {_shown(value)}; write a number with its unit, such as {write}")
    unit, scale, most = word
    amount = float(written[1])
    if amount <= 0:
        raise FilterError(f"{name} is {_shown(value)}; write more than 0, or the filter EdgeOnly to send nothing")
    if amount > most:
        raise FilterError(f"{name} is {_shown(value)}; write at most {most:.0f} {written[2]}")
    return Budget(amount * scale, unit)


def _shown(value: object) -> str:
    return repr(value)[:_LONGEST_SHOWN]
