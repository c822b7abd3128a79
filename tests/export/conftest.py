"""A published run, made up."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from published_run import RECIPE, SIZES, MadeUp, masks_of, publish_masks


@pytest.fixture(scope="session")
def made_up(tmp_path_factory) -> MadeUp:
    folder = tmp_path_factory.mktemp("made up")
    output, root = folder / "outputs" / "run", folder / "photos"
    masks = {}
    for name, size in SIZES.items():
        masks[name] = [(mask, i % 3, round(0.95 - i / 9, 6)) for i, mask in enumerate(masks_of(name))]
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((*size, 3), 99, np.uint8)).save(root / name)
    publish_masks(output / "masks.json", masks, variant="full")
    fewer = {name: of_photo[:1] for name, of_photo in masks.items()}
    publish_masks(output / "variants" / "cam" / "masks.json", fewer, variant="cam")
    (output / f"recipe-{RECIPE}.json").write_text(json.dumps({"recipe": RECIPE}))
    return MadeUp(output, root, masks)
