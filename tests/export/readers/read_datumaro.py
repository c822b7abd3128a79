"""CVAT, unpacked, by datumaro."""

import zipfile

import found
from datumaro import Dataset
from datumaro.components.annotation import AnnotationType

folder, out = found.arguments()
with zipfile.ZipFile(folder / "masks.zip") as archive:
    for name in archive.namelist():
        path = folder / "unpacked" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive.read(name))
dataset = Dataset.import_from(str(folder / "unpacked"), "cvat")
labels = [label.name for label in dataset.categories()[AnnotationType.label]]
instances = []
for item in dataset:
    for annotation in item.annotations:
        score = float(annotation.attributes["score"])
        instances.append((item.id, labels[annotation.label], score, annotation.image))
found.write(out, classes=labels, instances=instances)
