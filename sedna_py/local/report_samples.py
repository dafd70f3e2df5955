"""Sample frames with what both models saw, drawn over the picture."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from sedna_py.local.box_matching import Detection, detections
from sedna_py.local.markup import LegendEntry, legend, text
from sedna_py.local.svg_chart import svg


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame to show. Boxes are in pixels of the frame; `cloud` is None where the big model did not answer it."""

    frame: int
    jpeg: bytes
    width: int
    height: int
    edge: Sequence[Sequence[float | str]]
    cloud: Sequence[Sequence[float | str]] | None
    caption: str


def render_samples(samples: Sequence[Sample]) -> str:
    """Return the grid of sample frames with its legend."""
    if not samples:
        return '<p class="empty">No sample frame was kept.</p>'
    entries = [
        LegendEntry("box", "seen edge", "edge: the little model, score above the box"),
        LegendEntry("dashed-box", "seen cloud", "cloud: the big model, score below the box"),
    ]
    classes = (
        '<p class="note">c and what follows it is the class of the box.</p>' if any(map(_several, samples)) else ""
    )
    return f'{legend(entries)}{classes}<div class="samples">{"".join(map(_card, samples))}</div>'


def _card(sample: Sample) -> str:
    width, height = max(1, sample.width), max(1, sample.height)
    edge, cloud = detections(sample.edge) or [], detections(sample.cloud or []) or []
    several = _several(sample)
    picture = base64.b64encode(sample.jpeg).decode("ascii")
    drawn = [f'<image width="{width}" height="{height}" href="data:image/jpeg;base64,{picture}"/>'] if picture else []
    drawn += [_box(box, "edge", sample, several) for box in edge] + [
        _box(box, "cloud", sample, several) for box in cloud
    ]
    counts = f"edge {len(edge)}, cloud {'not asked or no answer' if sample.cloud is None else len(cloud)}"
    label = f"frame {sample.frame}, boxes: {counts}"
    return (
        f'<figure class="sample">{svg(width, height, drawn, label)}'
        f"<figcaption><b>Frame {sample.frame}</b> {text(sample.caption)}<br>"
        f'<span class="note">boxes: {counts}</span></figcaption></figure>'
    )


def _several(sample: Sample) -> bool:
    boxes = [*(detections(sample.edge) or []), *(detections(sample.cloud or []) or [])]
    return len({box.label for box in boxes}) > 1


def _box(box: Detection, side: str, sample: Sample, with_class: bool) -> str:
    left, right = sorted((box.xmin, box.xmax))
    top, bottom = sorted((box.ymin, box.ymax))
    size = max(sample.width, 1) / 28  # as large on the page as the captions, in a card of about 330 px
    baseline = max(size, top - size * 0.3) if side == "edge" else min(sample.height - 2.0, bottom + size * 1.05)
    label = f"{box.score:.2f}" + (f" c{_class(box)}" if with_class else "")
    at = f'x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"'
    return (
        f'<g class="seen {side}"><rect class="casing" {at}/><rect class="outline" {at}/>'
        f'<text x="{max(0.0, left):.1f}" y="{baseline:.1f}" style="font-size:{size:.1f}px">{text(label)}</text></g>'
    )


def _class(box: Detection) -> str:
    return box.label if isinstance(box.label, str) else f"{box.label:g}"
