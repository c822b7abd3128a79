"""YOLO by Ultralytics' own data set and rasteriser, at the size of the photos."""

import cv2
import found
import numpy as np
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset, polygon2mask

folder, out = found.arguments()
data = check_det_dataset(str(folder / "data.yaml"), autodownload=False)
dataset = YOLODataset(data["train"], data=data, task="segment", augment=False)
instances = []
for label in dataset.labels:
    height, width = label["shape"]
    name = label["im_file"].rpartition("/")[2].replace("__", "/")
    assert cv2.imread(label["im_file"]).shape[:2] == (height, width)
    for class_id, segment in zip(label["cls"][:, 0], label["segments"], strict=True):
        mask = polygon2mask((height, width), [np.multiply(segment, (width, height)).ravel()])
        instances.append((name, data["names"][int(class_id)], None, mask))
classes = [data["names"][i] for i in range(data["nc"])]
found.write(out, classes=classes, instances=instances)
