"""What is served, out of readings that a test writes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from controller.metrics_api.values import FRESH_S, Values
from controller.metrics_api.wishes import Wish
from controller.metrics_api.worker_pods import WorkerKey, WorkerPod
from controller.store import ServiceKey
from sedna_py.api.child_names import Role
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.autoscaling.windows import WindowSettings
from sedna_py.metrics import names

SERVICE = ServiceKey("shop", "helmet")
CLOUD, EDGE = WorkerKey(SERVICE, Role.CLOUD), WorkerKey(SERVICE, Role.EDGE)


def pod(name: str, worker: WorkerKey = CLOUD, *, ready: bool = True) -> WorkerPod:
    return WorkerPod(f"uid-{name}", name, worker, "10.0.0.1", ready, {})


class Played:
    """Workers whose counters rise evenly, read every two seconds; `clock` is what their own clocks are apart from ours."""

    def __init__(self, *pods: WorkerPod, clock: float = 1000.0) -> None:
        self.values = Values()
        self.now = 0.0
        self.clock = clock
        self.totals: dict[str, dict[str, float]] = {}
        self.see(*pods)

    def see(self, *pods: WorkerPod) -> None:
        self.values.see(pods, [SERVICE])

    def play(self, seconds: float, *names: str, look: bool = False, **rates: float) -> None:
        """Let so much time pass; the named pods are read, and their totals rise by these rates."""
        until = self.now + seconds
        while self.now < until:
            self.now += 2.0
            for name in names:
                totals = self.totals.setdefault(name, {})
                for total, rate in rates.items():
                    totals[total] = totals.get(total, 0.0) + 2.0 * rate
                self.values.take(f"uid-{name}", self.reading(totals), self.now)
            if look:
                self.values.look(self.now)

    def reading(self, totals: dict[str, float]) -> Snapshot:
        zero = dict.fromkeys(("offered", "done", "dropped", "present_s", "waiting_s", "busy_s"), 0.0)
        return Snapshot(**{"at": self.now + self.clock, "began": 1.0, "streams": 2.0, **zero, **totals})

    def served(self, metric: str = names.SIGNAL_CONCURRENCY, worker: WorkerKey = CLOUD) -> dict[str, float]:
        return {uid: value.value for uid, value in self.values.pod_values(worker, metric, self.now).items()}


def wish(target: float, metric: str = names.SIGNAL_CONCURRENCY, **windows: float) -> Wish:
    return Wish({metric: target}, WindowSettings(**windows))


def test_a_value_is_the_mean_over_the_stable_window_by_the_workers_own_clock():
    played = Played(pod("a"))
    played.play(100, "a", present_s=1.0)
    assert played.served() == {"uid-a": pytest.approx(1.0)}
    played.play(30, "a", present_s=3.0)
    assert played.served() == {"uid-a": pytest.approx(2.0)}
    [value] = played.values.pod_values(CLOUD, names.SIGNAL_CONCURRENCY, played.now).values()
    assert (value.at, value.span_s) == (played.now, 60.0)


def test_a_value_that_is_not_fresh_is_absent_and_never_zero():
    played = Played(pod("a"), pod("b"))
    played.play(20, "a", "b", present_s=1.0)
    played.play(FRESH_S - 1, "b", present_s=1.0)
    assert set(played.served()) == {"uid-a", "uid-b"}
    played.play(2, "b", present_s=1.0)
    assert set(played.served()) == {"uid-b"}
    played.play(4, "a", "b", present_s=1.0)
    assert set(played.served()) == {"uid-a", "uid-b"}


def test_one_reading_is_no_value_and_neither_is_an_unknown_metric():
    played = Played(pod("a"))
    played.play(2, "a", present_s=1.0)
    assert played.served() == {}
    played.play(2, "a", present_s=1.0)
    assert played.served("sedna_no_such_metric") == {}
    assert played.served(names.SIGNAL_LATENCY_P95) == {}  # no request, no latency


def test_pods_that_are_not_ready_or_gone_have_none():
    played = Played(pod("a"), pod("b"))
    played.play(10, "a", "b", present_s=1.0)
    played.see(pod("a"), pod("b", ready=False))
    assert set(played.served()) == {"uid-a"}
    played.see(pod("a"))
    played.play(2, "a", "b", present_s=1.0)
    assert set(played.served()) == {"uid-a"}
    assert played.values.readings() == 6  # b's are forgotten
    played.see()
    assert played.served() == {}
    assert played.values.readings() == 0


def test_a_worker_that_counts_backwards_has_no_value():
    played = Played(pod("a"), pod("b"))
    played.play(20, "a", "b", present_s=1.0)
    played.totals["a"]["present_s"] = 0.0
    played.play(2, "a", "b", present_s=0.0)
    assert set(played.served()) == {"uid-b"}


def test_a_burst_raises_the_sum_at_once_and_is_shared_by_load():
    played = Played(pod("a"))
    played.values.want(CLOUD, wish(1.0))
    played.play(70, "a", look=True, present_s=0.5)
    assert played.served() == {"uid-a": pytest.approx(0.5)}
    played.play(8, "a", look=True, present_s=5.0)
    # The stable mean is about 1 still; the panic window has 5.
    assert played.served() == {"uid-a": pytest.approx(5.0)}

    played.see(*(pod(name) for name in "abcde"))
    played.play(10, *"abcde", look=True, present_s=1.0)
    served = played.served()
    assert len(served) == 5
    assert sum(served.values()) == pytest.approx(5.0, rel=0.1)


def test_a_panic_gives_nothing_back_until_it_is_over():
    played = Played(pod("a"))
    played.values.want(CLOUD, wish(1.0))
    played.play(70, "a", look=True, present_s=0.0)
    played.play(8, "a", look=True, present_s=5.0)
    for _ in range(5):
        played.play(10, "a", look=True, present_s=0.0)
        assert sum(played.served().values()) == pytest.approx(5.0)
    played.play(30, "a", look=True, present_s=0.0)
    assert sum(played.served().values()) == pytest.approx(0.0, abs=0.01)


def test_windows_are_the_services():
    played = Played(pod("a"))
    played.values.want(CLOUD, wish(1000.0, stable_s=6.0))
    played.play(40, "a", present_s=0.0)
    played.play(6, "a", present_s=4.0)
    assert played.served() == {"uid-a": pytest.approx(4.0)}


def test_a_new_pod_does_not_count_the_work_of_others_twice():
    played = Played(pod("a"))
    played.values.want(CLOUD, wish(1.0, threshold_percent=1000.0))
    played.play(70, "a", present_s=4.0)
    played.see(pod("a"), pod("b"))
    played.play(20, "a", "b", present_s=2.0)
    # Over the window: 4 from one pod for 40 s, then 2 and 2 from two.
    assert sum(played.served().values()) == pytest.approx(4.0, rel=0.05)


def test_work_that_moves_to_another_pod_is_not_counted_twice_while_one_is_read_later():
    played = Played(pod("a"))
    played.values.want(CLOUD, wish(1.0))
    played.play(70, "a", look=True, present_s=0.2)
    played.play(10, "a", look=True, present_s=4.0)
    played.see(pod("a"), pod("b"))
    played.play(2, "b", present_s=2.0)
    played.play(4, "b", look=True, present_s=2.0)  # a's page is late, its work is b's by now
    assert sum(played.served().values()) == pytest.approx(4.0)


def test_idle_pods_share_what_a_panic_holds_evenly():
    played = Played(pod("a"), pod("b"))
    played.values.want(CLOUD, wish(1.0))
    played.play(20, "a", "b", look=True, present_s=4.0)
    played.play(62, "a", "b", look=True, present_s=0.0)
    assert played.served() == {"uid-a": pytest.approx(4.0), "uid-b": pytest.approx(4.0)}


def edge(played: Played, *names: str, hard: float) -> None:
    played.play(12, *names, hard=hard, offered=10.0, done=10.0)


def test_the_early_warning_is_the_hard_frames_worth_of_cloud_pods():
    played = Played(pod("c"), pod("e1", EDGE), pod("e2", EDGE))
    assert played.values.expected_load(SERVICE, 0) is None
    played.play(20, "c", look=True, done=10.0, busy_s=1.5)  # 0.15 s a request, 2 streams a pod
    assert played.values.expected_load(SERVICE, played.now) is None  # nothing of the edges
    edge(played, "e1", "e2", hard=20.0)
    load = played.values.expected_load(SERVICE, played.now)
    assert load is not None
    assert load.value == pytest.approx(40.0 * 0.15 / 2)


def test_the_early_warning_goes_on_without_cloud_pods_and_not_without_edges():
    played = Played(pod("c"), pod("e", EDGE))
    played.play(20, "c", look=True, done=10.0, busy_s=1.5)
    played.see(pod("e", EDGE))
    edge(played, "e", hard=4.0)
    load = played.values.expected_load(SERVICE, played.now)
    assert load is not None
    assert load.value == pytest.approx(0.3)
    played.play(6)
    assert played.values.expected_load(SERVICE, played.now) is None


def test_what_is_known_of_a_service_goes_with_it():
    played = Played(pod("c"), pod("e", EDGE))
    played.play(20, "c", look=True, done=10.0, busy_s=1.5)
    played.values.see([], [])
    played.see(pod("e", EDGE))
    edge(played, "e", hard=4.0)
    assert played.values.expected_load(SERVICE, played.now) is None


def bounded(values: Iterable[float]) -> bool:
    return all(0 <= value <= 1e15 for value in values)


def test_no_value_is_beyond_what_autoscalers_can_read():
    played = Played(pod("a"))
    played.values.want(CLOUD, wish(0.001))
    played.play(20, "a", look=True, present_s=1e14)
    assert bounded(played.served().values())
