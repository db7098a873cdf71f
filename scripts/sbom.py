#!/usr/bin/env python3
"""Prints the parts list (SBOM) of the program as CycloneDX JSON: every crate that is linked into `tickmesh` for a target, with
version, licence and the checksum that Cargo.lock has.

    scripts/sbom.py --version 1.2.3 --target x86_64-unknown-linux-gnu

The same sources give the same text, byte for byte: it has no date and no random number.
"""

import argparse
import hashlib
import json
import pathlib
import subprocess
import tomllib
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = "tickmesh-cli"


def metadata(target):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)


def linked(resolve, root):
    """Ids of the packages that normal dependencies lead to, and what each depends on. What only builds or tests is no part."""
    nodes = {node["id"]: node for node in resolve["nodes"]}
    found, left = {}, [root]
    while left:
        package = left.pop()
        if package in found:
            continue
        dependencies = nodes[package]["deps"]
        normal = [it["pkg"] for it in dependencies if any(kind["kind"] is None for kind in it["dep_kinds"])]
        found[package] = sorted(normal)
        left.extend(normal)
    return found


def checksums():
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    return {(it["name"], it["version"]): it.get("checksum") for it in lock["package"]}


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, known):
    entry = {"type": "library", "bom-ref": purl(package), "name": package["name"], "version": package["version"], "purl": purl(package)}
    if package["license"]:
        entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if checksum := known.get((package["name"], package["version"])):
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["repository"]:
        entry["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return entry


def bill(version, target):
    found = metadata(target)
    packages = {package["id"]: package for package in found["packages"]}
    root = next(id for id, package in packages.items() if package["name"] == PROGRAM)
    parts = linked(found["resolve"], root)
    known = checksums()
    program = {"type": "application", "bom-ref": "tickmesh", "name": "tickmesh", "version": version, "licenses": [{"expression": packages[root]["license"]}]}
    ref = lambda id: "tickmesh" if id == root else purl(packages[id])
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": program, "properties": [{"name": "target", "value": target}]},
        "components": sorted((component(packages[id], known) for id in parts if id != root), key=lambda it: it["bom-ref"]),
        "dependencies": sorted(({"ref": ref(id), "dependsOn": [ref(it) for it in needs]} for id, needs in parts.items()), key=lambda it: it["ref"]),
    }
    digest = hashlib.sha256(json.dumps(bill, sort_keys=True).encode()).digest()
    return {"serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}", **bill}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", required=True)
    parser.add_argument("--target", required=True)
    arguments = parser.parse_args()
    print(json.dumps(bill(arguments.version, arguments.target), indent=2))


if __name__ == "__main__":
    main()
