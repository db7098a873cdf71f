#!/usr/bin/env python3
"""Counts the instructions of the pure paths that every run takes, with valgrind's callgrind, and prints them as a table.

Counts hardly depend on the machine, and not at all on who else uses it. Needs valgrind:

    scripts/instructions.py [APPS [AGENTS]]
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
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


def main() -> None:
    apps, agents = (int(argument) for argument in (sys.argv[1:] + ["1000", "20"][len(sys.argv) - 1 :]))
    if not shutil.which("valgrind"):
        sys.exit("valgrind is missing: install the package of that name")
    subprocess.run(["cargo", "build", "--release", "-p", "tickmesh-bench", "--bin", "paths"], cwd=ROOT, check=True)
    found = counts(apps, agents)
    print("| path | instructions |\n|---|---|")
    for name, what in PATHS.items():
        times = BEATS * agents if name == HEARTBEATS else apps
        print(f"| {what} | {found[name] / times:,.0f} |")


if __name__ == "__main__":
    main()
