"""Rebuilds cifar-10-batches-bin/*.bin from lossless PNG sheets (a row an image, 1024 RGB pixels) and label lists.

usage: cifar10_from_png.py SHEETS OUT
Standard library only, so that nothing needs to be installed.
"""

import json
import struct
import sys
import zlib
from itertools import accumulate


def read_sheet(path):
    """The bytes in a row of a PNG, and its filtered rows, each with its filter type before it."""
    data, at, parts, width = open(path, "rb").read(), 8, [], 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, _, *form = struct.unpack(">IIBBBBB", body)
            if form != [8, 2, 0, 0, 0]:
                sys.exit(f"{path}: expected 8-bit RGB without interlace, found {form}")
        elif kind == b"IDAT":
            parts.append(body)
        at += 12 + size
    return width * 3, zlib.decompress(b"".join(parts))


def paeth(a, b, c):
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    if pa <= pb and pa <= pc:
        return a
    return b if pb <= pc else c


def unfilter(kind, row, above):
    """Undoes one of PNG's five row filters in place."""
    if kind == 1:  # nearly every row: a running sum per channel, which accumulate does in C
        for c in range(3):
            row[c::3] = bytes(v & 255 for v in accumulate(row[c::3]))
        return
    for i in range(len(row)) if kind else ():
        a, b, c = (row[i - 3] if i > 2 else 0), above[i], (above[i - 3] if i > 2 else 0)
        row[i] = (row[i] + {2: b, 3: (a + b) // 2, 4: paeth(a, b, c)}[kind]) & 255


def rebuild(sheet, labels, out):
    width, raw = read_sheet(sheet)
    starts = range(0, len(raw), width + 1)
    if len(starts) != len(labels):
        sys.exit(f"{sheet}: {len(starts)} images, but {len(labels)} labels")
    above = bytearray(width)
    with open(out, "wb") as f:
        for at, label in zip(starts, labels):
            row = bytearray(raw[at + 1 : at + 1 + width])
            unfilter(raw[at], row, above)
            f.write(bytes([label]) + row[0::3] + row[1::3] + row[2::3])
            above = row


def main():
    sheets, out = sys.argv[1:]
    train = json.load(open(f"{sheets}/train_lables.json"))  # the package spells it so
    test = json.load(open(f"{sheets}/test_lables.json"))
    for i in range(5):
        rebuild(f"{sheets}/data_batch_{i + 1}.png", train[i * 10000 : (i + 1) * 10000], f"{out}/data_batch_{i + 1}.bin")
    rebuild(f"{sheets}/test_batch.png", test, f"{out}/test_batch.bin")


main()
