"""YOLO by supervision."""

import found
import supervision

folder, out = found.arguments()
dataset = supervision.DetectionDataset.from_yolo(
    images_directory_path=str(folder / "images" / "train"),
    annotations_directory_path=str(folder / "labels" / "train"),
    data_yaml_path=str(folder / "data.yaml"),
)
instances = []
for path, _, told in dataset:
    name = path.rpartition("/")[2].replace("__", "/")
    for i in range(len(told)):
        instances.append((name, dataset.classes[told.class_id[i]], None, told.mask[i]))
found.write(out, classes=dataset.classes, instances=instances)
