# SPDX-License-Identifier: GPL-2.0-only
"""The rows of cache.json as an SVG: a panel for each trace, bytes of raw by the size
of the cache."""

from chart import Drawing

# Told apart by those who do not see red and green, and in grey.
LINES = (("qemu", "QEMU", "#999999"), ("lru", "LRU", "#d55e00"),
         ("ours_whole", "xbzrle, whole", "#56b4e9"), ("ours", "xbzrle, LZ4", "#0072b2"),
         ("ours_zstd", "xbzrle, zstd", "#003f63"), ("optimum", "optimum, whole", "#000000"))
PANEL, GAP, LEFT, TOP, ACROSS = 180, 60, 50, 60, 4


def _panel(drawing, x, y, name, rows):
    drawing.text(x, y - 8, name, "start", 13)
    for tick in range(0, 5):
        level = y + PANEL - tick * PANEL / 4
        drawing.line(x, level, x + PANEL, level, "#dddddd")
        drawing.text(x - 6, level + 4, f"{tick / 4:g}", "end")

    def at(number, row, key):
        return (x + (number + 0.5) * PANEL / len(rows),
                y + PANEL * (1 - row["bytes"][key] / row["bytes"]["raw"]))

    for number, row in enumerate(rows):
        drawing.text(at(number, row, "raw")[0], y + PANEL + 16, f"{row['cache_pct']:g} %")
    for key, _, colour in LINES:
        points = [at(number, row, key) for number, row in enumerate(rows)]
        for one, other in zip(points, points[1:]):
            drawing.line(*one, *other, colour, 2.0,
                         ' stroke-dasharray="4 2"' if key == "optimum" else "")


def svg(rows):
    """The whole picture, as text."""
    names = list(dict.fromkeys(row["trace"] for row in rows))
    drawing = Drawing()
    for number, (_, label, colour) in enumerate(LINES):
        drawing.box(LEFT + 140 * number, 16, 12, 12, colour)
        drawing.text(LEFT + 140 * number + 18, 26, label, "start")
    for number, name in enumerate(names):
        _panel(drawing, LEFT + number % ACROSS * (PANEL + GAP),
               TOP + number // ACROSS * (PANEL + GAP), name,
               [row for row in rows if row["trace"] == name])
    width = LEFT + ACROSS * (PANEL + GAP)
    height = TOP + -(-len(names) // ACROSS) * (PANEL + GAP)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif">',
        '<rect width="100%" height="100%" fill="#ffffff"/>', *drawing.parts, "</svg>", ""])
