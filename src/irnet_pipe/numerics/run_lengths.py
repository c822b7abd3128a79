"""Run lengths of masks as COCO has them, in numpy alone: what only reads masks loads no torch."""

import numpy as np


def encode_rle(
    mask: np.ndarray, *, top: int = 0, left: int = 0, size: tuple[int, int] | None = None
) -> np.ndarray:
    """Run lengths of a mask, column by column, the first of background: COCO's uncompressed counts.

    Args:
        mask: (h, w) bool, the whole mask or a crop of it.
        top: first row of the crop.
        left: first column of the crop.
        size: (H, W) of the whole mask; that of `mask` if None.

    Returns:
        (runs,) uint32, summing to H·W.
    """
    height, width = size or mask.shape
    # a row of background parts the columns of a crop; in a mask of full height runs go on in the next column
    period = min(mask.shape[0] + 1, height)
    line = np.zeros(mask.shape[1] * period + 2, bool)
    line[1:-1].reshape(mask.shape[1], period)[:, : mask.shape[0]] = mask.T
    x, y = np.divmod(np.flatnonzero(line[1:] != line[:-1]), period)
    counts = np.diff((left + x) * height + top + y, prepend=0, append=height * width)
    ends_in_foreground = len(counts) > 1 and counts[-1] == 0
    runs: np.ndarray = counts[: len(counts) - ends_in_foreground].astype(np.uint32)
    return runs


def decode_rle(counts: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool mask of run lengths.

    Raises:
        ValueError: the counts do not sum to H·W.
    """
    height, width = size
    if int(counts.sum()) != height * width:
        raise ValueError(
            f"counts sum to {int(counts.sum())}, but a mask of {height}×{width} has {height * width}"
        )
    foreground = np.arange(len(counts)) % 2 == 1
    return np.ascontiguousarray(np.repeat(foreground, counts).reshape(width, height).T)


def rle_area(counts: np.ndarray) -> int:
    """Pixels of the mask."""
    return int(counts[1::2].sum())


def compress_rle(counts: np.ndarray) -> str:
    """COCO's compressed counts: differences to the last but one, five bits a character, lowest first."""
    rest = counts.astype(np.int64)
    rest[3:] -= counts[1:-2].astype(np.int64)
    digits = (rest[:, None] >> np.arange(0, _DIGITS * 5, 5)) & 31
    # a number ends where what is left is the sign of its last digit
    left_over = rest[:, None] >> np.arange(5, (_DIGITS + 1) * 5, 5)
    more = left_over != np.where(digits & 16, -1, 0)
    kept = np.ones_like(more)
    kept[:, 1:] = np.logical_and.accumulate(more[:, :-1], axis=1)
    characters = (digits + 32 * more + 48)[kept]
    return bytes(characters.astype(np.uint8)).decode("ascii")


_DIGITS = 7
"""Most characters a number takes: differences of uint32 have 33 bits."""


def decompress_rle(text: str) -> np.ndarray:
    """(runs,) uint32 counts of COCO's compressed counts."""
    digits = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(digits < 32)
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = 5 * (np.arange(len(digits)) - np.repeat(starts, ends - starts + 1))
    negative = digits[ends] & 16 > 0
    numbers = np.add.reduceat((digits & 31) << place, starts) - (
        negative.astype(np.int64) << (place[ends] + 5)
    )
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    counts: np.ndarray = numbers.astype(np.uint32)
    return counts
