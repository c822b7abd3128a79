import pytest
import torch
from torch.nn import functional

from irnet_pipe.numerics.cam import highres_cam, instance_cams, merge_flip, strided_cam, strided_size


def scales(k: int, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(k, *size, generator=generator) for size in ((3, 4), (2, 2), (5, 6), (6, 8))]


@pytest.mark.parametrize(
    ("size", "expected"), [((1, 1), (1, 1)), ((4, 5), (1, 2)), ((16, 17), (4, 5)), ((375, 500), (94, 125))]
)
def test_strided_size(size, expected):
    assert strided_size(*size) == expected


def test_merge_flip_rectifies_before_it_sums():
    response = torch.tensor([[[[1.0, -2.0]]], [[[-3.0, 5.0]]]])
    assert merge_flip(response).tolist() == [[[6.0, 0.0]]]


def test_maps_are_sums_of_the_resized_scales_over_their_maximum():
    maps, size = scales(2), (39, 50)
    for cam, grid in ((strided_cam(maps, size=size), (10, 13)), (highres_cam(maps, size=size), (48, 64))):
        resized = [
            functional.interpolate(m[None], grid, mode="bilinear", align_corners=False)[0] for m in maps
        ]
        total = sum(resized)[:, : cam.shape[1], : cam.shape[2]]
        torch.testing.assert_close(cam, total / (total.amax((1, 2), keepdim=True) + 1e-5))
    assert strided_cam(maps, size=size).shape == (2, 10, 13)
    assert highres_cam(maps, size=size).shape == (2, 39, 50)


@pytest.mark.parametrize("cam", [strided_cam, highres_cam])
def test_a_map_without_response_stays_zero(cam):
    maps = [torch.cat([scale, torch.zeros_like(scale[:1])]) for scale in scales(1)]
    normalised = cam(maps, size=(33, 47))
    assert normalised[0].amax().item() == pytest.approx(1, abs=1e-4)
    assert (normalised[1] == 0).all()


def test_no_classes_give_no_maps():
    assert strided_cam(scales(0), size=(33, 47)).shape == (0, 9, 12)
    assert highres_cam(scales(0), size=(33, 47)).shape == (0, 33, 47)


def test_half_precision_maps_are_summed_in_single():
    halves = [scale.half() for scale in scales(1)]
    summed = strided_cam(halves, size=(20, 20))
    assert summed.dtype == torch.float32
    assert torch.equal(summed, strided_cam([half.float() for half in halves], size=(20, 20)))


def test_instance_cams_are_ordered_by_class_then_instance_and_leave_out_zeros():
    cam = torch.tensor([[[0.5, 0.0, 1.0]], [[0.2, 0.3, 0.0]]])
    score, class_index, instance_id = instance_cams(cam, torch.tensor([[1, 1, 0]]))
    assert list(zip(class_index.tolist(), instance_id.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 1)]
    torch.testing.assert_close(score, torch.tensor([[[0, 0, 1.0]], [[0.5, 0, 0]], [[0.2, 0.3, 0]]]))


def test_instance_cams_of_one_class_add_up_to_it():
    generator = torch.Generator().manual_seed(5)
    cam, instance_map = (
        torch.rand(3, 6, 7, generator=generator),
        torch.randint(0, 4, (6, 7), generator=generator),
    )
    score, class_index, _ = instance_cams(cam, instance_map)
    torch.testing.assert_close(torch.zeros_like(cam).index_add(0, class_index, score), cam)


def test_instance_cams_of_nothing():
    instance_map = torch.zeros(4, 5, dtype=torch.int64)
    for cam in (torch.zeros(0, 4, 5), torch.zeros(2, 4, 5)):
        score, class_index, instance_id = instance_cams(cam, instance_map)
        assert score.shape == (0, 4, 5)
        assert len(class_index) == len(instance_id) == 0
