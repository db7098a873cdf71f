#!/usr/bin/env python3
"""Counts the instructions of the pure paths that every run takes, with valgrind's callgrind, and compares them with the table of
docs/evidence/performance.md: a path that takes a tenth more than there is a failure.

Counts hardly depend on the machine, and not at all on who else uses it. Needs valgrind:

    scripts/instructions.py            counts and compares
    scripts/instructions.py --write    counts and writes the table
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
HEADER = "| path, of an app with one replica | instructions with 20 agents | with 3,000 |\n|---|---|---|\n"
APPS = 1_000
AGENTS = (20, 3_000)
# So many times what the table says, a path may take.
TIMES_MAX = 1.1
HEARTBEATS = "paths::Mesh::heartbeats"
# What each function of the program stands for. All but one are counted for each app.
PATHS = {
    "paths::read_files": "read an app's file",
    "paths::Mesh::instant_due": "an app falls due: decided, placed, to be stored",
    "paths::encode_ledgers": "encode its ledger",
    "paths::decode_ledgers": "decode it",
    "paths::Mesh::ledgers_stored": "its ledgers are stored (an apply and the two of a run): orders, ticks, history",
    "paths::encode_orders": "encode its order",
    "paths::Mesh::claims_folded": "the claim is folded",
    "paths::Mesh::ends_folded": "the end is folded",
    HEARTBEATS: "a heartbeat",
}
# How often the program lets each agent's heart beat.
BEATS = 3


def counts(apps: int, agents: int) -> dict[str, int]:
    """Instructions of each path, all apps together."""
    binary = ROOT / "target" / "release" / "paths"
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "callgrind.out"
        run = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}", binary, str(apps), str(agents)]
        subprocess.run(run, check=True)
        annotate = ["callgrind_annotate", "--inclusive=yes", "--threshold=100", out]
        text = subprocess.run(annotate, check=True, capture_output=True, text=True).stdout
    found = {}
    for line in text.splitlines():
        match = re.match(r"\s*([\d,]+) .*?:(paths::[\w:]+)", line)
        if match and match[2] in PATHS:
            found.setdefault(match[2], int(match[1].replace(",", "")))
    missing = PATHS.keys() - found.keys()
    if missing:
        sys.exit(f"callgrind does not know {', '.join(sorted(missing))}")
    return found


def each(agents: int) -> list[int]:
    """Instructions of each path for one app; of a heartbeat, for one."""
    found = counts(APPS, agents)
    times = {HEARTBEATS: BEATS * agents}
    return [round(found[name] / times.get(name, APPS)) for name in PATHS]


def main() -> None:
    if not shutil.which("valgrind"):
        sys.exit("valgrind is missing: install the package of that name")
    subprocess.run(["cargo", "build", "--release", "-p", "tickmesh-bench", "--bin", "paths"], cwd=ROOT, check=True)
    rows = list(zip(PATHS.values(), *(each(agents) for agents in AGENTS), strict=True))
    table = "".join(f"| {what} | {few:,} | {many:,} |\n" for what, few, many in rows)
    print(HEADER + table)
    before, after = PAGE.read_text().split(HEADER)
    known = "".join(line for line in after.splitlines(keepends=True)[: len(rows)])
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(before + HEADER + table + after.removeprefix(known))
        return
    page = {cells[0]: cells[1:] for cells in (line.strip("| \n").split(" | ") for line in known.splitlines())}
    limits = {what: [TIMES_MAX * int(count.replace(",", "")) for count in page[what]] for what, *_ in rows}
    worse = [what for what, *now in rows if any(count > limit for count, limit in zip(now, limits[what], strict=True))]
    if worse:
        sys.exit(f"more than {TIMES_MAX} times what {PAGE.relative_to(ROOT)} says: {'; '.join(worse)}")


if __name__ == "__main__":
    main()
