"""From what the metrics ask for to what is done: stabilization, speed, least and most."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sedna_py.autoscaling.hpa_rule.history import Changes, Recommendations
from sedna_py.autoscaling.hpa_rule.spec import AutoscalerSpec, Direction, Policy

# The speed upwards where there is no behavior.
_FACTOR: Final = 2
_ALWAYS_ALLOWED: Final = 4


class Limit(StrEnum):
    """What kept the replicas from what was asked for; the words are those of the condition ScalingLimited."""

    NONE = "DesiredWithinRange"
    MOST = "TooManyReplicas"
    LEAST = "TooFewReplicas"
    SPEED_UP = "ScaleUpLimit"
    SPEED_DOWN = "ScaleDownLimit"


@dataclass(frozen=True, slots=True)
class Limited:
    """The replicas to be had, and what limited them."""

    replicas: int
    stabilized: int  # what was asked for, after stabilization
    limit: Limit


class Limiter:
    """Keeps one autoscaler's history and applies its limits; `down_window_s` is the controller's own stabilization."""

    def __init__(self, spec: AutoscalerSpec, down_window_s: float) -> None:
        self._spec = spec
        self._down_window_s = down_window_s
        self._recommended = Recommendations()
        self._added = Changes()
        self._removed = Changes()

    def begin(self, replicas: int, now: float) -> None:
        """Note the replicas that the autoscaler finds; only the first time matters."""
        self._recommended.begin(replicas, now)

    def apply(self, replicas: int, asked: int, now: float) -> Limited:
        """Return what becomes of `asked` when there are so many replicas now; `asked` is remembered."""
        up, down = self._spec.up, self._spec.down
        if up is None or down is None:
            return self._plainly(replicas, asked, now)
        stabilized = self._stabilized(replicas, asked, up, down, now)
        if stabilized > replicas:
            return self._upwards(replicas, stabilized, up, now)
        if stabilized < replicas:
            return self._downwards(replicas, stabilized, down, now)
        return Limited(stabilized, stabilized, Limit.NONE)

    def changed(self, before: int, after: int, now: float) -> None:
        """Note a change that was made."""
        up, down = self._spec.up, self._spec.down
        if up is None or down is None:
            return
        if after > before:
            self._added.add(after - before, now, up.longest_period_s)
        else:
            self._removed.add(before - after, now, down.longest_period_s)

    def _plainly(self, replicas: int, asked: int, now: float) -> Limited:
        """Apply the rule of autoscalers without a behavior."""
        stabilized = self._recommended.most(now, self._down_window_s, asked)
        self._recommended.add(asked, now, self._down_window_s)
        fastest = max(_FACTOR * replicas, _ALWAYS_ALLOWED)
        if stabilized < self._spec.min_replicas:
            return Limited(self._spec.min_replicas, stabilized, Limit.LEAST)
        if stabilized > min(self._spec.max_replicas, fastest):
            if self._spec.max_replicas > fastest:
                return Limited(fastest, stabilized, Limit.SPEED_UP)
            return Limited(self._spec.max_replicas, stabilized, Limit.MOST)
        return Limited(stabilized, stabilized, Limit.NONE)

    def _stabilized(self, replicas: int, asked: int, up: Direction, down: Direction, now: float) -> int:
        """Keep the replicas between the lowest recommendation of the window upwards and the highest of the one downwards."""
        up_window_s = up.window_s or 0.0
        down_window_s = self._down_window_s if down.window_s is None else down.window_s
        lower = self._recommended.fewest(now, up_window_s, asked)
        upper = self._recommended.most(now, down_window_s, asked)
        self._recommended.add(asked, now, max(up_window_s, down_window_s))
        return min(max(replicas, lower), upper)

    def _upwards(self, replicas: int, wanted: int, rules: Direction, now: float) -> Limited:
        fastest = max(self._bound(replicas, rules, now, up=True), replicas)
        most = min(self._spec.max_replicas, fastest)
        if wanted <= most:
            return Limited(wanted, wanted, Limit.NONE)
        return Limited(most, wanted, Limit.SPEED_UP if self._spec.max_replicas > fastest else Limit.MOST)

    def _downwards(self, replicas: int, wanted: int, rules: Direction, now: float) -> Limited:
        fastest = min(self._bound(replicas, rules, now, up=False), replicas)
        least = max(self._spec.min_replicas, fastest)
        if wanted >= least:
            return Limited(wanted, wanted, Limit.NONE)
        return Limited(least, wanted, Limit.SPEED_DOWN if self._spec.min_replicas < fastest else Limit.LEAST)

    def _bound(self, replicas: int, rules: Direction, now: float, *, up: bool) -> int:
        """Return how far the policies let the replicas go in this direction."""
        if rules.select == "Disabled":
            return replicas
        bounds = []
        for policy in rules.policies:
            changed = self._added.within(now, policy.period_s) - self._removed.within(now, policy.period_s)
            bounds.append(_bound_of(policy, replicas - changed, up=up))
        # Upwards the greatest change is the highest bound, downwards the lowest.
        return max(bounds) if (rules.select == "Max") == up else min(bounds)


def _bound_of(policy: Policy, at_start: int, *, up: bool) -> int:
    """Return how far one policy lets the replicas go from those at the start of its period."""
    if policy.kind == "Pods":
        return at_start + policy.value if up else at_start - policy.value
    if up:  # rounded up, as one could never grow else
        return math.ceil(at_start * (1 + policy.value / 100))
    return int(at_start * (1 - policy.value / 100))
