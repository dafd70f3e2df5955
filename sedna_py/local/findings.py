"""What the comparison says in sentences: the headline, and everything that a reader must know to judge it."""

from __future__ import annotations

from collections.abc import Sequence

from sedna_py.local import formats
from sedna_py.local.comparison import Column, Comparison, Mode, Run
from sedna_py.local.figures import Agreement


def headline(comparison: Comparison) -> str:
    """Return the one sentence that the figures support."""
    joint = comparison.column(Mode.JOINT)
    if joint is None:
        return "There is no joint run, so there is nothing to compare."
    if not joint.summary.frames:
        return "The joint run answered no frame."
    if joint.agreement is None:
        return _alone(joint)
    if not joint.agreement.frames:
        return "Joint inference cannot be compared with cloud only: no frame was answered by both."
    agreed = f"Joint inference agreed with cloud-only on {formats.percent(joint.agreement.share)} of frames"
    return f"{agreed}{_at_what_price(joint.agreement)}."


def subline(comparison: Comparison) -> str:
    """Return what the headline is measured on and against, with n."""
    joint, edge = comparison.column(Mode.JOINT), comparison.column(Mode.EDGE_ONLY)
    sentences = []
    if edge is not None and edge.agreement is not None and edge.agreement.frames:
        sentences.append(f"The little model alone agreed on {formats.percent(edge.agreement.share)}.")
    if joint is not None and joint.agreement is not None and joint.agreement.frames:
        n = formats.number(joint.agreement.frames)
        sentences.append(f"n{formats.SPACE}={formats.SPACE}{n} frames that both runs answered.")
    if comparison.reference:
        sentences.append(
            "Agreement is with the big model’s answers, not with ground truth: where it errs, so does the yardstick."
        )
    return " ".join(sentences)


def remarks(runs: Sequence[Run], comparison: Comparison) -> list[str]:
    """Return what went wrong or limits the comparison, one sentence each; empty when there is nothing to say."""
    said = [f"{_name(run.mode)}: {problem}" for run in runs for problem in run.problems]
    for column in comparison.columns:
        said += _of_one_run(column)
    if comparison.reference is None:
        said.append("There is no cloud-only run, so no agreement could be measured.")
    elif not comparison.reference:
        said.append("The cloud answered no frame of the cloud-only run, so no agreement could be measured.")
    return said + _unequal_frames(comparison)


def _alone(joint: Column) -> str:
    frames, hard = formats.number(joint.summary.frames), formats.percent(joint.summary.hard_share)
    cloud = formats.number(joint.summary.cloud_answered)
    return f"Joint inference answered {frames} frames; {hard} were hard, and the cloud answered {cloud} of them."


def _at_what_price(agreement: Agreement) -> str:
    if agreement.bytes_share is None:
        return " (no bytes were recorded)"
    if not agreement.bytes_sent:
        return " while sending nothing"
    return f" while sending {formats.percent(agreement.bytes_share)} of the bytes"


def _of_one_run(column: Column) -> list[str]:
    name, summary, said = _name(column.mode), column.summary, []
    if not summary.frames:
        return [f"{name}: no frame was answered, so every figure of this run is empty."]
    if summary.fallbacks:
        kept = f"{formats.number(summary.fallback_frames)} of {formats.number(summary.hard)} hard frames"
        said.append(f"{name}: {kept} were not answered by the cloud ({formats.causes(summary.fallbacks)}).")
    if not summary.objects:
        said.append(f"{name}: no object was found in any frame.")
    if column.mode is Mode.JOINT and not summary.hard:
        said.append(f"{name}: the filter called no frame hard, so the cloud was never asked.")
    if column.agreement is not None and column.agreement.incomparable:
        count = formats.number(column.agreement.incomparable)
        said.append(f"{name}: {count} frames are left out of the agreement because a result is not a list of boxes.")
    return said


def _unequal_frames(comparison: Comparison) -> list[str]:
    said = []
    for column in comparison.columns:
        it = column.agreement
        if it is None or not comparison.reference or not (it.missing or it.extra):
            continue
        said.append(
            f"{_name(column.mode)} and cloud only did not answer the same frames: {formats.number(it.missing)} are "
            f"only in cloud only, {formats.number(it.extra)} only in {column.mode}. The agreement and the share of "
            f"bytes in the headline count the {formats.number(it.frames)} in both; all else counts each run’s own."
        )
    return said


def _name(mode: Mode) -> str:
    return mode.value.capitalize()
