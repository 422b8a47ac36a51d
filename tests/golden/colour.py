"""Golden values for tests/replay_augment.rs: changes of colour, image by image and pixel by pixel: python colour.py > colour.json

The meaning of each change is torchvision's (ColorJitter), in double precision; the hue goes through Python's own colorsys.
The luma is Rec. 601 with weights that add up to 1 (torchvision rounds the first down to 0.2989).
"""
import colorsys
import json

import torch

torch.set_default_dtype(torch.float64)
LUMA = torch.tensor([0.299, 0.587, 0.114])
FACTORS = {"brightness": [0.2, 1.0, 1.7, 1.3], "contrast": [1.8, 0.3, 1.0, 0.6], "saturation": [0.0, 1.6, 0.7, 1.0],
           "hue": [0.4, -0.25, 0.03, -0.5]}


def images(channels):
    count = 4 * channels * 16
    values = torch.tensor([(j * 37 + j * j * 11) % 257 / 128 - 1 for j in range(count)]).clamp(-1, 1)
    x = values.reshape(4, channels, 4, 4)
    x[0, :, 0] = x[0, :1, 0]  # grey, and two equal channels: the corners of the hue
    if channels == 3:
        x[1, 1, 1] = x[1, 0, 1]
        x[1, 2, 2] = x[1, 1, 2]
        x[2, 2, 3] = x[2, 0, 3]
    return x


def grey(x):
    return x if x.shape[0] == 1 else (x * LUMA[:, None, None]).sum(0, keepdim=True)


def blend(x, other, factor):
    return (factor * x + (1 - factor) * other).clamp(0, 1)


def turn(x, by):
    out = x.clone()
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            h, s, v = colorsys.rgb_to_hsv(*x[:, i, j].tolist())
            out[:, i, j] = torch.tensor(colorsys.hsv_to_rgb((h + by) % 1.0, s, v))
    return out


CHANGES = {
    "brightness": lambda x, f: blend(x, torch.zeros_like(x), f),
    "contrast": lambda x, f: blend(x, grey(x).mean(), f),
    "saturation": lambda x, f: blend(x, grey(x), f),
    "hue": turn,
}


def changed(channels, parts):
    out = []
    for n, x in enumerate((images(channels) + 1) / 2):
        for part in parts:
            x = CHANGES[part](x, FACTORS[part][n])
        out.append(x * 2 - 1)
    return torch.stack(out).flatten().tolist()


print(json.dumps({
    "factors": FACTORS,
    "images": {channels: images(channels).flatten().tolist() for channels in (1, 3)},
    "cases": [{"channels": channels, "parts": parts, "values": changed(channels, parts)} for channels, parts in [
        (3, ["brightness"]), (3, ["contrast"]), (3, ["saturation"]), (3, ["hue"]),
        (3, ["brightness", "contrast", "saturation", "hue"]), (1, ["brightness", "contrast"])]],
}))
