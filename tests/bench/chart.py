# SPDX-License-Identifier: GPL-2.0-only
"""The rows of codec.json as an SVG: a panel for each place, a group of bars for
each workload, QEMU's fastest path beside the variants of ours, with whiskers at
the quartiles, and memcpy and the limit as marks across the group where they are
on the scale.
"""

from xml.sax.saxutils import escape

from report import TITLES

# Told apart by those who do not see red and green, and in grey.
QEMU_COLOUR = "#999999"
COLOURS = ["#56b4e9", "#0072b2", "#003f63"]
MEMCPY_COLOUR = "#d55e00"
LIMIT_COLOUR = "#000000"

BAR = 18
GAP = 22
LEFT = 50
TOP = 70
PANEL = 240
BELOW = 60
TICKS = 5


def _unique(values):
    return list(dict.fromkeys(values))


def _step(top):
    """A round distance of ticks, so that about TICKS of them reach the top."""
    raw = top / TICKS
    scale = 10.0 ** len(str(int(raw))) / 10 if raw >= 1 else 0.1
    return next(scale * factor for factor in (1, 2, 5, 10) if scale * factor >= raw)


class Drawing:
    """The elements of a picture."""

    def __init__(self):
        self.parts = []

    def text(self, x, y, text, anchor="middle", size=11, extra=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
                          f'font-size="{size}"{extra}>{escape(text)}</text>')

    def line(self, x1, y1, x2, y2, colour, width=1.0, extra=""):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'stroke="{colour}" stroke-width="{width}"{extra}/>')

    def box(self, x, y, width, height, colour, title=""):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                          f'height="{height:.1f}" fill="{colour}">'
                          f'<title>{escape(title)}</title></rect>')


def _bars(rows):
    """[(label, GB/s, quartiles, colour)] of one workload's rows"""
    first = rows[0]
    bars = []
    if first["qemu_best"]:
        bars.append((first["qemu_best"], first["qemu_best_gbps"],
                     first["qemu_best_gbps_quartiles"], QEMU_COLOUR))
    for row, colour in zip(rows, COLOURS):
        bars.append((f"xbzrle {row['variant']}", row["gbps"], row["gbps_quartiles"], colour))
    return bars


def _panel(drawing, y, width, rows, title):
    groups = [[row for row in rows if row["workload"] == name]
              for name in _unique(row["workload"] for row in rows)]
    bars_top = max(value for group in groups for _, value, _, _ in _bars(group))
    marks = [row[name] for row in rows for name in ("memcpy_gbps", "limit_gbps")]
    # Out of the L2 cache memory allows so much that bars would be too short.
    off_scale = max(marks) > 3 * bars_top
    top = bars_top * 1.1 if off_scale else max(marks + [bars_top])
    step = _step(top)
    top = step * -(-top // step)
    base = y + PANEL

    def height(value):
        return value / top * PANEL

    heading = f"{title}: GB/s of guest pages, one core"
    if off_scale:
        heading += f" (memcpy and limit: {min(marks):.0f} to {max(marks):.0f})"
    drawing.text(LEFT, y - 12, heading, "start", 13)
    for tick in range(int(top / step) + 1):
        level = base - height(tick * step)
        drawing.line(LEFT, level, width - 10, level, "#dddddd")
        drawing.text(LEFT - 6, level + 4, f"{tick * step:g}", "end")
    x = LEFT + GAP / 2
    for group in groups:
        bars = _bars(group)
        right = x + BAR * len(bars)
        for number, (label, value, quartiles, colour) in enumerate(bars):
            left = x + number * BAR
            drawing.box(left, base - height(value), BAR - 2, height(value), colour,
                        f"{group[0]['workload']}, {label}: {value:g} GB/s")
            middle = left + BAR / 2 - 1
            drawing.line(middle, base - height(quartiles[0]), middle,
                         base - height(quartiles[1]), "#333333")
            drawing.text(middle, base - height(max(value, quartiles[1])) - 3,
                         f"{value:.1f}", size=8)
        for value, colour, dash in ((group[0]["memcpy_gbps"], MEMCPY_COLOUR, ""),
                                    (group[0]["limit_gbps"], LIMIT_COLOUR,
                                     ' stroke-dasharray="4 2"')):
            if off_scale:
                continue
            drawing.line(x - 4, base - height(value), right + 2, base - height(value),
                         colour, 1.5, dash)
        drawing.text((x + right) / 2, base + 16, group[0]["workload"])
        best = max(group, key=lambda row: row["gbps"])
        if best["ratio_qemu"]:
            drawing.text((x + right) / 2, base + 30, f"{best['ratio_qemu']:.1f} x QEMU", size=9)
        x = right + GAP
    drawing.line(LEFT, base, width - 10, base, "#333333")


def _legend(drawing, rows):
    x = LEFT
    entries = [("QEMU's fastest path", QEMU_COLOUR, None)]
    entries += [(f"xbzrle {name}", colour, None) for name, colour in
                zip(_unique(row["variant"] for row in rows), COLOURS)]
    entries += [("memcpy", MEMCPY_COLOUR, ""),
                ("limit: read both, compare", LIMIT_COLOUR, ' stroke-dasharray="4 2"')]
    for label, colour, dash in entries:
        if dash is None:
            drawing.box(x, 16, 12, 12, colour)
        else:
            drawing.line(x - 4, 22, x + 14, 22, colour, 1.5, dash)
        drawing.text(x + 18, 26, label, "start")
        x += 36 + 6.3 * len(label)
    return x


def svg(rows):
    """The whole picture, as text."""
    places = _unique(row["place"] for row in rows)
    most = 0
    for place in places:
        here = [row for row in rows if row["place"] == place]
        names = _unique(row["workload"] for row in here)
        bars = sum(1 + sum(row["workload"] == name for row in here) for name in names)
        most = max(most, bars * BAR + len(names) * GAP)
    drawing = Drawing()
    width = max(LEFT + most + 20, _legend(drawing, rows) + 10)
    for number, place in enumerate(places):
        _panel(drawing, TOP + number * (PANEL + BELOW + 30), width,
               [row for row in rows if row["place"] == place], TITLES[place])
    height = TOP + len(places) * (PANEL + BELOW + 30)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
        f'viewBox="0 0 {width:.0f} {height}" font-family="sans-serif">',
        '<rect width="100%" height="100%" fill="#ffffff"/>', *drawing.parts, "</svg>", ""])
