"""What rows are measured on: photos, and made-up maps like those that the stages see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from benchmarks.paired import Setting
from irnet_pipe.data.photos import load_photo
from irnet_pipe.data.synthetic import make_scene

SUFFIXES = {".jpg", ".jpeg", ".png"}


def photos(setting: Setting, count: int, *, size: int) -> list[np.ndarray]:
    """Photos (H, W, 3) uint8, sides of about `size` pixels or as they are in the folder (640 at most)."""
    if setting.photos is None or setting.size == "toy":
        return [make_scene(index, seed=0, size=size).image for index in range(count)]
    return [load_photo(path, long_side=640) for path in photo_files(setting.photos, count)]


def photo_files(folder: Path, count: int) -> list[Path]:
    """`count` photos below a folder, spread over their sorted names."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if len(found) < count:
        raise SystemExit(f"{folder}: {len(found)} photos found, {count} needed; name another folder")
    return [found[index * len(found) // count] for index in range(count)]


def class_maps(count: int, size: tuple[int, int], *, seed: int) -> torch.Tensor:
    """Class activation maps (count, H, W) in 0…1: smooth patches, each with a maximum of 1."""
    coarse = torch.rand(1, count, 5, 6, generator=torch.Generator().manual_seed(seed))
    maps = functional.interpolate(coarse, size, mode="bicubic")[0].clamp(min=0) ** 3
    return maps / maps.amax((1, 2), keepdim=True)


def edges(photo: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """A boundary map (h, w) in 0…1: the strength of a photo's edges."""
    grey = np.asarray(Image.fromarray(photo).convert("L").resize(size[::-1]), np.float32)
    strength = np.hypot(*np.gradient(grey))
    return torch.from_numpy(1 - np.exp(-strength / (2 * strength.mean() + 1e-6)).astype(np.float32))


def dots(size: tuple[int, int]) -> torch.Tensor:
    """A boundary map with openings on every other row and column: the smallest eigenvalues.

    Short of 1, or the affinities would be zeros, which a sparse matrix leaves out.
    """
    boundary = torch.full(size, 0.99)
    boundary[::2, ::2] = 0
    return boundary


def resting_field(size: tuple[int, int], *, seed: int) -> np.ndarray:
    """A displacement field (2, h, w) that leads every pixel to the centre of its region."""
    grid = np.mgrid[: size[0], : size[1]].astype(np.float32)
    centres = np.random.default_rng(seed).uniform(0.1, 0.9, (6, 2)) * size
    steps = centres.astype(np.float32)[:, :, None, None] - grid
    nearest = (steps**2).sum(1).argmin(0)
    field = np.take_along_axis(steps, nearest[None, None], 0)[0] / 2
    return gaussian_filter(field, (0, 1, 1))


def restless_field(size: tuple[int, int], *, seed: int) -> np.ndarray:
    """A displacement field (2, h, w) that turns every pixel about the centre, without end."""
    angle = np.random.default_rng(seed).uniform(0.5, 1)
    y, x = np.mgrid[: size[0], : size[1]] - (np.array(size).reshape(2, 1, 1) - 1) / 2
    turned = np.stack([np.cos(angle) * y - np.sin(angle) * x, np.sin(angle) * y + np.cos(angle) * x])
    return (turned - np.stack([y, x])).astype(np.float32)


def bumps(count: int, size: tuple[int, int], *, seed: int) -> torch.Tensor:
    """Score maps (count, h, w) of instances: a bump each, with some noise."""
    rng = np.random.default_rng(seed)
    grid = np.mgrid[: size[0], : size[1]].astype(np.float32)
    maps = []
    for _ in range(count):
        centre = rng.uniform(0, 1, 2) * size
        width = rng.uniform(0.05, 0.2, 2) * size
        distance = (((grid - centre[:, None, None]) / width[:, None, None]) ** 2).sum(0)
        noise = gaussian_filter(rng.standard_normal(size), 2)
        maps.append(rng.uniform(0.5, 1) * np.exp(-distance / 2) * np.exp(noise))
    return torch.from_numpy(np.array(maps, np.float32))


def confident_label_maps(count: int, side: int, *, seed: int) -> torch.Tensor:
    """Label maps (count, side, side) uint8: patches of two classes, of background (0) and of neutral (255)."""
    maps = torch.stack([class_maps(3, (side, side), seed=seed + index) for index in range(count)])
    best, index = maps.max(dim=1)
    labels = torch.where(best > 0.15, index + 1, 0)
    return torch.where(labels == 3, 255, labels).to(torch.uint8)


def objects(size: tuple[int, int], count: int, *, seed: int) -> np.ndarray:
    """An object map (H, W) uint8: ellipses 1…count on background 0, later ones in front; some may be hidden."""
    rng = np.random.default_rng(seed)
    grid = np.mgrid[: size[0], : size[1]]
    made = np.zeros(size, np.uint8)
    for number in range(1, count + 1):
        centre, radii = rng.uniform(0.2, 0.8, 2) * size, rng.uniform(0.1, 0.3, 2) * size
        made[(((grid - centre[:, None, None]) / radii[:, None, None]) ** 2).sum(0) < 1] = number
    return made
