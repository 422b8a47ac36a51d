"""Writes two tiny files in the form of SVHN's cropped digits, one compressed and one not, with scipy.

X[row, column, channel, image] = (7 row + 3 column + 50 channel + 11 image) mod 256; the labels are 10 (the digit 0),
1, 9 and 10, 2. Run from the root of the repository: python tests/golden/svhn.py
"""

import numpy as np
from scipy.io import savemat


def write(path, labels, compressed):
    h, w, c, n = np.ogrid[:32, :32, :3, : len(labels)]
    images = ((7 * h + 3 * w + 50 * c + 11 * n) % 256).astype(np.uint8)
    digits = np.array(labels, dtype=np.uint8).reshape(-1, 1)
    savemat(path, {"X": images, "y": digits}, do_compression=compressed)


write("tests/golden/svhn/train_32x32.mat", [10, 1, 9], compressed=True)
write("tests/golden/svhn/test_32x32.mat", [10, 2], compressed=False)
