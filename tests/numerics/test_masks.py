from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from irnet_pipe.numerics.clustering import connected_components
from irnet_pipe.numerics.label_maps import label_fragments, label_scores, label_with_background
from irnet_pipe.numerics.masks import decode_maps, detect_instances
from irnet_pipe.numerics.run_lengths import decode_rle, encode_rle, rle_area

GOLDEN = Path(__file__).parents[1] / "golden"


def enlarged(
    score: torch.Tensor, size: tuple[int, int], full_size: tuple[int, int] | None = None
) -> torch.Tensor:
    up = functional.interpolate(score[None], scale_factor=4, mode="bilinear", align_corners=False)
    up = up[..., : size[0], : size[1]]
    up = up / up.max()
    return functional.interpolate(up, full_size or size, mode="bilinear", align_corners=False)[0]


def smooth_scores(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    coarse = torch.rand(count, 4, 5, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(coarse[None], (height, width), mode="bicubic")[0].clamp(min=0)


def decode_with_background(score: torch.Tensor, **options: object) -> tuple[torch.Tensor, torch.Tensor]:
    labels, best = label_with_background(score.numpy(), **options)
    return torch.from_numpy(labels), torch.from_numpy(best)


def decode_scored_maps(score: torch.Tensor, **options: object) -> tuple[torch.Tensor, torch.Tensor]:
    labels, best = label_scores(score.numpy(), **options)
    return torch.from_numpy(labels), torch.from_numpy(best)


@pytest.mark.parametrize("size", [(40, 60), (37, 57)])
def test_label_map_is_the_arg_max_over_background_and_maps(size):
    score = smooth_scores(5, 10, 15)
    labels, best = decode_scored_maps(score, size=size, bg_threshold=0.5)
    stacked = torch.cat([torch.full((1, *size), 0.5), enlarged(score.double(), size)])
    assert torch.equal(labels.long(), stacked.argmax(0))
    torch.testing.assert_close(best.double(), stacked.amax(0), rtol=0, atol=3e-7)
    assert set(labels.unique().tolist()) > {0, 1}


@pytest.mark.parametrize("full_size", [(37, 57), (74, 114), (101, 180), (20, 31)])
def test_label_map_at_another_size_is_that_of_the_resized_scores(full_size):
    score, size = smooth_scores(5, 10, 15), (37, 57)
    labels, best = decode_scored_maps(score, size=size, full_size=full_size, bg_threshold=0.5)
    stacked = torch.cat([torch.full((1, *full_size), 0.5), enlarged(score, size, full_size)])
    torch.testing.assert_close(best, stacked.amax(0), rtol=0, atol=1e-5)
    chosen = stacked.gather(0, labels.long()[None])[0]
    torch.testing.assert_close(chosen, stacked.amax(0), rtol=0, atol=1e-5)
    assert (labels == stacked.argmax(0)).float().mean() > 0.99


@pytest.mark.parametrize("full_size", [None, (70, 100)])
def test_background_may_be_a_map_of_its_own(full_size):
    score, size = smooth_scores(4, 5, 8), (37, 57)
    labels, best = decode_with_background(score, size=size, full_size=full_size, stride=8)
    up = functional.interpolate(score[None], scale_factor=8, mode="bilinear", align_corners=False)
    up = up[..., :37, :57] / up[:, 1:, :37, :57].max()
    expected = functional.interpolate(up, full_size or size, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(best, expected.amax(0), rtol=0, atol=1e-5)
    assert (labels == expected.argmax(0)).float().mean() > 0.99
    assert set(labels.unique().tolist()) == {0, 1, 2, 3}


def test_of_equal_scores_a_background_map_comes_first():
    labels, _ = decode_with_background(torch.zeros(3, 2, 2), size=(16, 16), stride=8)
    assert (labels == 0).all()


def test_of_equal_scores_background_comes_first_then_the_lower_map():
    score = torch.ones(2, 2, 2)
    assert (decode_maps(score, size=(8, 8), bg_threshold=1.0) == 0).all()
    assert (decode_maps(score, size=(8, 8), bg_threshold=0.9) == 1).all()


@pytest.mark.parametrize("full_size", [None, (20, 30)])
@pytest.mark.parametrize("count", [0, 2])
def test_no_score_anywhere_is_all_background(count, full_size):
    labels, best = decode_scored_maps(
        torch.zeros(count, 2, 3), size=(7, 9), full_size=full_size, bg_threshold=0.25
    )
    assert labels.shape == best.shape == (full_size or (7, 9))
    assert (labels == 0).all()
    assert (best == 0.25).all()


def test_the_smallest_photo():
    assert decode_maps(torch.ones(1, 1, 1), size=(1, 1), bg_threshold=0.25).tolist() == [[1]]
    assert (
        decode_maps(torch.ones(1, 1, 1), size=(1, 1), full_size=(2, 3), bg_threshold=0.25).tolist()
        == [[1] * 3] * 2
    )


@pytest.mark.parametrize("case", [0, 1])
def test_detections_equal_the_reference(case):
    golden = np.load(GOLDEN / f"detect_{case}.npz", allow_pickle=False)
    scores, masks, class_id = detect_instances(
        torch.from_numpy(golden["score_maps"]),
        torch.from_numpy(golden["masks"]),
        torch.from_numpy(golden["class_id"]),
        min_area=float(golden["min_area"]),
    )

    def as_set(scores: np.ndarray, masks: np.ndarray, class_id: np.ndarray) -> list[tuple[int, float, bytes]]:
        rows = zip(class_id, scores.astype(np.float32), masks.astype(bool), strict=True)
        return sorted((int(c), float(s), m.tobytes()) for c, s, m in rows)

    expected = as_set(golden["out_score"], golden["out_mask"], golden["out_class"])
    assert as_set(scores.numpy(), masks.numpy(), class_id.numpy()) == expected


def test_detections_come_in_the_order_of_the_maps_then_in_raster_order():
    masks = torch.tensor([[[0, 1, 0, 1], [1, 0, 0, 1]], [[1, 1, 1, 1], [0, 0, 0, 0]]]).bool()
    score = torch.arange(16.0).reshape(2, 2, 4)
    scores, found, class_id = detect_instances(score, masks, torch.tensor([7, 3]), min_area=2)
    assert scores.tolist() == [0, 7, 0, 11]
    assert class_id.tolist() == [7, 7, 7, 3]
    assert [mask.nonzero()[0].tolist() for mask in found] == [[0, 1], [0, 3], [1, 0], [0, 0]]


def test_no_maps_and_empty_masks_give_no_detections():
    for count in (0, 2):
        scores, masks, class_id = detect_instances(
            torch.zeros(count, 4, 5), torch.zeros(count, 4, 5).bool(), torch.zeros(count).long(), min_area=1
        )
        assert scores.shape == class_id.shape == (0,)
        assert masks.shape == (0, 4, 5)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 20), st.integers(0, 6))
def test_fragments_of_a_label_map_are_the_detections_of_its_masks(seed, height, width, min_area):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (height, width), generator=generator, dtype=torch.int32)
    best = torch.rand(height, width, generator=generator)
    masks = torch.stack([labels == i + 1 for i in range(3)])
    scores, full, index = detect_instances(best.expand(3, -1, -1), masks, torch.arange(3), min_area=min_area)
    fragments = list(label_fragments(labels.numpy(), best.numpy(), min_area=min_area))
    assert [fragment.index for fragment in fragments] == index.tolist()
    assert [fragment.score for fragment in fragments] == scores.tolist()
    for fragment, mask in zip(fragments, full.numpy(), strict=True):
        counts = encode_rle(fragment.mask, top=fragment.top, left=fragment.left, size=(height, width))
        np.testing.assert_array_equal(decode_rle(counts, size=(height, width)), mask)
        assert fragment.area == rle_area(counts) == mask.sum()


def test_fragments_number_components_as_the_components_do():
    mask = torch.rand(30, 40, generator=torch.Generator().manual_seed(1)) < 0.5
    components = connected_components(mask.numpy())
    _, found, _ = detect_instances(torch.ones(1, 30, 40), mask[None], torch.zeros(1).long(), min_area=0)
    for number, part in enumerate(found.numpy(), start=1):
        np.testing.assert_array_equal(part, components == number)
