"""The autoscaler's rule, case by case; tests/integration/test_hpa_rule.py holds it against the real controller."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sedna_py.api.hpa import Hpa
from sedna_py.autoscaling.hpa import (
    AutoscalerSpec,
    ControllerSettings,
    HorizontalRule,
    Limit,
    Missing,
    Patience,
    Phase,
    Pod,
    Reason,
    Sample,
    Scale,
    milli,
    spec_of,
)
from sedna_py.autoscaling.hpa_rule.spec import (
    Direction,
    PodsAverage,
    Policy,
    TotalAverage,
    TotalValue,
    Utilization,
)
from sedna_py.autoscaling.quantity import ratio

REQUESTS = {"main": {"cpu": 1000}}


def pods(count, **changes):
    return [replace(Pod(f"p{number}", requests=REQUESTS), **changes) for number in range(count)]


def samples(*values):
    """Values of p0, p1, ... in whole units; None is a pod without one."""
    return {f"p{number}": Sample(milli(value)) for number, value in enumerate(values) if value is not None}


def replicas(metric, reading, *, wanted=2, there=None, of=None, settings=None, now=1000.0, most=100):
    rule = HorizontalRule(AutoscalerSpec(most, (metric,)), settings or ControllerSettings(down_window_s=0))
    scale = Scale(wanted, wanted if there is None else there)
    return rule.decide(now, scale, pods(wanted) if of is None else of, [reading]).replicas


class TestPodsMetric:
    METRIC = PodsAverage(milli(10))

    @pytest.mark.parametrize(
        ("values", "wanted"),
        [
            ((10, 10), 2),
            ((11, 11), 2),  # in the tolerance of a tenth, both ways
            ((9, 9), 2),
            ((11.1, 11.1), 3),
            ((8.9, 8.9), 2),  # rounded up
            ((5, 5), 1),
            ((25, 15), 4),
            ((30, 31), 4),  # 6.1, but twice as many at a step at most, or four
            ((0, 0), 1),  # never below the least
        ],
    )
    def test_the_mean_over_the_target(self, values, wanted):
        assert replicas(self.METRIC, samples(*values)) == wanted

    @pytest.mark.parametrize(
        ("values", "wanted"),
        [
            ((30, 30, None), 6),  # the third is taken for idle: 60 over three, not 90
            ((14, 14, None), 3),  # ... and then nothing is to be done
            ((1, 1, None), 2),  # taken to use all its target: 12 over three
            ((8, 8, None), 3),
            ((10, 10, None), 3),
            ((None, None, None), 3),
        ],
    )
    def test_a_pod_without_a_value_is_taken_to_speak_against_the_change(self, values, wanted):
        assert replicas(self.METRIC, samples(*values), wanted=3) == wanted

    def test_pods_that_begin_are_taken_for_idle_on_the_way_up_and_left_out_on_the_way_down(self):
        some = [*pods(2), Pod("p2", phase=Phase.PENDING), Pod("p3", phase=Phase.PENDING)]
        assert replicas(self.METRIC, samples(30, 30), wanted=4, of=some) == 6
        assert replicas(self.METRIC, samples(15, 15), wanted=4, of=some) == 4  # 7.5 of each would even be a way down
        assert replicas(self.METRIC, samples(5, 5, 99, 99), wanted=4, of=some) == 1

    def test_pods_that_failed_or_go_do_not_count_nor_do_their_values(self):
        some = [*pods(2), Pod("p2", phase=Phase.FAILED), Pod("p3", deleted=True)]
        assert replicas(self.METRIC, samples(20, 20, 99, 99), of=some) == 4

    def test_readiness_does_not_matter_to_it(self):
        assert replicas(self.METRIC, samples(20, 20), of=pods(2, ready=False)) == 4

    def test_a_value_of_a_pod_that_nobody_knows_counts_in_the_mean(self):
        assert replicas(self.METRIC, {**samples(10, 10), "gone": Sample(milli(40))}) == 4

    def test_an_absurd_value_asks_for_as_many_as_there_can_be(self):
        assert replicas(self.METRIC, samples(1e15, 0), most=5) == 4

    def test_values_are_rounded_up_to_thousandths_and_their_mean_down(self):
        metric = PodsAverage(milli("1m"))
        assert replicas(metric, samples(0.0001, 0.0001)) == 2
        assert replicas(metric, samples(0.001, 0.002)) == 2


class TestUtilization:
    METRIC = Utilization("cpu", 50)

    def test_percent_of_the_requests(self):
        assert replicas(self.METRIC, samples(0.5, 0.5)) == 2
        assert replicas(self.METRIC, samples(1.0, 0.8)) == 4
        assert replicas(self.METRIC, samples(0.2, 0.2)) == 1

    def test_percents_are_whole(self):
        assert replicas(Utilization("cpu", 1), samples(0.019, 0.019)) == 2  # 1.9 % is 1 %

    def test_a_missing_pod_is_taken_to_use_its_whole_request(self):
        assert replicas(self.METRIC, samples(0.1, 0.1, None), wanted=3) == 3  # 1.2 of 3 are 40 %
        assert replicas(Utilization("cpu", 200), samples(1.0, 1.0, None), wanted=3) == 2  # ... or the target

    def test_without_a_request_nothing_can_be_told(self):
        assert replicas(self.METRIC, samples(5, 5), of=pods(2, requests={"main": {}})) == 2
        assert replicas(Utilization("cpu", 50, "other"), samples(5, 5)) == 2

    def test_one_container_of_the_pod(self):
        both = {"main": {"cpu": 1000}, "helper": {"cpu": 3000}}
        assert replicas(Utilization("cpu", 50, "main"), samples(1, 1), of=pods(2, requests=both)) == 4
        assert replicas(self.METRIC, samples(1, 1), of=pods(2, requests=both)) == 1

    def test_an_amount_instead(self):
        assert replicas(PodsAverage(milli("500m"), "cpu"), samples(1.0, 0.8)) == 4


class TestPodsThatBegin:
    """By cpu only; 300 s for the initialization, 30 s until the first readiness."""

    SETTINGS = ControllerSettings(down_window_s=0, patience=Patience(300, 30))

    def wanted(self, pod, sample, resource="cpu"):
        """Two pods use 150 % of the target; with a third that does not count it is four, else it is more."""
        metric = PodsAverage(milli(10), resource)
        readings = {**{name: Sample(milli(20), 1000) for name in ("p0", "p1")}, "new": sample}
        old = pods(2, started_at=0.0, ready_changed_at=20.0)
        return replicas(metric, readings, wanted=3, of=[*old, pod], settings=self.SETTINGS, now=1000.0)

    @pytest.mark.parametrize(
        ("pod", "at", "counts"),
        [
            (Pod("new", started_at=900, ready_changed_at=910), 970, True),  # a window of 60 s since it became ready
            (Pod("new", started_at=900, ready_changed_at=911), 970, False),
            (Pod("new", started_at=900, ready_changed_at=910, ready=False), 990, False),
            (Pod("new", started_at=900, ready_changed_at=910, ready=None), 990, True),  # Unknown is not False
            (Pod("new", started_at=600, ready_changed_at=640, ready=False), 990, True),  # it was ready once
            (Pod("new", started_at=600, ready_changed_at=620, ready=False), 990, False),  # it never was
            (Pod("new", started_at=600, ready_changed_at=999), 990, True),
            (Pod("new", started_at=None), 990, False),
            (Pod("new", ready_changed_at=None), 990, False),
        ],
    )
    def test_whether_it_counts(self, pod, at, counts):
        assert self.wanted(pod, Sample(milli(80), at)) == (6 if counts else 4)

    def test_only_by_cpu(self):
        new = Pod("new", started_at=990, ready_changed_at=999, ready=False)
        assert self.wanted(new, Sample(milli(80), 1000), "memory") == 6


class TestObjectAndExternal:
    def test_value_over_the_target_times_the_pods_that_serve(self):
        assert replicas(TotalValue(milli(10)), [milli(25)]) == 4  # 5, but twice two or four
        assert replicas(TotalValue(milli(10)), [milli(15)]) == 3
        assert replicas(TotalValue(milli(10)), [milli(15)], of=[*pods(1), *pods(1, ready=False)]) == 2
        assert replicas(TotalValue(milli(10)), [milli(10.5)], of=[]) == 2  # in the tolerance nobody asks for pods
        assert replicas(TotalValue(milli(10)), [milli(20)], of=[]) == 2

    def test_external_values_are_added_up(self):
        assert replicas(TotalValue(milli(10)), [milli(7), milli(8)]) == 3
        assert replicas(TotalValue(milli(10)), []) == 2

    def test_an_average_is_shared_by_the_replicas_that_the_status_counts(self):
        assert replicas(TotalAverage(milli(10)), [milli(35)]) == 4
        assert replicas(TotalAverage(milli(10)), [milli(21)], there=2) == 2
        assert replicas(TotalAverage(milli(10)), [milli(31)], wanted=2, there=3) == 3  # in the tolerance of those
        assert replicas(TotalAverage(milli(10)), [milli(1)], there=0) == 1
        assert replicas(TotalAverage(milli(10)), [0], there=0) == 1


class TestSeveralMetrics:
    METRICS = (PodsAverage(milli(10)), TotalAverage(milli(10)))

    def decide(self, *readings, wanted=4):
        rule = HorizontalRule(AutoscalerSpec(20, self.METRICS), ControllerSettings(down_window_s=0))
        return rule.decide(0.0, Scale(wanted, wanted), pods(wanted), list(readings))

    def test_the_most_wins(self):
        assert self.decide(samples(15, 15, 15, 15), [milli(50)]).replicas == 6
        assert self.decide(samples(15, 15, 15, 15), [milli(70)]).replicas == 7
        assert self.decide(samples(5, 5, 5, 5), [milli(30)]).replicas == 3

    def test_with_one_missing_it_may_only_grow(self):
        assert self.decide(Missing(), [milli(70)]).replicas == 7
        held = self.decide(Missing("the source is gone"), [milli(10)])
        assert (held.replicas, held.reason) == (4, Reason.NO_METRICS)
        assert held.proposals[0] == Missing("the source is gone")

    def test_with_all_missing_it_holds(self):
        assert self.decide(Missing(), Missing()).reason is Reason.NO_METRICS

    def test_each_needs_its_reading(self):
        with pytest.raises(ValueError, match="2 metrics, but 1"):
            self.decide(Missing())
        with pytest.raises(TypeError, match="samples by pod"):
            self.decide([1], [1])
        with pytest.raises(TypeError, match="list of values"):
            self.decide(samples(1), samples(1))


class TestBounds:
    SPEC = AutoscalerSpec(6, (TotalAverage(milli(1)),), min_replicas=2)

    def decide(self, wanted, value):
        rule = HorizontalRule(self.SPEC, ControllerSettings(down_window_s=0))
        return rule.decide(0.0, Scale(wanted, wanted), [], [[milli(value)] if value else Missing()])

    def test_outside_of_them_the_metrics_are_not_asked(self):
        assert self.decide(9, None).reason is Reason.ABOVE_MAX
        assert self.decide(9, None).replicas == 6
        assert self.decide(1, None).reason is Reason.BELOW_MIN
        assert self.decide(1, None).replicas == 2

    def test_what_is_asked_for_is_clamped(self):
        assert (self.decide(5, 9).replicas, self.decide(5, 9).limit) == (6, Limit.MOST)
        assert (self.decide(5, 0.1).replicas, self.decide(5, 0.1).limit) == (2, Limit.LEAST)
        assert (self.decide(5, 3).replicas, self.decide(5, 3).limit) == (3, Limit.NONE)

    def test_nothing_is_scaled_from_zero(self):
        decision = self.decide(0, 9)
        assert (decision.replicas, decision.reason) == (0, Reason.DISABLED)


class Series:
    """One autoscaler with a metric that asks for what it is told; the replicas follow at once."""

    def __init__(self, begin, up=None, down=None, *, most=1000, down_window_s=300.0):
        spec = AutoscalerSpec(most, (TotalAverage(milli(1)),), up=up, down=down)
        self.rule = HorizontalRule(spec, ControllerSettings(down_window_s=down_window_s))
        self.replicas = begin

    def ask(self, now, asked):
        self.replicas = self.rule.decide(now, Scale(self.replicas, self.replicas), [], [[milli(asked)]]).replicas
        return self.replicas

    def over(self, *steps):
        return [self.ask(now, asked) for now, asked in steps]


def direction(*policies, select="Max", window_s=0.0):
    return Direction(tuple(Policy(*one) for one in policies), select, window_s)


FREE_UP = direction(("Percent", 10000, 15))
FREE_DOWN = direction(("Percent", 100, 15))


class TestStabilization:
    def test_without_a_behavior_the_highest_of_five_minutes_counts_on_the_way_down(self):
        series = Series(4)
        assert series.over((0, 8), (100, 2), (200, 5), (299, 1), (301, 1), (499, 1), (501, 1)) == [
            8,
            8,
            8,
            8,
            5,
            5,
            1,
        ]

    def test_the_first_look_is_a_recommendation_too(self):
        assert Series(7).over((0, 1), (299, 1), (301, 1)) == [7, 7, 1]

    def test_windows_of_a_behavior(self):
        series = Series(4, direction(("Percent", 900, 15), window_s=60), direction(("Percent", 100, 15), window_s=120))
        # Upwards the lowest of a minute counts; the first recommendation is the 4 that were found.
        assert series.over((0, 9), (30, 8), (61, 9), (91, 9)) == [4, 4, 8, 9]
        assert series.over((100, 2), (210, 2), (212, 2)) == [9, 9, 2]

    def test_a_behavior_without_a_window_downwards_takes_the_controllers(self):
        series = Series(4, FREE_UP, direction(("Percent", 100, 15), window_s=None), down_window_s=20)
        assert series.over((0, 1), (19, 1), (21, 1)) == [4, 4, 1]

    def test_what_is_not_done_is_remembered_as_it_was_asked_for(self):
        series = Series(2, most=4)
        assert series.over((0, 50), (100, 3), (299, 3), (301, 3)) == [4, 4, 4, 3]


class TestSpeed:
    def test_without_a_behavior_twice_as_many_or_four(self):
        assert Series(1).over((0, 99), (1, 99), (2, 99)) == [4, 8, 16]

    def test_with_a_behavior_by_default_twice_as_many_or_four_more_in_15_s(self):
        default_up, default_down = _defaults()
        series = Series(1, default_up, default_down)
        assert series.over((0, 99), (14, 99), (16, 99), (31, 99), (32, 99)) == [5, 5, 10, 20, 20]

    def test_policies_upwards(self):
        series = Series(10, direction(("Pods", 2, 60), ("Percent", 50, 60)), FREE_DOWN)
        assert series.over((0, 99), (30, 99), (61, 99)) == [15, 15, 23]
        series = Series(10, direction(("Pods", 2, 60), ("Percent", 50, 60), select="Min"), FREE_DOWN)
        assert series.over((0, 99), (30, 99), (61, 99)) == [12, 12, 14]
        assert Series(10, direction(("Pods", 2, 60), select="Disabled"), FREE_DOWN).ask(0, 99) == 10

    def test_policies_downwards(self):
        series = Series(20, FREE_UP, direction(("Pods", 4, 60), ("Percent", 10, 60)))
        assert series.over((0, 1), (30, 1), (61, 1)) == [16, 16, 12]
        series = Series(20, FREE_UP, direction(("Pods", 4, 60), ("Percent", 10, 60), select="Min"))
        assert series.over((0, 1), (30, 1), (61, 1)) == [18, 18, 16]
        assert Series(20, FREE_UP, direction(("Pods", 4, 60), select="Disabled")).ask(0, 1) == 20

    def test_a_change_back_makes_room_again(self):
        series = Series(10, direction(("Pods", 2, 60)), FREE_DOWN)
        assert series.over((0, 99), (10, 8), (20, 99)) == [12, 8, 12]

    def test_an_outdated_change_gives_its_place_to_the_next(self):
        """So a policy of the other direction that looks back further misses it, as it does in Kubernetes."""
        up, down = direction(("Pods", 1, 100)), direction(("Percent", 100, 10))
        series = Series(20, up, down)
        assert series.over((0, 15), (50, 13)) == [15, 13]
        # Seven have been removed in the last 100 s, but the first five were forgotten at 50 s.
        assert series.ask(60, 99) == 16

    def test_what_the_limits_are_called(self):
        rule = HorizontalRule(
            AutoscalerSpec(9, (TotalAverage(milli(1)),), up=direction(("Pods", 1, 15)), down=direction(("Pods", 1, 15)))
        )
        limits = [rule.decide(100 * n, Scale(5, 5), [], [[milli(value)]]).limit for n, value in enumerate((9, 1, 5))]
        assert limits == [Limit.SPEED_UP, Limit.SPEED_DOWN, Limit.NONE]


def _defaults():
    spec = spec_of(Hpa.model_validate({"maxReplicas": 9, "behavior": {}}))
    assert spec.up is not None
    assert spec.down is not None
    return spec.up, spec.down


class TestTheBlock:
    def test_everything_by_default(self):
        spec = spec_of(Hpa.model_validate({"maxReplicas": 3}))
        assert spec == AutoscalerSpec(3, (Utilization("cpu", 80),), min_replicas=1)

    def test_kinds_of_metrics(self):
        identified = {"metric": {"name": "m"}}
        described = {"describedObject": {"kind": "Service", "name": "s"}, **identified}
        amount = {"type": "AverageValue", "averageValue": "500m"}
        block = {
            "maxReplicas": 3,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Ki"}},
                },
                {
                    "type": "ContainerResource",
                    "containerResource": {
                        "name": "cpu",
                        "container": "c",
                        "target": {"type": "Utilization", "averageUtilization": 60},
                    },
                },
                {"type": "Pods", "pods": {**identified, "target": amount}},
                {"type": "Object", "object": {**described, "target": {"type": "Value", "value": 2}}},
                {"type": "External", "external": {**identified, "target": amount}},
            ],
        }
        assert spec_of(Hpa.model_validate(block)).metrics == (
            PodsAverage(1024000, "memory"),
            Utilization("cpu", 60, "c"),
            PodsAverage(500),
            TotalValue(2000),
            TotalAverage(500),
        )

    def test_a_behavior_is_filled_in(self):
        behavior = {
            "scaleUp": {"selectPolicy": "Min", "tolerance": 0.05},
            "scaleDown": {
                "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
                "stabilizationWindowSeconds": 7,
            },
        }
        spec = spec_of(Hpa.model_validate({"maxReplicas": 3, "behavior": behavior}))
        assert spec.up == Direction((Policy("Pods", 4, 15), Policy("Percent", 100, 15)), "Min", 0.0, 0.05)
        assert spec.down == Direction((Policy("Pods", 1, 60),), "Max", 7.0)

    def test_a_tolerance_of_each_direction(self):
        up, down = replace(FREE_UP, tolerance=0.0), replace(FREE_DOWN, tolerance=0.5)
        assert Series(10, up, down).over((0, 10.1), (1, 6)) == [11, 11]
        assert Series(10, up, down).over((0, 4)) == [4]


@pytest.mark.parametrize(
    ("quantity", "thousandths"),
    [
        ("250m", 250),
        (1.5, 1500),
        (3, 3000),
        ("1e3", 1000000),
        ("1k", 1000000),
        ("1Mi", 1048576000),
        ("2E", 2 * 10**21),
        ("1500u", 2),
        (0.0001, 1),
        (16.1, 16100),
        (".5", 500),
    ],
)
def test_quantities_are_counted_in_thousandths_rounded_up(quantity, thousandths):
    assert milli(quantity) == thousandths


def test_a_share_is_the_same_number_however_it_is_written():
    assert ratio("50m") == ratio(0.05) == ratio("0.05") == 50 * 0.001
    assert ratio(0) == 0.0
    assert ratio("1") == 1.0
