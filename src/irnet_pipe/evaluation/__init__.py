"""Scores against ground truth: average precision of instances, mean IoU of label maps."""
