"""Pixels of two label maps counted by their pair of labels."""

import numpy as np
from numba import njit


def count_label_pairs(
    true: np.ndarray, predicted: np.ndarray, *, n_labels: int, void: int
) -> tuple[np.ndarray, int | None]:
    """Confusion matrix of an image.

    Args:
        true: labels, any shape, integers below 2³¹.
        predicted: labels of the same shape.
        n_labels: labels are 0 to n_labels − 1.
        void: pixels of this true label are left out.

    Returns:
        (n_labels, n_labels + 1) int64, true label × predicted one, the last column for what is no label; and a true
        label that is neither a label nor void, None without any.
    """
    counts = np.zeros((n_labels, n_labels + 1), np.int64)
    stranger = _count(_flat(true), _flat(predicted), void, counts)
    return counts, None if stranger == void else stranger


def _flat(labels: np.ndarray) -> np.ndarray:
    # two types of labels at most, so that the loop is compiled for few pairs of them
    return np.ravel(labels).astype(np.uint8 if labels.dtype == np.uint8 else np.int32, copy=False)


@njit(cache=True, nogil=True)
def _count(true: np.ndarray, predicted: np.ndarray, void: int, counts: np.ndarray) -> int:
    n_labels = counts.shape[0]
    start = 0
    for end in range(1, true.size + 1):
        # maps are made of runs: one addition for each
        if end < true.size and true[end] == true[end - 1] and predicted[end] == predicted[end - 1]:
            continue
        t, p = true[start], predicted[start]
        if t != void:
            if not 0 <= t < n_labels:
                return int(t)
            counts[t, p if 0 <= p < n_labels else n_labels] += end - start
        start = end
    return void
