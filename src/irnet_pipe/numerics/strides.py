"""Pixels of a processed photo to one of its score maps."""

IRNET_STRIDE = 4
AFFINITYNET_STRIDE = 8
