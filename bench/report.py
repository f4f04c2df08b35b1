# SPDX-License-Identifier: Apache-2.0
"""What compare.py measured, as numbers, a table and a chart."""

import html
import os
import pathlib
import platform
import statistics

OURS = "net-queue"

# For each kind of figure: what a run costs (seconds for an octet, a message, a round trip; octets
# for a client), that cost in words, and what a ratio is of.
FIGURES = {
    "transfer": (lambda run, messages, octets: run["seconds"] / octets,
                 lambda cost: f"{8e-9 / cost:.1f} Gbit/s", "rates"),
    "messages": (lambda run, messages, octets: run["seconds"] / messages,
                 lambda cost: f"{1e-6 / cost:.2f} M/s", "rates"),
    "time": (lambda run, messages, octets: run["seconds"] / messages,
             lambda cost: f"{cost * 1e6:.1f} us", "times"),
    "idle": (lambda run, messages, octets: run["octets_per_client"],
             lambda cost: f"{cost / 1024:.1f} KiB each", None),
}


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "rounds": values}


def ratios(figure, costs, against):
    """In each round: how the one stands to the other."""
    pairs = zip(costs, against)
    if FIGURES[figure][2] == "times":
        return spread([one / other for one, other in pairs])
    return spread([other / one for one, other in pairs])


def summarise(workload, rounds):
    """`rounds`: for each round, what each contestant said."""
    cost_of, text_of, ratio_of = FIGURES[workload.figure]
    costs = {name: [cost_of(said[name], *workload.moved(said[name])) for said in rounds]
             for name in workload.contestants}
    contestants = []
    for name in workload.contestants:
        median = {key: statistics.median(said[name][key] for said in rounds)
                  for key, value in rounds[0][name].items() if isinstance(value, (int, float))}
        row = {"name": name, "cost": spread(costs[name]), "medians": median,
               "figure": text_of(statistics.median(costs[name]))}
        if ratio_of and name != workload.contestants[0]:
            row["to_yardstick"] = ratios(workload.figure, costs[name],
                                         costs[workload.contestants[0]])
        if ratio_of and name != OURS:
            row["ours_to_it"] = ratios(workload.figure, costs[OURS], costs[name])
        contestants.append(row)
    return {"workload": workload.title, "ratio_of": ratio_of, "size": workload.size,
            "count": workload.count, "mix": workload.mix, "clients": workload.clients,
            "contestants": contestants}


def read_first_line(path):
    try:
        return pathlib.Path(path).read_text(encoding="ascii").splitlines()[0]
    except (OSError, IndexError):
        return "unknown"


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def machine(rounds):
    return {"kernel": platform.release(), "processor": processor(), "cores": os.cpu_count(),
            "congestion_control": read_first_line("/proc/sys/net/ipv4/tcp_congestion_control"),
            "load_average_before": os.getloadavg()[0], "rounds": rounds}


def about(where):
    """The machine in two lines, with a warning where others were at work."""
    load = where["load_average_before"]
    idle = "" if load <= where["cores"] / 2 else " (NOT IDLE: these figures say little)"
    return (f"Linux {where['kernel']}, {where['congestion_control']}, {where['cores']} x "
            f"{where['processor']}, {where['rounds']} rounds, load before {load:.1f}{idle}\n"
            + ", ".join(where["libraries"]))


def spread_text(ratio):
    if ratio is None:
        return ""
    digits = 2 if ratio["median"] >= 0.1 else 4
    median, least, most = (f"{ratio[key]:.{digits}f}" for key in ("median", "min", "max"))
    return f"{median} ({least} to {most})"


def memory(row):
    """The most that either process ever had resident."""
    peak = max(row["medians"]["server_peak_octets"], row["medians"]["client_peak_octets"])
    return f"{peak / 2**20:.0f} MiB"


def table(results):
    rows = [("workload", "contestant", "figure", "peak", "ratio to the first",
             "net-queue's to it", "ratio of")]
    for result in results:
        for number, row in enumerate(result["contestants"]):
            figure = row["figure"]
            if "idle_cpu_seconds" in row["medians"]:
                share = row["medians"]["idle_cpu_seconds"] / row["medians"]["seconds"]
                figure += f", CPU {share:.1%}"
            rows.append((result["workload"] if number == 0 else "", row["name"], figure,
                         memory(row), spread_text(row.get("to_yardstick")),
                         spread_text(row.get("ours_to_it")), result["ratio_of"] or ""))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
                     for row in rows)


COLOURS = {OURS: "#2f6fa8", "net-queue Python": "#8ab4d8", "libzmq": "#c0703a", "nng": "#7a9a4a",
           "other Python": "#a0a0a0"}
WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 940, 330, 240, 15, 30, 88


def bars(result, y, x):
    """One workload: its title, and a bar for each contestant beside the yardstick."""
    better = "less" if result["ratio_of"] == "times" else "more"
    parts = [f'<text x="16" y="{y + 11}">{html.escape(result["workload"])}</text>',
             f'<text x="16" y="{y + 25}" fill="#666" font-size="10">ratio of '
             f'{result["ratio_of"]}: {better} is better; 1 = '
             f'{html.escape(result["contestants"][0]["name"])}</text>']
    for number, row in enumerate(result["contestants"][1:]):
        ratio, top = row["to_yardstick"], y + number * BAR
        middle = top + BAR / 2 - 1
        parts += [
            f'<rect x="{LEFT}" y="{top}" width="{x(ratio["median"]) - LEFT:.1f}" '
            f'height="{BAR - 2}" fill="{COLOURS.get(row["name"], "#2f6fa8")}"/>',
            f'<line x1="{x(ratio["min"]):.1f}" x2="{x(ratio["max"]):.1f}" y1="{middle}" '
            f'y2="{middle}" stroke="#222" stroke-width="1.5"/>',
            f'<text x="{x(ratio["max"]) + 6:.1f}" y="{top + 11}" font-size="11">'
            f'{ratio["median"]:.2f} {html.escape(row["name"])}, {row["figure"]}</text>']
    return parts


def chart(results, where):
    """An SVG: for each contestant a bar to the median ratio, a line from min to max. Beyond 4
    times the yardstick bars are cut off."""
    shown = [result for result in results if result["ratio_of"]]
    most = max(row["to_yardstick"]["max"] for result in shown for row in result["contestants"][1:])
    scale = min(4.0, max(1.0, most)) * 1.02

    def x(ratio):
        return LEFT + (WIDTH - LEFT - RIGHT) * min(ratio, scale) / scale

    parts, y = [], TOP
    for result in shown:
        parts += bars(result, y, x)
        y += max(len(result["contestants"]) - 1, 2) * BAR + GAP - BAR
    lines = [f'<text x="16" y="{46 + 15 * number}" fill="#666" font-size="11">'
             f'{html.escape(line)}</text>'
             for number, line in enumerate(about(where).splitlines())]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 10}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{y + 10}" fill="#fff"/>',
        '<text x="16" y="24" font-size="16">net-queue beside bare libraries and other queues'
        '</text>', *lines, *parts,
        f'<line x1="{x(1):.1f}" x2="{x(1):.1f}" y1="{TOP - 8}" y2="{y}" stroke="#b03030" '
        'stroke-dasharray="4 3"/>', "</svg>"]) + "\n"
