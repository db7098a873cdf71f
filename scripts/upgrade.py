#!/usr/bin/env python3
"""Upgrades a mesh from the program of an earlier commit to that of this checkout while jobs run, and rolls it back, in every
order of its members. What became of each instant is judged by a journal that the jobs write: no instant lost, none run twice, no
two runs of an app at once, no process that ends by itself, no pause above 5 s.

    scripts/upgrade.py                   every order of two schedulers and two agents (half an hour)
    scripts/upgrade.py --orders 2        the first two
    scripts/upgrade.py --from COMMIT     from another release than the one before
    scripts/upgrade.py --to PROGRAM      to a program that is built already

The earlier program is built once, in a worktree below target/upgrade/, and kept there by its commit. Everything listens on
loopback. Needs Docker, and .tools/nats-server (`make setup`).
"""

import argparse
import collections
import datetime
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = ROOT / "target" / "upgrade"
# The last commit whose builds have no names.
BEFORE = "a7154bc"
# Longest time between two runs of an app, beyond its period.
GAP_MAX = 5.0
# What a member may take to come up.
READY_WITHIN = 60.0
# How long a mesh runs between two steps.
PAUSE = 3.0
MEMBERS = ("scheduler-1", "scheduler-2", "agent-1", "agent-2")
# What people type while two builds are at work: with the program of each.
COMMANDS = (["ls"], ["show", "app-0"], ["runs", "app-0"], ["agents"], ["leader"], ["events", "app-0"])

# Whatever a busy machine takes for a container, ticks wait and none is dropped.
JOB = """labels: {{aliyun.schedule: "@every {period}s", tickmesh.queue_limit: "100"}}
services:
  s1:
    image: busybox
    network_mode: none
    command: >-
      sh -c 'note() {{ read up rest < /proc/uptime; echo "$$TICKMESH_APP $$TICKMESH_SCHEDULED_AT $$1 $$up" >> /journal/$$TICKMESH_APP; }};
      note begin; sleep 0.2; note end'
    volumes: ["{journal}:/journal"]
    labels: {{tickmesh.remove_containers: remove-all}}
"""


def run(*command, **options):
    return subprocess.run(command, check=True, **options)


def program_of(commit):
    """Builds the program of a commit, unless that was done before."""
    kept = CACHE / commit / "tickmesh"
    if not kept.exists():
        source = CACHE / commit / "source"
        run("git", "-C", ROOT, "worktree", "add", "--detach", "--force", source, commit)
        try:
            # Crates of others need not be built again for each commit.
            target = CACHE / "target"
            run("cargo", "build", "--locked", "--bin", "tickmesh", "--target-dir", target, cwd=source)
            shutil.copy(target / "debug" / "tickmesh", kept)
        finally:
            run("git", "-C", ROOT, "worktree", "remove", "--force", source)
    return kept


