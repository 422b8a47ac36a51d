"""Writes tests/golden/pictures/: real pictures of the kinds that the crate `image` does not encode.

Made with Pillow 13.0.0.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

OUT = Path(__file__).parent / "pictures"
OUT.mkdir(exist_ok=True)

y, x = np.mgrid[0:40, 0:56].astype(float)
noise = np.random.default_rng(1).integers(0, 40, (40, 56, 3))
colours = np.stack([x * 4, y * 5, 120 + 60 * np.sin((x + y) / 6)], axis=2)
picture = Image.fromarray((colours + noise).clip(0, 255).astype(np.uint8))


def jpeg(**options):
    data = io.BytesIO()
    picture.save(data, "JPEG", **options)
    return data.getvalue()


def with_thumbnail(data):
    """Puts an EXIF segment with a whole JPEG in it, end marker and all, behind the start of the image."""
    thumbnail = io.BytesIO()
    picture.resize((14, 10)).save(thumbnail, "JPEG")
    small = thumbnail.getvalue()
    tag = lambda number, value: number.to_bytes(2, "little") + (4).to_bytes(2, "little") + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
    first = (0).to_bytes(2, "little") + (14).to_bytes(4, "little")
    second = (2).to_bytes(2, "little") + tag(0x201, 44) + tag(0x202, len(small)) + (0).to_bytes(4, "little")
    body = b"Exif\0\0" + b"II*\0" + (8).to_bytes(4, "little") + first + second + small
    return data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:]


(OUT / "baseline.jpg").write_bytes(jpeg(quality=80))
(OUT / "progressive.jpg").write_bytes(jpeg(quality=80, progressive=True))
(OUT / "restarts.jpg").write_bytes(jpeg(quality=80, restart_marker_blocks=2))
(OUT / "thumbnail.jpg").write_bytes(with_thumbnail(jpeg(quality=80)))
(OUT / "thumbnail_progressive.jpg").write_bytes(with_thumbnail(jpeg(quality=80, progressive=True)))
picture.convert("CMYK").save(OUT / "cmyk.jpg")
picture.convert("L").save(OUT / "grey.jfif", "JPEG")
picture.save(OUT / "lossy.webp", quality=80)
picture.save(OUT / "lossless.webp", lossless=True)
alpha = picture.copy()
alpha.putalpha(Image.fromarray((x * 4).astype(np.uint8)))
alpha.save(OUT / "alpha.webp", quality=80)
picture.save(OUT / "film.webp", save_all=True, append_images=[picture.rotate(180)], quality=80)
picture.save(OUT / "interlaced.gif", interlace=1)
for name in ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"]:
    picture.save(OUT / f"{name}.tif", compression=name)
