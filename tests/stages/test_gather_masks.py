"""gather_masks on a tiny run."""

import io
import json
import tarfile

import numpy as np
import pytest
from contract import StageContract
from PIL import Image
from segmenter_run import many_instances, put_instances

from irnet_pipe.artifacts.io import ShardSet
from irnet_pipe.artifacts.masks import read_instances
from irnet_pipe.export.voc import MAX_LABELS


class TestGatherMasks(StageContract):
    stage = "gather_masks"
    parents = ("export_masks",)
    variant = "full"

    @pytest.fixture
    def members(self, job) -> dict[str, bytes]:
        self.run(job)
        with tarfile.open(job.output) as tar:
            return {member.name: tar.extractfile(member).read() for member in tar}

    def test_every_image_is_there(self, job, members):
        maps = {f"Segmentation{kind}/{e.image_id}.png" for e in job.images for kind in ("Class", "Object")}
        assert set(members) == {"masks.json", "counts.json"} | maps
        for entry in job.images:
            png = Image.open(io.BytesIO(members[f"SegmentationClass/{entry.image_id}.png"]))
            assert png.size == (entry.width, entry.height)
            assert set(np.unique(png)) <= {0, *(label + 1 for label in entry.labels)}

    def test_coco_json_and_counts_agree(self, job, members):
        coco, counts = json.loads(members["masks.json"]), json.loads(members["counts.json"])
        assert [image["file_name"] for image in coco["images"]] == [entry.path for entry in job.images]
        assert counts["images"] == len(job.images)
        assert counts["instances"] == len(coco["annotations"]) == sum(counts["instances_per_class"].values())
        assert [annotation["id"] for annotation in coco["annotations"]] == list(
            range(1, counts["instances"] + 1)
        )
        with_mask = {annotation["image_id"] for annotation in coco["annotations"]}
        assert counts["images_without_mask"] == len(job.images) - len(with_mask)
        assert counts["images_with_predicted_classes"] == 0
        with ShardSet(job.parents("export_masks"), kind="masks") as masks:
            found = [read_instances(masks, image_id) for image_id in masks.image_ids]
        assert counts["instances"] + counts["fragments_left_out"] == sum(len(f.runs) for f in found)

    @pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
    def test_coco_tools_open_the_json(self, job, members, tmp_path, capsys):
        coco = pytest.importorskip("pycocotools.coco")
        (tmp_path / "masks.json").write_bytes(members["masks.json"])
        opened = coco.COCO(str(tmp_path / "masks.json"))
        assert capsys.readouterr().out
        image = json.loads(members["masks.json"])["images"][0]
        for annotation in opened.loadAnns(opened.getAnnIds(imgIds=image["id"])):
            assert opened.annToMask(annotation).shape == (image["height"], image["width"])

    def test_more_classes_than_a_palette_holds(self, job):
        job.record.spec["classes"] = [f"class {i}" for i in range(MAX_LABELS + 1)]
        self.run(job)
        with tarfile.open(job.output) as tar:
            assert not [name for name in tar.getnames() if name.startswith("SegmentationClass")]

    def test_more_instances_than_a_palette_holds(self, job):
        crowded, other = job.images[0].image_id, job.images[1].image_id
        put_instances(job, lambda entry: many_instances(400 if entry.image_id == crowded else 3)(entry))
        self.run(job)
        with tarfile.open(job.output) as tar:
            coco, names = json.load(tar.extractfile("masks.json")), tar.getnames()
            objects = np.asarray(Image.open(tar.extractfile(f"SegmentationObject/{other}.png")))
        assert f"SegmentationObject/{crowded}.png" not in names
        assert f"SegmentationClass/{crowded}.png" in names
        assert np.unique(objects).tolist() == [0, 1, 2, 3]
        image = next(i for i in coco["images"] if i["file_name"] == job.images[0].path)
        assert sum(note["image_id"] == image["id"] for note in coco["annotations"]) == 400
