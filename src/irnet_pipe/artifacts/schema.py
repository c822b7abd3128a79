"""Constants of the artifact format: what readers and writers agree on. docs/artifacts.md describes them in prose."""

from typing import Final

FORMAT: Final = "irnet_pipe.artifact"
FORMAT_VERSION: Final = 1

KIND_VERSIONS: Final[dict[str, int]] = {
    "cam": 1,
    "relations": 1,
    "irnet_maps": 2,
    "instances": 1,
    "propagation": 2,
    "affinity_scores": 1,
    "affinity_propagation": 1,
    "masks": 1,
    "calibration": 2,
    "relation_thresholds": 1,
    "thresholds": 2,
    "scores": 3,
}
"""Kinds of HDF5 and JSON artifacts and the newest version of each that this software writes and reads."""

KIND_OF_STAGE: Final[dict[str, str]] = {
    "infer_cam": "cam",
    "select_relation_thresholds": "relation_thresholds",
    "mine_relations": "relations",
    "infer_irnet": "irnet_maps",
    "refine_displacement": "instances",
    "propagate": "propagation",
    "mine_affinitynet": "affinity_scores",
    "propagate_affinitynet": "affinity_propagation",
    "export_masks": "masks",
    "infer_maskrcnn": "masks",
    "infer_deeplab": "masks",
    "calibrate_displacement": "calibration",
    "select_thresholds": "thresholds",
    "evaluate_cam": "scores",
    "evaluate_masks": "scores",
}

JSON_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "calibration": ("mean_displacement", "pixels"),
    "relation_thresholds": ("images", "fg_threshold", "bg_threshold", "thresholds", "explained"),
    "thresholds": ("images", "bg_threshold", "thresholds", "support", "explained", "score", "pictures"),
    "scores": ("images", "images_with_predicted_classes", "variant", "figures"),
}
"""Kinds of JSON artifacts and the keys that each has beside the header."""

MASKS_OF_STAGE: Final[dict[str, tuple[str, ...]]] = {
    "export_masks": ("semantic", "instance"),
    "infer_maskrcnn": ("instance",),
    "infer_deeplab": ("semantic",),
}
"""Stages that make artifacts of kind masks, and which masks these hold."""
