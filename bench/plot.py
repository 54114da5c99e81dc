"""Draw the plots of the documentation as SVG from what `bench.requests` and `bench.cluster` wrote with ``--json``.

python -m bench.plot requests requests.json docs/images/performance.svg
python -m bench.plot cluster cluster.json docs/images/cluster.svg
"""

from __future__ import annotations

import json
import math
import sys
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #1f2933 } .small { font-size: 11px; fill: #52606d }
.grid { stroke: #d9dee3 } .one { stroke: #7b8794; stroke-dasharray: 3 3 } .target { stroke: #b44d12; stroke-width: 2.5 }
.sqlite, .web { fill: #1769aa } .postgresql, .db { fill: #5b8c2a } .redis { fill: #b44d12 } .workers { fill: #8a6bb1 }
path { fill: none; stroke: #1769aa; stroke-width: 2 } path.p99 { stroke: #b44d12 }
@media (prefers-color-scheme: dark) { text { fill: #e4e7eb } .small { fill: #9aa5b1 } .grid { stroke: #3e4c59 } }
</style>"""
LEFT, WIDE = 345, 870


def requests(results: Sequence[dict[str, Any]]) -> str:
    """Return a plot with a line for each row and a dot for each database, on a logarithmic scale of ratios."""
    rows = [row for row in dict.fromkeys(found["row"] for found in results) if not row.endswith("(MiB)")]
    most = max(max(found["ratio"], found["target"]) for found in results if found["row"] in rows)
    top = 2 ** math.ceil(math.log2(most))

    def x(ratio: float) -> float:
        return LEFT + (WIDE - LEFT - 24) * math.log2(ratio / 0.5) / math.log2(top / 0.5)

    high = 64 + 26 * len(rows)
    drawn = [dot(LEFT, 18, "sqlite"), label(LEFT + 10, 22, "SQLite"), dot(LEFT + 80, 18, "postgresql")]
    drawn += [label(LEFT + 90, 22, "PostgreSQL"), stroke(LEFT + 190, 10, LEFT + 190, 26, "target")]
    drawn += [label(LEFT + 198, 22, "target")]
    for power in range(-1, round(math.log2(top)) + 1):
        at = x(2.0**power)
        drawn += [
            stroke(at, 36, at, high - 22, "grid" if power else "one"),
            label(at, high - 6, f"{2.0**power:g} x", "middle"),
        ]
    for number, row in enumerate(rows):
        y = 52 + 26 * number
        drawn.append(label(LEFT - 16, y + 4, row, "end"))
        for found in (found for found in results if found["row"] == row):
            kind = "postgresql" if found["store"] == "postgresql" else "sqlite"
            shift = 5 if kind == "postgresql" else -5 if found["store"] == "sqlite" else 0
            drawn.append(stroke(x(found["target"]), y + shift - 5, x(found["target"]), y + shift + 5, "target"))
            drawn.append(dot(x(found["ratio"]), y + shift, kind))
    return picture(WIDE, high, drawn, "CPU of requests in multiples of the same work by hand")


def cluster(results: dict[str, dict[str, Any]]) -> str:
    """Return throughput and latency by the number of web processes, and the CPU of each part by kind of request."""
    levels = {name: found for name, found in results.items() if " in " in name}
    kinds = {name: found for name, found in results.items() if name not in levels and name != "end"}
    drawn = [label(20, 22, "The mix, by the number of web processes")]
    count, bottom = len(levels), 220
    for measure, kind in (("requests/s", ""), ("p99 ms", "p99")):
        top = max(found[measure] for found in levels.values()) * 1.2
        points = []
        for at, (name, found) in enumerate(levels.items()):
            px, py = 60 + 300 * at / max(1, count - 1), bottom - 170 * found[measure] / top
            points.append((px, py))
            # Below the upper curve's points, so that the numbers of both can be read where the curves meet.
            drawn.append(label(px, py + (18 if kind else -8), f"{found[measure]:.0f}", "middle", "small"))
            if not kind:
                drawn.append(label(px, bottom + 18, name.partition(" ")[0], "middle"))
        drawn.append(f'<path class="{kind}" d="M' + " L".join(f"{px:.1f} {py:.1f}" for px, py in points) + '"/>')
    drawn += [
        stroke(40, bottom, 380, bottom, "grid"),
        label(40, bottom + 40, "blue: requests/s, red: p99 in ms", "start", "small"),
    ]
    drawn.append(label(440, 22, "CPU of one request, in milliseconds"))
    parts = (("web us", "web"), ("PostgreSQL us", "db"), ("Redis us", "redis"), ("workers us", "workers"))
    most = max(sum(found[part] for part, _ in parts) for found in kinds.values())
    for number, (name, found) in enumerate(kinds.items()):
        y, px = 44 + 28 * number, 530.0
        drawn.append(label(px - 10, y + 12, name, "end"))
        for part, kind in parts:
            width = 270 * found[part] / most
            drawn.append(f'<rect class="{kind}" x="{px:.1f}" y="{y}" width="{width:.1f}" height="16"/>')
            px += width
        drawn.append(label(px + 6, y + 12, f"{sum(found[part] for part, _ in parts) / 1000:.1f}", "start", "small"))
    for number, (part, kind) in enumerate(parts):
        drawn += [dot(540 + 85 * number, 232, kind), label(548 + 85 * number, 236, part[:-3], "start", "small")]
    return picture(WIDE, 275, drawn, "Throughput of a cluster, and what each part costs")


def label(x: float, y: float, words: str, anchor: str = "start", kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def dot(x: float, y: float, kind: str) -> str:
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'


def stroke(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def picture(wide: int, high: int, drawn: Sequence[str], title: str) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" role="img" aria-label="{escape(title)}">'
    )
    return "\n".join([head, STYLE, *drawn, "</svg>", ""])


if __name__ == "__main__":
    draw, source, target = {"requests": requests, "cluster": cluster}[sys.argv[1]], *map(Path, sys.argv[2:])
    target.write_text(draw(json.loads(source.read_text(encoding="ascii"))), encoding="utf-8")
