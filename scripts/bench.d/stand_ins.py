"""Makes PyTorch's default wheel import on a machine without a GPU and without CUDA's libraries.

The wheel on the package index is linked with some 2.5 GB of CUDA libraries. On a processor none of
their functions is ever called, but the dynamic linker wants to find them. This writes a library of
the right name for each one that is missing, holding the symbols that PyTorch asks of it. Every
function returns an error code, so that PyTorch sees a machine without a usable GPU.

Usage: stand_ins.py SITE_PACKAGES
"""

import pathlib
import re
import subprocess
import sys
import tempfile
from collections import defaultdict


def readelf(option, path):
    command = ["readelf", "--wide", option, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def needed(path):
    """Names of the libraries that an object is linked with."""
    return re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("--dynamic", path))


def version_owners(path):
    """Which library each symbol version is asked of, from the object's version needs."""
    owners, library = {}, None
    for line in readelf("--version-info", path).splitlines():
        if found := re.search(r"File: (\S+)", line):
            library = found[1]
        elif library and (found := re.search(r"Name: (\S+)\s+Flags", line)):
            owners[found[1]] = library
    return owners


def symbols(path):
    """(name, version, is data, is weak, is undefined) of each dynamic symbol."""
    for line in readelf("--dyn-syms", path).splitlines():
        fields = line.split()
        if len(fields) < 8 or not fields[0].rstrip(":").isdigit():
            continue
        name, _, version = fields[7].partition("@")
        undefined = fields[6] == "UND"
        yield name, version.lstrip("@"), fields[3] == "OBJECT", fields[4] == "WEAK", undefined


def plan(objects, present):
    """For each missing library, the symbols it must have: {library: {(name, version, is data)}}."""
    provided = {name for path in objects for name, *_, undefined in symbols(path) if not undefined}
    wanted = defaultdict(set)
    for path in objects:
        missing = [library for library in needed(path) if library not in present]
        owners = version_owners(path)
        for library in missing:
            wanted[library]  # one without symbols must still be found by its name
        for name, version, data, weak, undefined in symbols(path):
            if not undefined or weak or name in provided:
                continue
            # A symbol without a version is looked up in all libraries alike: any will do.
            library = owners.get(version) if version else next(iter(missing), None)
            if library in wanted:
                wanted[library].add((name, version, data))
    return wanted


def build(library, wanted, folder):
    nodes = defaultdict(list)
    source = []
    for name, version, data in sorted(wanted):
        source.append(f"char {name}[4096];" if data else f"long {name}(void) {{ return 999; }}")
        if version:
            nodes[version].append(name)
    with tempfile.TemporaryDirectory() as scratch:
        code, script = pathlib.Path(scratch, "s.c"), pathlib.Path(scratch, "s.map")
        code.write_text("\n".join(source) + "\n")
        script.write_text(
            "".join(f"{node} {{ global: {'; '.join(names)}; }};\n" for node, names in nodes.items())
        )
        command = ["gcc", "-w", "-shared", "-fPIC", "-o", folder / library, code]
        command += [f"-Wl,-soname,{library}"]
        if nodes:
            command.append(f"-Wl,--version-script={script}")
        subprocess.run(command, check=True)


def main(site_packages):
    site = pathlib.Path(site_packages)
    folder = site / "torch" / "lib"
    objects = sorted(folder.glob("*.so*"))
    cache = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True)
    present = set(re.findall(r"^\s+(\S+) \(", cache.stdout, re.MULTILINE))
    present |= {path.name for path in site.glob("**/*.so*")}
    for library, wanted in plan(objects, present).items():
        # Beside PyTorch's own libraries, where they look first ($ORIGIN).
        build(library, wanted, folder)
        print(f"stand-in for {library}: {len(wanted)} symbols")


main(sys.argv[1])
