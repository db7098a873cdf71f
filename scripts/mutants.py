#!/usr/bin/env python3
"""Breaks the code on purpose, one break at a time, and sees whether anything notices.

Every break of tests/mutants.toml is made in a copy of the checkout, below target/mutants. The test or the history that found it
at the last run is tried first. Then the simulator looks for it with --seeds histories; where it finds nothing, the tests of the
crate that was broken do. A break that nobody notices is a survivor, and fails the run: then the rule that was broken is not held
by any test.

    scripts/mutants.py                 all of them
    scripts/mutants.py P7 act-before   those whose name begins so
    scripts/mutants.py --write         all, and the table in docs/evidence/mutants.md
    scripts/mutants.py --write P7      those, and their rows of the table
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:
    sys.exit("mutants: python 3.11 or newer is needed: it reads TOML")

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tests/mutants.toml"
TABLE = ROOT / "docs/evidence/mutants.md"
WORK = ROOT / "target/mutants"
# Far above what the slowest of both takes: a break may also make something wait for ever.
BUILD_SECONDS_MAX = 900
TEST_SECONDS_MAX = 600
SIMULATOR = ("-p", "tickmesh-tests", "--test", "simulation")
# A list that has shrunk proves less than its table says.
MUTANTS_MIN = 25


def main():
    arguments = parse_arguments()
    mutants = [mutant for mutant in load() if is_wanted(mutant, arguments.names)]
    if not mutants:
        sys.exit("mutants: no break has such a name")
    copy_checkout()
    check_whole(mutants, arguments.seeds)
    found = []
    for number, mutant in enumerate(mutants, 1):
        began = time.monotonic()
        finder = try_mutant(mutant, arguments.seeds, written_rows().get(mutant["name"], ""))
        found.append((mutant, finder))
        took = time.monotonic() - began
        print(f"{number:3}/{len(mutants)}  {mutant['name']:<28} {finder or 'SURVIVED'}  ({took:.0f} s)", flush=True)
        # After each: an hour is long, and what was found so far is not to be lost.
        if arguments.write:
            write_table({**written_rows(), **rows(found)})
    survivors = [mutant["name"] for mutant, finder in found if not finder]
    print(f"{len(found) - len(survivors)} of {len(found)} breaks were found")
    if survivors:
        sys.exit("survived: " + ", ".join(survivors))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="beginnings of names; none: all breaks")
    parser.add_argument("--seeds", type=int, default=2_000, help="histories that the simulator plays for each break")
    parser.add_argument("--write", action="store_true", help="write the result to docs/evidence/mutants.md")
    return parser.parse_args()


def load():
    mutants = tomllib.loads(LIST.read_text())["mutant"]
    names = [mutant["name"] for mutant in mutants]
    if len(set(names)) != len(names) or len(names) < MUTANTS_MIN:
        sys.exit(f"mutants: {LIST.name} needs {MUTANTS_MIN} breaks or more, each with a name of its own")
    for mutant in mutants:
        text = (ROOT / mutant["file"]).read_text()
        if text.count(mutant["find"]) != 1:
            sys.exit(f"mutants: {mutant['name']}: {mutant['file']} does not have its text exactly once")
    return mutants


def is_wanted(mutant, names):
    return not names or any(mutant["name"].startswith(name) for name in names)


def copy_checkout():
    """A copy has a folder for what is built of its own, so that nobody's next build is of a broken file."""
    WORK.mkdir(parents=True, exist_ok=True)
    files = git("ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for stale in [path for path in WORK.rglob("*.rs") if "target" not in path.relative_to(WORK).parts[:1]]:
        if str(stale.relative_to(WORK)) not in files:
            stale.unlink()
    for name in files:
        source, copy = ROOT / name, WORK / name
        if not source.is_file():
            continue
        # An equal file keeps its time, and cargo its work.
        if not copy.is_file() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
            shutil.copymode(source, copy)


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def check_whole(mutants, seeds):
    """Without a break nothing is found, or whoever finds one of them has found nothing."""
    for arguments in [SIMULATOR, *sorted({tests_of(mutant) for mutant in mutants})]:
        build("the code without any break", *arguments)
        status, output = cargo_test(*arguments, environment={"TICKMESH_SEEDS": str(seeds)})
        if status != 0:
            sys.exit(f"mutants: cargo test {' '.join(arguments)} fails without any break:\n{output}")


def crate_of(mutant):
    return "tickmesh-" + Path(mutant["file"]).parts[1]


def try_mutant(mutant, seeds, row):
    """Who found the break; None: nobody. `row` says who found it at the last run."""
    path = WORK / mutant["file"]
    whole = path.read_text()
    path.write_text(whole.replace(mutant["find"], mutant["replace"]))
    try:
        return by_known_test(mutant, row) or by_known_seed(mutant, row) or by_simulator(mutant, seeds) or by_tests(mutant)
    finally:
        path.write_text(whole)


def by_known_test(mutant, row):
    """A minute cheaper than many histories in which nothing is found."""
    test = re.search(r"\| test `(\S+)` \|$", row)
    if not test:
        return None
    arguments = tests_of(mutant)
    build(mutant["name"], *arguments)
    _, output = cargo_test(*arguments, test[1])
    failed = re.search(rf"^test {re.escape(test[1])} \.\.\. FAILED", output, re.MULTILINE)
    return f"test `{test[1]}`" if failed else None


def by_known_seed(mutant, row):
    """One history instead of all before it."""
    seed = re.search(r"\| simulator, seed (\d+) \|$", row)
    return by_simulator(mutant, 1, seed[1]) if seed else None


def by_simulator(mutant, seeds, first="0"):
    build(mutant["name"], *SIMULATOR)
    environment = {"TICKMESH_SEEDS": str(seeds), "TICKMESH_FIRST_SEED": first}
    status, output = cargo_test(*SIMULATOR, "no_history", environment=environment)
    if status == 0:
        return None
    seed = re.search(r"seed (\d+) failed", output)
    return f"simulator, seed {seed[1]}" if seed else f"simulator: {last_words(output)}"


def by_tests(mutant):
    crate, arguments = crate_of(mutant), tests_of(mutant)
    build(mutant["name"], *arguments)
    status, output = cargo_test(*arguments)
    if status == 0:
        return None
    test = re.search(r"^test (\S+) \.\.\. FAILED", output, re.MULTILINE)
    return f"test `{test[1]}`" if test else f"tests of {crate}: {last_words(output)}"


def tests_of(mutant):
    """What cargo is to test. Some rules only a real server can tell of: then the break names the tests that have one."""
    # The command line is a program and has no library.
    own = "--lib" if (ROOT / "crates" / Path(mutant["file"]).parts[1] / "src/lib.rs").exists() else "--bins"
    target = ("--test", mutant["tests"]) if "tests" in mutant else (own,)
    return ("-p", crate_of(mutant), *target)


def last_words(output):
    """What a run says that was ended, or ended itself otherwise than by failing."""
    return output.strip().splitlines()[-1][:80] if output.strip() else "no word"


def build(name, *arguments):
    done = cargo("test", "--no-run", *arguments, seconds=BUILD_SECONDS_MAX)
    if done[0] != 0:
        sys.exit(f"mutants: {name} does not compile, and proves nothing:\n{done[1]}")


def cargo_test(*arguments, environment=None):
    return cargo("test", *arguments, seconds=TEST_SECONDS_MAX, environment=environment)


def cargo(*arguments, seconds, environment=None):
    """Exit status and output. What takes too long has failed: a break that makes something hang is found."""
    server = {"TICKMESH_NATS_SERVER": str(ROOT / ".tools/nats-server")}
    environment = {**server, **os.environ, "RUST_BACKTRACE": "0", **(environment or {})}
    command = ["cargo", *arguments]
    process = subprocess.Popen(
        command, cwd=WORK, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
        return 1, f"took longer than {seconds} s"


def rows(found):
    return {
        mutant["name"]: f"| {mutant['name']} | {mutant['drops']} | {finder or '**nobody**'} |" for mutant, finder in found
    }


def written_rows():
    """The rows that the table has, by the names of their breaks."""
    lines = TABLE.read_text().splitlines() if TABLE.is_file() else []
    return {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}


def write_table(rows):
    """A row for each break that was tried at any time, in the order of the list."""
    lines = [
        "# Breaks on purpose",
        "",
        "Each row is a break of one line or two in the code, and who noticed it: `make mutants` makes them one by one, lets the",
        "simulator look for each with a thousand histories or more, and the tests of the crate where that finds nothing. The",
        "breaks themselves are in `tests/mutants.toml`.",
        "",
        "| break | what it drops | found by |",
        "|---|---|---|",
    ]
    lines += [rows[mutant["name"]] for mutant in load() if mutant["name"] in rows]
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
