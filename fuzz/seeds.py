#!/usr/bin/env python3
"""Writes small seeds into corpus/TARGET: images of every format that is read, archives, lists and
journals. Needs only the standard library. Run it from any folder, once before fuzzing."""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent / "crates" / "attn-fiqa" / "tests" / "fixtures"
W, H = 12, 9


def seed(target, name, data):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def pixels():
    return [(20 * x, 28 * y, 255 - 9 * x - 9 * y) for y in range(H) for x in range(W)]


def qoi():
    body = b"".join(b"\xfe" + bytes(pixel) for pixel in pixels())
    return b"qoif" + struct.pack(">IIBB", W, H, 3, 0) + body + bytes(7) + b"\x01"


def netpbm():
    raw = b"".join(bytes(pixel) for pixel in pixels())
    wide = b"".join(struct.pack(">H", 257 * level) for level in raw)
    text = " ".join(map(str, raw)).encode()
    grey = raw[1::3]
    yield "P2", b"P2 # grey\n%d %d\n15\n" % (W, H) + b" ".join(b"%d" % (g >> 4) for g in grey)
    yield "P3", b"P3\n%d %d\n255\n" % (W, H) + text
    yield "P5", b"P5\n%d %d\n255\n" % (W, H) + grey
    yield "P6", b"P6\n# a note\n%d %d\n255\n" % (W, H) + raw
    yield "P6-wide", b"P6 %d %d 65535\n" % (W, H) + wide


def bmp(header):
    row = lambda y: b"".join(bytes(p[::-1]) for p in pixels()[y * W : y * W + W])
    body = b"".join(row(y) + bytes(-3 * W % 4) for y in reversed(range(H)))
    start = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + header + body


def tlv(tag, content):
    return tag + b"\x82" + struct.pack(">H", len(content)) + content


def face_record(picture, points=0):
    """ISO/IEC 19794-5:2005, one face."""
    block = 20 + 8 * points + 12 + len(picture)
    head = b"FAC\x00010\0" + struct.pack(">IH", 14 + block, 1)
    return head + struct.pack(">IH", block, points) + bytes(14 + 8 * points + 12) + picture


def passport(record):
    template = tlv(b"\xa1", b"\x80\x02\x01\x01") + tlv(b"\x5f\x2e", record)
    return tlv(b"\x75", tlv(b"\x7f\x61", b"\x02\x01\x01" + tlv(b"\x7f\x60", template)))


def decode_seeds():
    for path in sorted(TESTS.iterdir()):
        if path.suffix not in (".py", ".gz"):
            seed("decode", path.name, path.read_bytes())
    with tarfile.open(TESTS / "jpegs.tar.gz") as jpegs:
        for member in jpegs:
            if member.isfile() and member.name.endswith(".jpg") and member.size < 4096:
                seed("decode", Path(member.name).name, jpegs.extractfile(member).read())
    for name, data in netpbm():
        seed("decode", name + ".pnm", data)
    seed("decode", "whole.qoi", qoi())
    windows = struct.pack("<IiiHHIIiiII", 40, W, H, 1, 24, 0, 0, 0, 0, 0, 0)
    seed("decode", "windows.bmp", bmp(windows))
    seed("decode", "os2-64.bmp", bmp(struct.pack("<I", 64) + windows[4:] + bytes(24)))
    seed("decode", "os2-12.bmp", bmp(struct.pack("<IHHHH", 12, W, H, 1, 24)))
    for name in ["lossless.jp2", "lossless.j2k", "progressive.jpg"]:
        record = face_record((TESTS / name).read_bytes(), 2)
        seed("decode", name + ".fac", record)
        seed("decode", name + ".dg2", passport(record))


def tar(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for kind, name in [(tarfile.LNKTYPE, "hard.jpg"), (tarfile.SYMTYPE, "soft.jpg")]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, entries[0][0]
            archive.addfile(info)
    return out.getvalue()


def zipped(entries, method, streamed=False, zip64=False):
    class Unseekable(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise io.UnsupportedOperation

        def tell(self):
            raise io.UnsupportedOperation

    out = Unseekable() if streamed else io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.comment = b"a comment"
        for name, data in entries:
            with archive.open(name, "w", force_zip64=zip64) as entry:
                entry.write(data)
    return out.getvalue()


def archive_seeds():
    entries = [
        ("a.jpg", b"\xff\xd8\xff\xe0 no picture"),
        ("folder/" + 30 * "long/" + "é.png", b"\x89PNG\r\n\x1a\n" + bytes(40)),
        ("download", b"qoif and more"),
        ("__MACOSX/._a.jpg", b"beside"),
        ("notes.txt", b"a text"),
    ]
    seed("archive", "whole.tar", tar(entries))
    seed("archive", "whole.tar.gz", gzip.compress(tar(entries)))
    seed("archive", "stored.zip", zipped(entries, zipfile.ZIP_STORED))
    seed("archive", "deflated.zip", zipped(entries, zipfile.ZIP_DEFLATED))
    seed("archive", "streamed.zip", zipped(entries, zipfile.ZIP_DEFLATED, streamed=True))
    seed("archive", "zip64.zip", zipped(entries, zipfile.ZIP_STORED, zip64=True))
    seed("archive", "program.zip", b"MZ" + bytes(60) + zipped(entries[:1], zipfile.ZIP_STORED))
    seed("archive", "empty.zip", zipped([], zipfile.ZIP_STORED))
    locked = bytearray(zipped(entries[:2], zipfile.ZIP_STORED))
    for at in (6, locked.index(b"PK\x01\x02") + 8):
        locked[at] |= 1
    seed("archive", "locked.zip", bytes(locked))


def list_seeds():
    # The first byte chooses the separator, see fuzz_targets/list.rs.
    lines = "a.jpg\r\nb c.png 1 2\nsub/d.jpg\tlabel\na.jpg,3\n\nmissing.jpg\n"
    seed("list", "lines", b"\0" + lines.encode())
    seed("list", "mark", b"\0\xef\xbb\xbf" + lines.encode())
    seed("list", "utf-16-le", b"\0" + ("\ufeff" + lines + "é😀.jpg").encode("utf-16-le"))
    seed("list", "utf-16-be", b"\0" + ("\ufeff" + lines + "é😀.jpg").encode("utf-16-be"))
    seed("list", "nul", b"\1" + b"a.jpg\0b c.png\0line\nbreak.jpg\0\xff.jpg\0")


def journal_seeds():
    rows = [b"path,score\n", b"a,1\n", b"b,22\n"]
    header = b'attn-fiqa journal 1\n{"settings":{},"inputs":{},"shard":"1/2"}\n'
    heading = b"heading %d %08x\n" % (len(rows[0]), zlib.crc32(rows[0]))
    images = [
        b"%d %08x 1 %d %08x ok,no-face\n" % (2 * number, number, len(row), zlib.crc32(row))
        for number, row in enumerate(rows[1:])
    ]
    started, files, end = b"started 1796000000000000000\n", b"files 0000b001\n", b"end 4\n"
    # The first byte is the length of the rows, see fuzz_targets/journal.rs.
    data = b"".join(rows)
    whole = [header, started, heading, *images, end]
    seed("journal", "whole", bytes([len(data)]) + data + b"".join(whole))
    with_files = [header, started, heading, files, images[0], files, images[1]]
    seed("journal", "files", bytes([len(data)]) + data + b"".join(with_files))
    parts = [header, started, images[0], b"part 0\n", images[1]]
    seed("journal", "parts", bytes([len(rows[2])]) + rows[2] + b"".join(parts))


decode_seeds()
archive_seeds()
list_seeds()
journal_seeds()
