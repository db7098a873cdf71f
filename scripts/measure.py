#!/usr/bin/env python3
"""Prints what can be counted of the sources: sizes, comments, names, and circles between modules.

    scripts/measure.py            a table for people
    scripts/measure.py --names    the public type names that stand more than once in a crate
    scripts/measure.py --circles  the modules of each circle

Tests are counted apart: files below tests/ or named tests.rs, and what follows `#[cfg(test)] mod`. Read without a parser: a file
that rustfmt has formatted ends each function on a line with one closing brace at the indent of its head.
"""

import argparse
import collections
import pathlib
import re
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
LONG_FILE = 350
SHORT_DOC = 15

FUNCTION = re.compile(r"^(\s*)(?:pub(?:\([^)]*\))? )?(?:const |async |unsafe |extern \"C\" )*fn (\w+)")
TYPE = re.compile(r"^\s*pub(\([^)]*\))? (?:struct|enum|trait|type|union) (\w+)")
USE = re.compile(r"\b(crate|super|self)((?:::\w+)+)")
IMPORT = re.compile(r"^\s*(?:pub(?:\([^)]*\))? )?use ([^;]+);", re.MULTILINE)


def sources():
    listed = subprocess.run(["git", "ls-files", "*.rs"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines()]


def crate_of(path):
    parts = path.relative_to(ROOT).parts
    return parts[1] if parts[0] == "crates" else parts[0]


def is_test(path):
    parts = path.relative_to(ROOT).parts
    return "tests" in parts[:-1] or path.name == "tests.rs"


def without_tests(lines):
    """The lines before a module of tests that stands in the same file, and those of that module."""
    for number, line in enumerate(lines):
        if line.strip() == "#[cfg(test)]" and number + 1 < len(lines) and re.match(r"\s*mod \w+ \{", lines[number + 1]):
            return lines[:number], lines[number:]
    return lines, []


def is_code(line):
    text = line.strip()
    return bool(text) and not text.startswith("//")


def functions(lines):
    """Name and length of each function with a body."""
    found = []
    for number, line in enumerate(lines):
        head = FUNCTION.match(line)
        if not head:
            continue
        indent = head.group(1)
        for end in range(number, len(lines)):
            if lines[end] == f"{indent}}}":
                found.append((head.group(2), end - number + 1))
                break
            if end == number and lines[end].endswith(("}", ";")):
                if lines[end].endswith("}"):
                    found.append((head.group(2), 1))
                break
            if lines[end] == f"{indent});" or (end > number and lines[end].endswith(";") and lines[end].startswith(f"{indent})")):
                break
    return found


def doc_comments(lines):
    """The text of each doc comment."""
    docs, current = [], []
    for line in lines:
        text = line.strip()
        if text.startswith(("///", "//!")):
            current.append(text[3:].strip())
        elif current:
            docs.append(" ".join(current).strip())
            current = []
    return docs


def module_of(path):
    """The path of a file's module in its crate, as a tuple."""
    parts = list(path.relative_to(ROOT).parts)
    inside = parts[parts.index("src") + 1:] if "src" in parts else parts[-1:]
    inside[-1] = inside[-1].removesuffix(".rs")
    if inside[-1] in ("mod", "lib", "main"):
        inside.pop()
    return tuple(inside)


def edges(files):
    """Which module of a crate names which other one, by the directories and files right below a common parent."""
    modules = {module_of(path) for path in files}
    graph = collections.defaultdict(set)
    for path in files:
        here = module_of(path)
        lines, _ = without_tests(path.read_text(encoding="utf-8").splitlines())
        text = "\n".join(filter(is_code, lines))
        imported = [path for tree in IMPORT.findall(text) for path in flattened(tree)]
        for named in [*imported, *("".join(found) for found in USE.findall(IMPORT.sub("", text)))]:
            base, *names = named.split("::")
            if base in ("crate", "self", "super"):
                at = {"crate": (), "self": here, "super": here[:-1]}[base]
                while base == "super" and names and names[0] == "super":
                    at, names = at[:-1], names[1:]
                target = at
                for name in names:
                    if (*target, name) in modules:
                        target = (*target, name)
                common = 0
                while common < min(len(here), len(target)) and here[common] == target[common]:
                    common += 1
                # Parent and child are one room: only siblings count.
                if common < len(here) and common < len(target):
                    graph[here[: common + 1]].add(target[: common + 1])
    return graph


def flattened(tree):
    """Every path of what follows `use`."""
    tree = re.sub(r"\s+as \w+", "", tree)
    before, brace, rest = tree.partition("{")
    before = before.strip()
    if not brace:
        return [before]
    depth, part, parts = 0, "", []
    for letter in rest[: rest.rindex("}")]:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts, part = [*parts, part], ""
        else:
            part += letter
    return [before + path for inner in [*parts, part] if inner.strip() for path in flattened(inner.strip())]


def circles(graph):
    """The strongly connected groups of more than one module (Tarjan 1972, by repeated reach: the graphs are small)."""
    def reach(start):
        seen, todo = set(), [start]
        while todo:
            for after in graph.get(todo.pop(), ()):
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
        return seen

    reached = {node: reach(node) for node in graph}
    groups = {frozenset({one, *(other for other in reached[one] if one in reached.get(other, ()))}) for one in graph}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", action="store_true", help="list the public type names that stand more than once in a crate")
    parser.add_argument("--circles", action="store_true", help="list the modules of each circle")
    arguments = parser.parse_args()

    code, test_code = collections.Counter(), collections.Counter()
    lengths, docs, comments, long_files = [], [], 0, []
    names = collections.defaultdict(list)
    by_crate = collections.defaultdict(list)
    for path in sources():
        crate, lines = crate_of(path), path.read_text(encoding="utf-8").splitlines()
        if is_test(path):
            test_code[crate] += sum(map(is_code, lines))
            continue
        own, tests = without_tests(lines)
        code[crate] += sum(map(is_code, own))
        test_code[crate] += sum(map(is_code, tests))
        lengths += [length for _, length in functions(own)]
        docs += doc_comments(own)
        comments += sum(1 for line in own if re.match(r"\s*//(?![/!])", line))
        if len(lines) > LONG_FILE:
            long_files.append((len(lines), path.relative_to(ROOT)))
        if "src" in path.relative_to(ROOT).parts:
            by_crate[crate].append(path)
            for line in own:
                found = TYPE.match(line)
                if found and found.group(1) != "(self)":
                    names[crate, found.group(2)].append(path.relative_to(ROOT))

    twice = {key: places for key, places in names.items() if len(places) > 1}
    all_circles = [(crate, group) for crate in sorted(by_crate) for group in circles(edges(by_crate[crate]))]
    print("lines of code, without blank lines and comments")
    for crate in sorted(code):
        print(f"  {crate:<12} {code[crate]:>6}   tests {test_code[crate]:>6}")
    print(f"  {'all':<12} {sum(code.values()):>6}   tests {sum(test_code.values()):>6}")
    lengths.sort()
    p90 = lengths[int(len(lengths) * 0.9)]
    print(f"functions: {len(lengths)}, length median {statistics.median(lengths):.0f}, p90 {p90}, longest {lengths[-1]} lines")
    print(f"files over {LONG_FILE} lines: {len(long_files)}")
    short = sum(1 for text in docs if len(text) < SHORT_DOC)
    print(f"doc comments: {len(docs)}, under {SHORT_DOC} characters {short} ({100 * short / len(docs):.1f} %)")
    print(f"// comments: {100 * comments / sum(code.values()):.1f} for each 100 lines of code")
    print(f"public type names that stand twice in a crate: {len(twice)}")
    print(f"circles between modules: {len(all_circles)}")
    print(f"README: {len((ROOT / 'README.md').read_text(encoding='utf-8').splitlines())} lines")
    if arguments.names:
        for (crate, name), places in sorted(twice.items()):
            print(f"  {crate} {name}: {', '.join(map(str, places))}")
    if arguments.circles:
        for crate, group in all_circles:
            print(f"  {crate}: {', '.join('::'.join(module) for module in group)}")


if __name__ == "__main__":
    main()