def program_now():
    run("cargo", "build", "--locked", "--bin", "tickmesh", cwd=ROOT)
    kept = CACHE / "now" / "tickmesh"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)
    shutil.copy(ROOT / "target" / "debug" / "tickmesh", kept)
    return kept


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Mesh:
    """Two schedulers, two agents, a page and a server, each member a process that can be replaced."""

    def __init__(self, folder, programs):
        self.folder = folder
        self.programs = programs
        self.members = {}
        self.problems = []
        port = free_port()
        self.environment = dict(os.environ, TICKMESH_NATS_URL=f"nats://127.0.0.1:{port}", XDG_DATA_HOME=str(folder))
        server = [ROOT / ".tools" / "nats-server", "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder / "js"]
        self.server = subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.journal = folder / "journal"
        self.journal.mkdir()

    def start(self, name, build):
        role = name.split("-")[0]
        arguments, ready = {
            "scheduler": (["scheduler"], ("leading", "standing by", "standby", "scheduler")),
            "agent": (["agent", "--name", name, "--slots", "64", "--allow-path", str(self.journal)], ("agent starts",)),
            "page": (["web", "--bind", f"127.0.0.1:{free_port()}"], ("",)),
        }[role]
        log = self.folder / f"{name}.log"
        begin = log.stat().st_size if log.exists() else 0
        with log.open("a", encoding="utf-8") as file:
            environment = dict(self.environment, TICKMESH_LOG="info")
            command = [self.programs[build], *arguments]
            process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=file)
        self.members[name] = (process, build)
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            said = log.read_text(encoding="utf-8")[begin:]
            if any(word in said for word in ready) and self.is_seen(name, role):
                return
            time.sleep(0.1)
        self.problems.append(f"{name} of the {build} build did not come up within {READY_WITHIN:.0f} s")

    def is_seen(self, name, role):
        if role == "scheduler":
            wanted = sum(1 for it in self.members if it.startswith("scheduler"))
            return len(json.loads(self.ask("new", "leader", "-o", "json").stdout or "[]")) >= wanted
        if role == "agent":
            agents = json.loads(self.ask("new", "agents", "-o", "json").stdout or "[]")
            return any(it["name"] == name and it["state"] == "ready" for it in agents)
        return True

    def replace(self, name, build):
        process, _ = self.members[name]
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        self.start(name, build)

    def ask(self, build, *arguments):
        return subprocess.run([self.programs[build], *arguments], env=self.environment, capture_output=True, text=True,
                              timeout=60, check=False)

    def guards_of(self, agent):
        """The programs of an agent's guards."""
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                typed = (process / "cmdline").read_text(encoding="utf-8", errors="replace")
                is_ours = str(self.folder) in (process / "environ").read_text(encoding="utf-8", errors="replace")
                if is_ours and "internal-guard" in typed and f'"agent":"{agent}"' in typed:
                    found.append((process / "exe").resolve())
            except OSError:
                # It has ended meanwhile.
                continue
        return found

    def look(self, step):
        """Nobody has ended, and the commands of both builds work."""
        for name, (process, build) in self.members.items():
            if process.poll() is not None:
                self.problems.append(f"{step}: {name} of the {build} build has ended: {process.returncode}")
                self.start(name, build)
        for name, (_, build) in self.members.items():
            guards = self.guards_of(name) if name.startswith("agent") else []
            if name.startswith("agent") and len(guards) != 1:
                self.problems.append(f"{step}: {name} has {len(guards)} guards")
            # An agent of the earlier release is served by the guard that it finds.
            if build == "new" and any(guard != self.programs["new"].resolve() for guard in guards):
                self.problems.append(f"{step}: {name} has a guard of the earlier release")
        for build, command in itertools.product(self.programs, COMMANDS):
            answer = self.ask(build, *command)
            if answer.returncode != 0:
                self.problems.append(f"{step}: `{' '.join(command)}` of the {build} build: {answer.stderr.strip()}")
        doctor = json.loads(self.ask("new", "doctor", "-o", "json").stdout)
        wrong = [f"{it['name']}: {it['text']}" for it in doctor if it["finding"] == "wrong"]
        if wrong:
            self.problems.append(f"{step}: doctor: {wrong}")
        return next(it["text"] for it in doctor if it["name"] == "builds")

    def apply(self, periods):
        for number, period in enumerate(periods):
            file = self.folder / f"app-{number}.yml"
            file.write_text(JOB.format(period=period, journal=self.journal), encoding="utf-8")
            answer = self.ask("old", "apply", file)
            if answer.returncode != 0:
                sys.exit(f"upgrade: {answer.stderr}")

    def stop(self):
        for process, _ in self.members.values():
            process.send_signal(signal.SIGTERM)
        for process, _ in self.members.values():
            process.wait(30)
        self.server.terminate()
        self.server.wait(30)


def seconds(instant):
    return datetime.datetime.fromisoformat(instant.replace("Z", "+00:00")).timestamp()


def overlapping(lines):
    """The runs of an app that began while another one went on, by the host's one uptime clock. Lines are in the order of time."""
    running, found = set(), []
    for _, instant, mark, _ in lines:
        if mark == "begin":
            if running:
                found.append(instant)
            running.add(instant)
        else:
            running.discard(instant)
    return found


