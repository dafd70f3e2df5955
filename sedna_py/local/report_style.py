"""The report's style sheet: light and dark by the reader's preference, light on paper.

The colours of edge, cloud, fallback and joint are after Okabe and Ito, "Color Universal Design" (2008), with shapes
and dashes beside them so that no meaning hangs on colour alone.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

_LIGHT = """
  --page: #ffffff; --panel: #f6f7f9; --ink: #16191d; --soft: #5a626d; --line: #dfe3e8; --grid: #e9ecf0;
  --lane: #eef0f3;
  --edge: #0072b2; --cloud: #d55e00; --fallback: #a8327d; --joint: #00795a; --muted: #7a828d; --warn: #fff6e5;
  --warn-line: #e0a100;
"""
_DARK = """
  --page: #101317; --panel: #181c22; --ink: #e8ebef; --soft: #a0a8b3; --line: #2c323b; --grid: #232931;
  --lane: #1e232a;
  --edge: #56b4e9; --cloud: #ff9040; --fallback: #ee8fc9; --joint: #3fd0a4; --muted: #8b94a0; --warn: #2b2412;
  --warn-line: #c99a1c;
"""

# For a picture that stands alone: many programs that draw SVG know no CSS variables.
LIGHT: Final = MappingProxyType(dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", _LIGHT)))

_RULES = """
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto,
  "Helvetica Neue", "Liberation Sans", Arial, sans-serif; font-variant-numeric: tabular-nums; }
main { max-width: 1104px; margin: 0 auto; padding: 44px 24px 64px; }
.eyebrow { margin: 0 0 10px; color: var(--soft); font-size: 13px; }
h1 { margin: 0 0 12px; max-width: 26em; font-size: 30px; line-height: 1.22; font-weight: 650;
  letter-spacing: -0.012em; text-wrap: balance; }
h2 { margin: 52px 0 4px; font-size: 20px; line-height: 1.3; font-weight: 650; }
h3 { margin: 0; font-size: 14.5px; line-height: 1.4; font-weight: 650; }
p { margin: 0 0 10px; max-width: 80ch; }
.subline, .lead, .note, figcaption { color: var(--soft); }
.lead { margin-bottom: 16px; }
.note, .caption { font-size: 13px; color: var(--soft); }
.edge { --c: var(--edge); } .cloud { --c: var(--cloud); } .fallback { --c: var(--fallback); }
.joint { --c: var(--joint); } .muted { --c: var(--muted); }

.remarks { margin: 24px 0 0; padding: 12px 18px; background: var(--warn); border-left: 4px solid var(--warn-line);
  border-radius: 4px; }
.remarks ul { margin: 4px 0 0; padding-left: 18px; }
.remarks li { max-width: 100ch; }

.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(235px, 1fr)); gap: 14px; margin: 28px 0 0; }
.tile { padding: 14px 16px 14px; background: var(--panel); border: 1px solid var(--line); border-radius: 8px; }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: 5px 10px; align-items: center;
  margin: 10px 0 0;
  font-size: 13px; }
.bars .name { color: var(--soft); } .bars .value { text-align: right; font-weight: 600; white-space: nowrap; }
.track { height: 9px; border-radius: 2px; background: var(--grid); overflow: hidden; }
.track i { display: block; height: 100%; background: var(--c); }

.scroll { overflow-x: auto; }
table { width: 100%; table-layout: fixed; min-width: 620px; border-collapse: collapse; font-size: 14px; }
th, td { padding: 7px 12px; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top;
  font-weight: 400; }
thead th, thead td { border-bottom: 2px solid var(--ink); font-weight: 650; white-space: nowrap; }
thead th:first-child, tbody th { padding-left: 0; text-align: left; }
tbody th span { display: block; color: var(--soft); font-size: 12.5px; line-height: 1.35; }
thead i { display: inline-block; width: 9px; height: 9px; margin-right: 7px; border-radius: 2px;
  background: var(--c); }
tr.headline td { font-weight: 650; }

.plot { margin: 26px 0 0; break-inside: avoid; }
.plot svg:not(.swatch) { display: block; width: 100%; height: auto; }
.wide svg:not(.swatch) { min-width: 680px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 0 32px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 20px; margin: 4px 0 6px; padding: 0; list-style: none;
  color: var(--soft); font-size: 13px; }
.legend li { display: flex; align-items: center; gap: 7px; }
.swatch { width: 20px; height: 12px; flex: none; }
.caption { margin: 2px 0 0; max-width: 120ch; }
.empty { max-width: none; padding: 14px 16px; margin: 8px 0 0; border: 1px dashed var(--line); border-radius: 6px;
  color: var(--soft); }

svg text { fill: var(--soft); font-size: 12px; }
.grid { stroke: var(--grid); } .axis { stroke: var(--muted); }
.line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; }
.dashed { stroke-dasharray: 6 4; }
.area { fill: var(--c); fill-opacity: 0.16; stroke: none; }
.mark { fill: var(--c); } .mark circle { fill-opacity: 0.75; }
.mark .stroke { fill: none; stroke: var(--c); stroke-width: 2; }
.rug .stroke { stroke-width: 1.5; stroke-opacity: 0.75; }
.lane { fill: var(--lane); }

.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); gap: 20px;
  margin-top: 12px; }
.sample { margin: 0; break-inside: avoid; }
.sample > svg { display: block; width: 100%; height: auto; border-radius: 4px; background: var(--lane); }
.sample figcaption { margin-top: 6px; font-size: 13px; line-height: 1.45; }
.sample b { color: var(--ink); font-weight: 650; }
.seen { --edge: #3db4ff; --cloud: #ffa23a; }
.seen.edge { --c: #3db4ff; } .seen.cloud { --c: #ffa23a; }
.seen rect { fill: none; vector-effect: non-scaling-stroke; }
.seen .casing { stroke: #000; stroke-opacity: 0.55; stroke-width: 4; }
.seen .outline { stroke: var(--c); stroke-width: 2; } .seen.cloud .outline { stroke-dasharray: 5 4; }
.seen text { fill: var(--c); font-weight: 700; paint-order: stroke; stroke: rgb(0 0 0 / 0.8); stroke-width: 0.22em;
  stroke-linejoin: round; }

.facts { display: grid; grid-template-columns: max-content 1fr; gap: 4px 24px; margin: 14px 0 0; font-size: 14px; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
.method { padding-left: 18px; margin: 8px 0 0; } .method li { max-width: 84ch; margin-bottom: 4px; }
@media (max-width: 560px) { h1 { font-size: 24px; } main { padding: 28px 16px 48px;
  } .facts { grid-template-columns: 1fr; gap: 0; }
  .facts dd { margin-bottom: 8px; } }
@media print { main { max-width: none; padding: 0; } body { font-size: 11pt; } h2 { break-after: avoid; }
  .tiles, .pair { grid-template-columns: repeat(2, minmax(0, 1fr)); } .wide svg:not(.swatch), table { min-width: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""

STYLE = (
    f":root {{ color-scheme: light dark; {_LIGHT}}}\n"
    f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {_DARK}}} }}\n{_RULES}"
)
