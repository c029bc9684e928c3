"""Makes the packages of the functions of one architecture from what stands in a folder for each.

usage: pack.py PROGRAMS ONNXRUNTIME LIBRARIES OUTPUT KEPT

PROGRAMS is the folder of the programs, ONNXRUNTIME that of its library, LIBRARIES that of the C++ library's packages, unpacked.
OUTPUT gets, for each kind of function, a zip as AWS Lambda takes it, and beside it the folder that the zip holds; and the archive of
the inference function for a machine of its own. KEPT is where what is slow to compress is kept, by its digest.

The same files make the same bytes: no time, owner or order of this machine is written, and zopfli, which compresses, is of one version.
"""

import hashlib
import io
import shutil
import struct
import sys
import tarfile
import zlib
from pathlib import Path

import zopfli.zlib

# The earliest that a zip can tell: the first day of 1980, in the format of MS-DOS.
DATE = (1 << 5) | 1
UNIX = 3


def deflated(content, kept):
    """The content in the format of RFC 1951, as small as zopfli makes it in one round: more take minutes for a thousandth."""
    place = kept / hashlib.sha256(content).hexdigest()
    if not place.is_file():
        # Behind zlib's two bytes, before its four.
        stream = zopfli.zlib.compress(content, numiterations=1)[2:-4]
        kept.mkdir(parents=True, exist_ok=True)
        unfinished = place.with_suffix(".new")
        unfinished.write_bytes(stream)
        unfinished.rename(place)
    return place.read_bytes()


def zipped(files, kept):
    """A zip of (name, content, mode), in this order."""
    body, directory = io.BytesIO(), io.BytesIO()
    for name, content, mode in files:
        stream = deflated(content, kept)
        name = name.encode()
        # Version 2.0 of the format, no flags, deflated, time and date; lengths of names without extra fields.
        common = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, DATE, zlib.crc32(content), len(stream), len(content), len(name), 0)
        start = body.tell()
        body.write(b"PK\3\4" + common + name + stream)
        made_by = struct.pack("<BB", 20, UNIX)
        tail = struct.pack("<HHHII", 0, 0, 0, (0o100000 | mode) << 16, start)
        directory.write(b"PK\1\2" + made_by + common + tail + name)
    count, start = len(files), body.tell()
    end = struct.pack("<HHHHIIH", 0, 0, count, count, directory.tell(), start, 0)
    return body.getvalue() + directory.getvalue() + b"PK\5\6" + end


def member(content, kept):
    """A member of RFC 1952: no name, no time, made by an unknown system."""
    head = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
    return head + deflated(content, kept) + struct.pack("<II", zlib.crc32(content), len(content))


def archive(folder, files, kept):
    """A tar of (name, content, mode), compressed file by file, as the zip is: members of RFC 1952 may follow each other."""
    parts = []
    for name, content, mode in files:
        file = tarfile.TarInfo(f"{folder}/{name}")
        file.size, file.mode = len(content), mode
        padding = b"\0" * (-len(content) % tarfile.BLOCKSIZE)
        parts += [file.tobuf(tarfile.USTAR_FORMAT), content, padding]
    parts.append(b"\0" * 2 * tarfile.BLOCKSIZE)
    return b"".join(member(part, kept) for part in parts if part)


def lay(folder, files):
    """The files themselves."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content, mode in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)


def main():
    programs, onnxruntime, unpacked, output, kept = map(Path, sys.argv[1:])
    found = {path.name: path for path in unpacked.rglob("lib*.so.*") if not path.is_dir()}
    [library] = onnxruntime.glob("libonnxruntime.so.*")
    libraries = [("lib/libonnxruntime.so", library.read_bytes(), 0o755)]
    libraries += [(f"lib/{name}", found[name].read_bytes(), 0o755) for name in ("libstdc++.so.6", "libgcc_s.so.1")]
    output.mkdir(parents=True, exist_ok=True)
    for kind in ("inference", "training"):
        program = (programs / f"millrace-{kind}").read_bytes()
        files = [("bootstrap", program, 0o755), *libraries]
        lay(output / kind, files)
        (output / f"{kind}.zip").write_bytes(zipped(files, kept))
        if kind == "inference":
            name = f"millrace-inference-{output.name}"
            files = [("millrace-inference", program, 0o755), *libraries]
            (output / f"{name}.tar.gz").write_bytes(archive(name, files, kept))


main()
