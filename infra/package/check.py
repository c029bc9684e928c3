"""Holds packages to what they promise: how large they are, which glibc they need, and that they need nothing else.

usage: check.py ARCHITECTURE FOLDER

Every ELF file of every zip is read, not the folder that it was made of. Prints a line a package; ends badly where one breaks a promise.
"""

import hashlib
import io
import sys
import zipfile
from pathlib import Path

from elftools.elf.elffile import ELFFile

# What Lambda's runtime provided.al2023 has, and what is promised to machines with a package of their own.
GLIBC = {"zip": (2, 34), "programs": (2, 28)}
# Lambda takes 50 MB. This is what packages have, and a little: so that they do not grow unseen.
LARGEST = 22_000_000
MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}
# glibc's own libraries; the last are its loaders.
OF_GLIBC = {
    "libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libresolv.so.2", "libutil.so.1",
    "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
}


def version(name):
    return tuple(int(part) for part in name.split("_", 1)[1].split("."))


def read(content):
    """The machine of an ELF file, the libraries that it needs, the versions that it needs of them, and those that it has itself."""
    elf = ELFFile(io.BytesIO(content))
    needed, wanted, offered = set(), set(), set()
    dynamic = elf.get_section_by_name(".dynamic")
    needed = {tag.needed for tag in dynamic.iter_tags("DT_NEEDED")}
    for _, versions in elf.get_section_by_name(".gnu.version_r").iter_versions():
        wanted.update(entry.name for entry in versions)
    definitions = elf.get_section_by_name(".gnu.version_d")
    if definitions:
        for _, names in definitions.iter_versions():
            offered.update(name.name for name in names)
    return elf["e_machine"], needed, wanted, offered


def faults(package, architecture):
    """What a package breaks; and the newest glibc that it needs."""
    with zipfile.ZipFile(package) as archive:
        content = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    broken = []
    files = {name: read(bytes_) for name, bytes_ in content.items()}
    there = {Path(name).name for name in files}
    offered = set().union(*(offered for *_, offered in files.values()))
    newest = (0,)
    for name, (machine, needed, wanted, _) in files.items():
        if machine != MACHINES[architecture]:
            broken.append(f"{name} is for {machine}")
        if not modes[name] & 0o111:
            broken.append(f"{name} cannot be executed")
        if missing := needed - there - OF_GLIBC:
            broken.append(f"{name} needs {', '.join(sorted(missing))}, which nothing brings")
        glibc = {one for one in wanted if one.startswith("GLIBC_")}
        if lacking := wanted - glibc - offered:
            broken.append(f"{name} needs {', '.join(sorted(lacking))}, which no library of the package has")
        newest = max([newest, *map(version, glibc)])
    if newest > GLIBC["zip"]:
        broken.append(f"it needs a glibc of {newest}, and Lambda has {GLIBC['zip']}")
    elif newest > GLIBC["programs"]:
        broken.append(f"it needs a glibc of {newest}, and {GLIBC['programs']} is promised")
    if "bootstrap" not in content:
        broken.append("it has no bootstrap")
    if package.stat().st_size > LARGEST:
        broken.append(f"it has {package.stat().st_size:,} bytes, and {LARGEST:,} are the most")
    return broken, newest


def main():
    architecture, folder = sys.argv[1], Path(sys.argv[2])
    failed = False
    for package in sorted(folder.glob("*.zip")):
        broken, newest = faults(package, architecture)
        digest = hashlib.sha256(package.read_bytes()).hexdigest()
        print(f"  {package}: {package.stat().st_size:,} bytes, glibc {'.'.join(map(str, newest))}, SHA-256 {digest}")
        for fault in broken:
            print(f"    {fault}", file=sys.stderr)
        failed |= bool(broken)
    for archive in sorted(folder.glob("*.tar.gz")):
        print(f"  {archive}: {archive.stat().st_size:,} bytes")
    return failed


sys.exit(main())
