# SPDX-License-Identifier: GPL-2.0-only
"""From samples to rows, and from rows to tables.

What lives here: medians, quartiles, and what a row has. GB/s are 10^9 bytes of
guest pages a second, on one core. What does not: taking samples
(codec_bench.c) and the chart (chart.py).
"""

import statistics

PAGE = 4096
TITLES = {"dram": "pages in DRAM", "l2": "pages in the L2 cache"}


def _rate(contender):
    """(median, lower quartile, upper quartile) in GB/s"""
    rates = sorted(contender["pages"] * PAGE / ns for ns in contender["ns"])
    if len(rates) < 2:
        return rates[0], rates[0], rates[0]
    low, _, high = statistics.quantiles(rates, n=4, method="inclusive")
    return statistics.median(rates), low, high


def _of_kind(run, kind):
    return [contender for contender in run["contenders"] if contender["kind"] == kind]


def _round(value):
    return None if value is None else round(value, 3)


def _spread(low, high):
    return [_round(low), _round(high)]


def encode_rows(measured):
    """A row for each workload, place and variant of ours."""
    rows = []
    for run in measured:
        plain = {kind: _rate(_of_kind(run, kind)[0])[0] for kind in ("memcpy", "limit")}
        qemu = {f"qemu-{c['name']}": _rate(c) for c in _of_kind(run, "qemu-encode")}
        best = max(qemu, key=lambda name: qemu[name][0], default=None)
        theirs = _of_kind(run, "qemu-encode")
        snapshots = {c["name"]: _rate(c)[0] for c in _of_kind(run, "encode-snapshot")}
        for contender in _of_kind(run, "encode"):
            median, low, high = _rate(contender)
            rows.append({
                "workload": run["workload"],
                "variant": contender["name"],
                "place": run["place"],
                "gbps": _round(median),
                "gbps_quartiles": _spread(low, high),
                "snapshot_gbps": _round(snapshots.get(contender["name"])),
                "memcpy_gbps": _round(plain["memcpy"]),
                "limit_gbps": _round(plain["limit"]),
                "qemu_best": best,
                "qemu_best_gbps": _round(qemu[best][0]) if best else None,
                "qemu_best_gbps_quartiles": _spread(*qemu[best][1:]) if best else None,
                "qemu_gbps": {name: _round(rate[0]) for name, rate in qemu.items()},
                "ratio_qemu": _round(median / qemu[best][0]) if best else None,
                "pages": run["pages"],
                "bytes_per_page": _round(contender["bytes"] / run["pages"]),
                "qemu_bytes_per_page": _round(theirs[0]["bytes"] / run["pages"])
                if theirs else None,
            })
    return rows


def decode_rows(measured):
    """A row for each workload, place, decoder and payload."""
    rows = []
    for run in measured:
        for contender in _of_kind(run, "decode") + _of_kind(run, "qemu-decode"):
            median, low, high = _rate(contender)
            name = contender["name"]
            rows.append({
                "workload": run["workload"],
                "place": run["place"],
                "decoder": name if contender["kind"] == "decode" else f"qemu-{name}",
                "payload": contender["payload_of"],
                "pages": contender["pages"],
                "gbps": _round(median),
                "gbps_quartiles": _spread(low, high),
            })
    return rows


def _unique(values):
    return list(dict.fromkeys(values))


def _number(value, digits=1):
    return "-" if value is None else f"{value:.{digits}f}"


def _cell(value, quartiles):
    """A median, and how far the quartiles are from it, in per cent"""
    if value is None:
        return "-"
    half = (quartiles[1] - quartiles[0]) / 2 / value * 100
    return f"{value:.1f} ±{half:.0f}%"


def _layout(header, lines):
    """Columns as wide as they have to be; the first one to the left."""
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]

    def row(line):
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        return "  ".join(cells).rstrip()

    return [row(header), "-" * len(row(["-" * width for width in widths])),
            *map(row, lines)]


def _encode_table(rows):
    variants = _unique(row["variant"] for row in rows)
    qemus = _unique(name for row in rows for name in row["qemu_gbps"])
    header = ["", "memcpy", "limit", *qemus, *variants, "best:QEMU", "copy first",
              "bytes", "QEMU's"]
    lines = []
    for workload in _unique(row["workload"] for row in rows):
        ours = {row["variant"]: row for row in rows if row["workload"] == workload}
        best = max(ours.values(), key=lambda row: row["gbps"])
        cells = [workload, _number(best["memcpy_gbps"]), _number(best["limit_gbps"])]
        for name in qemus:
            cells.append(_cell(best["qemu_best_gbps"], best["qemu_best_gbps_quartiles"])
                         if name == best["qemu_best"]
                         else _number(best["qemu_gbps"].get(name)))
        cells += [_cell(ours[name]["gbps"], ours[name]["gbps_quartiles"])
                  if name in ours else "-" for name in variants]
        cells += [_number(best["ratio_qemu"], 2), _number(best["snapshot_gbps"]),
                  _number(best["bytes_per_page"]), _number(best["qemu_bytes_per_page"])]
        lines.append(cells)
    return _layout(header, lines)


def _decode_table(rows):
    columns = _unique((row["decoder"], row["payload"]) for row in rows)
    header = ["", *(f"{decoder} on {'ours' if payload == 'xbzrle' else 'its own'}"
                    if decoder != "xbzrle" else
                    f"xbzrle on {'its own' if payload == 'xbzrle' else 'QEMU' + chr(39) + 's'}"
                    for decoder, payload in columns)]
    lines = []
    for workload in _unique(row["workload"] for row in rows):
        found = {(row["decoder"], row["payload"]): row for row in rows
                 if row["workload"] == workload}
        lines.append([workload, *(_cell(found[c]["gbps"], found[c]["gbps_quartiles"])
                                  if c in found else "-" for c in columns)])
    return _layout(header, lines)


def table(rows, decoders):
    """The tables for a terminal: encoders and decoders in each place."""
    lines = []
    for place in _unique(row["place"] for row in rows):
        lines += ["", f"Save path, {TITLES[place]}, GB/s on one core: median, and half "
                  "the distance of the quartiles", ""]
        lines += _encode_table([row for row in rows if row["place"] == place])
    for place in _unique(row["place"] for row in decoders):
        lines += ["", f"Decoders, {TITLES[place]}, GB/s on one core", ""]
        lines += _decode_table([row for row in decoders if row["place"] == place])
    return "\n".join(lines + [""])
