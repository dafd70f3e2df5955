"""The report's section on budgets: from the logs of edge only and cloud only, and the scores that the joint run's filter gave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sedna_py.decision_log import DecisionRecord
from sedna_py.local import formats
from sedna_py.local.budget_curve import at_random, both_ways, curve
from sedna_py.local.budget_plot import curve_plot
from sedna_py.local.comparison import answered_by_cloud
from sedna_py.local.plot import Plot, empty_plot

TITLE: Final = "What a budget buys"
PLAYED_S: Final = 180.0
LEAST_FRAMES: Final = 20


def budget_plot(
    edge_only: Sequence[DecisionRecord], joint: Sequence[DecisionRecord], cloud_only: Sequence[DecisionRecord]
) -> Plot:
    """Return share sent against agreement for the service's own filter, with its score and another threshold or a budget."""
    frames = both_ways(edge_only, answered_by_cloud(cloud_only))
    score_by_frame = {(record.source, record.frame): record.score for record in joint}
    known = [frame for frame in frames if frame.key in score_by_frame]
    scores = [score_by_frame[frame.key] for frame in known]
    if len(known) < LEAST_FRAMES:
        return empty_plot(TITLE, "Too few frames were answered with boxes in all three runs.")
    if not any(score is not None for score in scores):
        return empty_plot(TITLE, "The filter gives no frame a score, so there is no threshold to move.")
    name = ", ".join(sorted({record.filter for record in joint}))
    caption = (
        f"Computed from {formats.number(len(known))} frames that all three runs answered, with the scores of the joint run. "
        f"The budgets are simulated on the clip played over and over for {formats.number(PLAYED_S)} s, learning from the first "
        "frame on. A fixed threshold is chosen here with the whole clip known, and need not keep to its share in every minute."
    )
    drawn = [curve(name, known, scores, PLAYED_S)]
    return curve_plot(TITLE, drawn, [at_random(known, 0.0), at_random(known, 1.0)], caption)
