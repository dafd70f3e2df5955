"""Which pods count for a metric, and how: ready, not ready, without a value, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sedna_py.autoscaling.hpa_rule.spec import CPU


class Phase(StrEnum):
    """A pod's phase, as its status has it."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of the worker. Times are in seconds of the rule's clock."""

    name: str
    phase: Phase = Phase.RUNNING
    ready: bool | None = True  # None: its condition Ready is Unknown
    ready_changed_at: float | None = 0.0  # when that last changed; None: it has no condition Ready
    started_at: float | None = 0.0
    deleted: bool = False
    # Thousandths of a resource that its containers request, by container and resource.
    requests: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def serves(self) -> bool:
        """Whether it runs and is ready, though it may be about to go."""
        return self.phase is Phase.RUNNING and self.ready is True and self.ready_changed_at is not None


@dataclass(frozen=True, slots=True)
class Sample:
    """A pod's value, in thousandths, and for cpu when it was taken and over how many seconds."""

    value: int
    at: float = 0.0
    window_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a pod that begins is not judged by its cpu, in seconds."""

    cpu_initialization_s: float = 300.0
    initial_readiness_s: float = 30.0


@dataclass(frozen=True, slots=True)
class PodGroups:
    """The pods of a worker, sorted: `ready` of them count, the names of the others tell what to assume of each."""

    ready: int
    unready: frozenset[str]
    missing: frozenset[str]
    ignored: frozenset[str]

    def counted(self, samples: Mapping[str, Sample]) -> dict[str, int]:
        """Return the values that count. Those of pods that nobody knows any more do."""
        left_out = self.unready | self.ignored
        return {name: sample.value for name, sample in samples.items() if name not in left_out}


def group(
    pods: Iterable[Pod], samples: Mapping[str, Sample], resource: str, patience: Patience, now: float
) -> PodGroups:
    """Sort the pods for a metric; `resource` is empty unless it is one."""
    ready, unready, missing, ignored = 0, set[str](), set[str](), set[str]()
    for pod in pods:
        sample = samples.get(pod.name)
        if pod.deleted or pod.phase is Phase.FAILED:
            ignored.add(pod.name)
        elif pod.phase is Phase.PENDING:
            unready.add(pod.name)
        elif sample is None:
            missing.add(pod.name)
        elif resource == CPU and not _cpu_counts(pod, sample, patience, now):
            unready.add(pod.name)
        else:
            ready += 1
    return PodGroups(ready, frozenset(unready), frozenset(missing), frozenset(ignored))


def _cpu_counts(pod: Pod, sample: Sample, patience: Patience, now: float) -> bool:
    """Whether the cpu that a pod uses tells of its load: one that begins works hard for nobody."""
    if pod.ready_changed_at is None or pod.started_at is None:
        return False
    if pod.started_at + patience.cpu_initialization_s > now:
        return pod.ready is not False and sample.at >= pod.ready_changed_at + sample.window_s
    was_never_ready = pod.started_at + patience.initial_readiness_s > pod.ready_changed_at
    return pod.ready is not False or not was_never_ready
