"""What a reader found, written for the test; runs in the reader's environment, with numpy alone."""

import json
import sys
from pathlib import Path

import numpy as np


def arguments():
    """Folder of the export, and file to write."""
    return Path(sys.argv[1]), Path(sys.argv[2])


def write(path, *, classes, instances):
    """Write the names of classes and, of each instance, image, class, score (or None) and mask."""
    facts = [[image, name, score] for image, name, score, _ in instances]
    masks = {str(number): np.asarray(mask, bool) for number, (*_, mask) in enumerate(instances)}
    np.savez_compressed(path, facts=json.dumps({"classes": classes, "instances": facts}), **masks)
