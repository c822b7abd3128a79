"""Random ground truth and results as COCO jsons, with all that makes evaluators differ."""

import json
from pathlib import Path

import numpy as np

from irnet_pipe.numerics.run_lengths import compress_rle, encode_rle

SIDES = (24, 150)


def rle(mask):
    return {"size": list(mask.shape), "counts": compress_rle(encode_rle(mask))}


def random_set(seed: int, folder: Path) -> tuple[Path, Path]:
    """Write truth.json and results.json.

    Crowds, images without instance or without result, ties in score, classes without ground truth, small to large
    instances, duplicates, and in each tenth set more than 100 detections of an image and class.
    """
    rng = np.random.default_rng(seed)
    categories = [3, 7, 40, 90]
    crowded = seed % 10 == 0
    images, annotations, results = [], [], []
    for image_id in rng.choice(1000, size=rng.integers(1, 7), replace=False).tolist():
        height, width = rng.integers(*SIDES, size=2).tolist()
        images.append({"id": image_id, "file_name": f"p/{image_id}.jpg", "height": height, "width": width})
        for _ in range(rng.integers(0, 7)):
            mask, category = _box(rng, height, width), int(rng.choice(categories[:3]))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category,
                    "segmentation": rle(mask),
                    "area": float(mask.sum() * rng.choice([1, 1, 0.9])),
                    "bbox": [0, 0, 1, 1],
                    "iscrowd": int(rng.random() < 0.15),
                }
            )
            for _ in range(rng.integers(0, 4)):
                moved = np.roll(mask, rng.integers(-4, 5, size=2), axis=(0, 1))
                other = int(rng.choice(categories)) if rng.random() < 0.2 else category
                results.append(_result(rng, image_id, other, moved))
        for _ in range(rng.integers(0, 3)):
            results.append(_result(rng, image_id, int(rng.choice(categories)), _box(rng, height, width)))
    if crowded and annotations:
        chosen = annotations[0]
        size = chosen["segmentation"]["size"]
        for _ in range(130):
            results.append(_result(rng, chosen["image_id"], chosen["category_id"], _box(rng, *size)))
    if not results:  # pycocotools loads no empty list
        size = images[0]["height"], images[0]["width"]
        results.append(_result(rng, images[0]["id"], categories[0], _box(rng, *size)))
    results = [results[i] for i in rng.permutation(len(results))]
    truth = {
        "images": images,
        "categories": [{"id": i, "name": f"class {i}"} for i in reversed(categories)],
        "annotations": annotations,
    }
    paths = folder / "truth.json", folder / "results.json"
    for path, content in zip(paths, (truth, results), strict=True):
        path.write_text(json.dumps(content), encoding="utf-8")
    return paths


def _box(rng, height, width):
    mask = np.zeros((height, width), dtype=bool)
    top, left = rng.integers(0, height), rng.integers(0, width)
    mask[top : top + rng.integers(1, height + 1), left : left + rng.integers(1, width + 1)] = True
    return mask & (rng.random(mask.shape) < rng.choice([0.8, 1.0]))


def _result(rng, image_id, category, mask):
    score = rng.integers(0, 5) / 4 if rng.random() < 0.7 else rng.random()
    return {
        "image_id": image_id,
        "category_id": category,
        "segmentation": rle(mask),
        "score": float(score),
    }