def judge(mesh, periods):
    """Holds each app's journal against the instants of its schedule."""
    totals = collections.Counter()
    worst = 0.0
    for number, period in enumerate(periods):
        journal = mesh.journal / f"app-{number}"
        lines = [line.split() for line in journal.read_text(encoding="utf-8").splitlines()] if journal.exists() else []
        begun = collections.Counter(seconds(line[1]) for line in lines if line[2] == "begin")
        if not begun:
            mesh.problems.append(f"app-{number} never ran")
            continue
        first, last = min(begun), max(begun)
        due = round((last - first) / period) + 1
        lost = [first + it * period for it in range(due) if first + it * period not in begun]
        doubled = [instant for instant, times in begun.items() if times > 1]
        at = sorted(float(line[3]) for line in lines if line[2] == "begin")
        overlaps = overlapping(lines)
        gap = max((after - before - period for before, after in zip(at, at[1:])), default=0)
        worst = max(worst, gap)
        totals.update(due=due, ran=len(begun), lost=len(lost), doubled=len(doubled), overlaps=len(overlaps))
        if lost or doubled or overlaps or gap > GAP_MAX:
            findings = f"lost {lost}, doubled {doubled}, overlaps {overlaps}, longest gap {gap:.0f} s"
            mesh.problems.append(f"app-{number} each {period} s: {findings}")
    return totals, worst


def play(order, programs, periods):
    """Upgrades in that order, and rolls back in the opposite one."""
    # A container that an agent left to its guard may still write.
    with tempfile.TemporaryDirectory(prefix="tickmesh-upgrade-", ignore_cleanup_errors=True) as folder:
        mesh = Mesh(pathlib.Path(folder), programs)
        try:
            time.sleep(1)
            for name in MEMBERS:
                mesh.start(name, "old")
            mesh.start("page", "old")
            mesh.apply(periods)
            time.sleep(PAUSE)
            steps = [(name, "new") for name in order] + [("page", "new")] + [(name, "old") for name in reversed(order)]
            for name, build in steps:
                mesh.replace(name, build)
                time.sleep(PAUSE)
                builds = mesh.look(f"{name} -> {build}")
                print(f"  {name} -> {build}: {builds}", flush=True)
            time.sleep(PAUSE)
            totals, gap = judge(mesh, periods)
        finally:
            mesh.stop()
        facts = ", ".join(f"{name} {count}" for name, count in totals.items())
        print(f"{' '.join(order)}: {facts}, longest gap {gap:.0f} s beyond a period", flush=True)
        for problem in mesh.problems:
            print(f"  PROBLEM {problem}", flush=True)
        if mesh.problems:
            kept = CACHE / "logs"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("js", "*.guard"))
            print(f"  logs and journal: {kept}", flush=True)
        return not mesh.problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="commit", default=BEFORE, metavar="COMMIT", help="the earlier release")
    parser.add_argument("--orders", type=int, default=None, metavar="COUNT", help="play only so many orders")
    parser.add_argument("--apps", type=int, default=20, metavar="COUNT", help="apps: one each 1, 2, 3 and 4 s, the others 5 s")
    parser.add_argument("--shortest", type=int, default=1, metavar="SECONDS", help="no app is due more often than that")
    parser.add_argument("--to", dest="program", type=pathlib.Path, metavar="PROGRAM", help="instead of this checkout's")
    arguments = parser.parse_args()
    periods = [max(min(number + 1, 5), arguments.shortest) for number in range(arguments.apps)]
    programs = {"old": program_of(arguments.commit), "new": arguments.program or program_now()}
    orders = list(itertools.permutations(MEMBERS))[: arguments.orders]
    well = [play(order, programs, periods) for order in orders]
    print(f"{sum(well)} of {len(well)} orders are clean")
    sys.exit(0 if all(well) else 1)


if __name__ == "__main__":
    main()
