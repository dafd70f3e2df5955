"""A budget's figures as Prometheus metrics: read when somebody asks; without a budget there are none."""

from __future__ import annotations

import math
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from sedna_py.budgeted_filter import Moved
from sedna_py.hard_example_mining.budget import BudgetFigures
from sedna_py.metrics import names
from workers.edge.figures_collector import FiguresCollector


class BudgetCollector(FiguresCollector[tuple[BudgetFigures, Moved]]):
    """Renders a budget and what was spent of it."""

    def render(self, read: tuple[BudgetFigures, Moved]) -> Iterator[Metric]:
        """Yield the metrics of this moment."""
        figures, moved = read
        unit = figures.budget.unit.value
        budget = GaugeMetricFamily(names.EDGE_BUDGET, "What may be sent", labels=["unit"])
        budget.add_metric([unit], figures.budget.amount)
        spent = GaugeMetricFamily(names.EDGE_BUDGET_SPENT, "What was sent in the last minute", labels=["unit"])
        spent.add_metric([unit], figures.spent)
        threshold = math.nan if figures.threshold is None else figures.threshold
        changed = CounterMetricFamily(
            names.EDGE_BUDGET_CHANGES, "Frames that the filter's own threshold judges otherwise", labels=["change"]
        )
        changed.add_metric(["held_back"], moved.held_back)
        changed.add_metric(["added"], moved.added)
        yield from (
            budget,
            spent,
            GaugeMetricFamily(names.EDGE_BUDGET_THRESHOLD, "Below it a frame is hard", threshold),
        )
        yield changed
