import numpy as np
import pytest
import torch
from PIL import Image

from irnet_pipe.artifacts.io import ImageSize, write_artifact
from irnet_pipe.data.datasets import ClassifierSamples, RelationSamples, load_batches
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.data.photos import normalise
from irnet_pipe.errors import InputError
from irnet_pipe.recipes import Record

CPU = torch.device("cpu")
GREYS = (0, 100, 200)


@pytest.fixture
def photos(tmp_path):
    """Three plain grey photos: any pixel tells which photo it is from."""
    entries = []
    for number, labels in enumerate([(0, 2), (), (1,)]):
        Image.new("RGB", (60, 40), (GREYS[number],) * 3).save(tmp_path / f"{number}.png")
        entries.append(ImageEntry(f"{number}", f"{number}.png", 40, 60, labels, "0" * 16))
    return entries


@pytest.fixture
def classifier_samples(photos, tmp_path):
    return ClassifierSamples(photos, tmp_path, n_classes=3, crop=32, long_side=(20, 30), seed=1)


def relation_samples(photos, tmp_path, label: np.ndarray, **changes) -> RelationSamples:
    record = Record("0" * 16, "mine_relations", 1, "all", "", "", {}, (), (), {})
    with write_artifact(tmp_path / "relations.h5", record) as writer:
        for entry in photos:
            writer.add(entry.image_id, ImageSize(40, 60, *label.shape), {"label": label})
    settings = {"working_long_side": None, "crop": 32, "scale": (0.5, 1.5), "seed": 1} | changes
    return RelationSamples(photos, tmp_path, relations=[tmp_path / "relations.h5"], **settings)


def test_classifier_sample(classifier_samples):
    photo, target = classifier_samples[0, 2]
    assert photo.shape == (3, 32, 32)
    assert target.tolist() == [0, 1, 0]
    colour = normalise(np.full((1, 1, 3), GREYS[2], dtype=np.uint8))
    assert (photo.eq(colour) | photo.eq(0)).all()
    assert photo.eq(colour).any()


def test_targets_of_several_classes_and_of_none(classifier_samples):
    assert classifier_samples[0, 0][1].tolist() == [1, 0, 1]
    assert classifier_samples[0, 1][1].tolist() == [0, 0, 0]


def test_long_side_is_drawn_from_the_whole_range(photos, tmp_path):
    samples = ClassifierSamples(photos, tmp_path, n_classes=3, crop=40, long_side=(30, 32), seed=1)
    widths = {int(samples[epoch, 2][0][0].ne(0).any(0).sum()) for epoch in range(30)}
    assert widths == {30, 31, 32}


def test_samples_depend_on_epoch_and_seed_and_nothing_else(classifier_samples, photos, tmp_path):
    first = [classifier_samples[epoch, 0][0] for epoch in range(3)]
    assert classifier_samples[0, 0][0].equal(first[0])
    assert not first[0].equal(first[1])
    other = ClassifierSamples(photos[:1], tmp_path, n_classes=3, crop=32, long_side=(20, 30), seed=1)
    assert other[1, 0][0].equal(first[1])


def test_relation_labels_lie_where_the_photo_does(tmp_path, rng):
    # left half 1 and black, right half 2 and white: after any view, labels tell the colour
    label = np.ones((40, 60), dtype=np.uint8)
    label[:, 30:] = 2
    Image.fromarray(np.repeat(255 * (label[..., None] - 1), 3, axis=2)).save(tmp_path / "half.png")
    photos = [ImageEntry("half", "half.png", 40, 60, (0, 1), "0" * 16)]
    samples = relation_samples(photos, tmp_path, label)
    mirrored = set()
    for epoch in range(20):
        photo, strided = samples[epoch, 0]
        assert strided.shape == (8, 8)
        at_labels = photo[0, 2::4, 2::4]
        assert at_labels[strided == 255].eq(0).all()
        # bicubic blurs the border between the halves
        agree = (at_labels > 0.2) == (strided == 2)
        assert agree[strided != 255].float().mean() > 0.8
        known = strided[(strided != 255).any(1)]
        mirrored |= {bool(row[row != 255][0] == 2) for row in known if len(set(row.tolist()) & {1, 2}) == 2}
    assert mirrored == {True, False}


def test_relations_at_the_working_size(photos, tmp_path):
    label = np.zeros((20, 30), dtype=np.uint8)
    samples = relation_samples(photos, tmp_path, label, working_long_side=30, scale=(1.0, 1.0))
    photo, strided = samples[0, 0]
    rows = photo[0].ne(0).any(1)
    assert rows.sum() == 20
    assert strided.eq(0).any()


def test_batches_come_in_order_from_any_number_of_workers(classifier_samples):
    keys = [[(0, 2), (0, 0)], [(1, 1), (1, 2)], [(2, 0), (2, 1)]]
    here, there = (list(load_batches(classifier_samples, keys, workers=n, device=CPU)) for n in (0, 2))
    for batch, (photo, target), (other_photo, other_target) in zip(keys, here, there, strict=True):
        assert photo.equal(torch.stack([classifier_samples[key][0] for key in batch]))
        assert target.equal(torch.stack([classifier_samples[key][1] for key in batch]))
        assert photo.equal(other_photo)
        assert target.equal(other_target)


def test_loading_draws_nothing_from_torch(classifier_samples):
    before = torch.get_rng_state()
    list(load_batches(classifier_samples, [[(0, 0)]], workers=0, device=CPU))
    assert torch.get_rng_state().equal(before)


def test_all_problems_of_a_batch_at_once(classifier_samples, tmp_path):
    (tmp_path / "0.png").write_bytes(b"no photo")
    (tmp_path / "2.png").unlink()
    with pytest.raises(InputError) as caught:
        list(load_batches(classifier_samples, [[(0, 0), (0, 1), (0, 2)]], workers=0, device=CPU))
    first, second = caught.value.problems
    assert str(tmp_path / "0.png") in first
    assert str(tmp_path / "2.png") in second
