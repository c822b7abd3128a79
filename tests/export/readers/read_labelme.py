"""LabelMe by its own reader of files and its own rasteriser."""

import found
from labelme._label_file import read_label_file
from labelme.utils.shape import shape_to_mask
from PIL import Image

folder, out = found.arguments()
instances = {}
for path in sorted(folder.rglob("*.json")):
    if path.name == "export.json":
        continue
    told = read_label_file(filename=str(path))
    name = (path.parent / told.image_path).relative_to(folder).as_posix()
    height, width = Image.open(path.parent / told.image_path).size[::-1]
    for shape in told.shapes:
        mask = shape_to_mask((height, width), shape["points"], shape["shape_type"])
        key = (name, shape["group_id"])
        label, score, before = instances.get(key, (shape["label"], shape["other_data"]["score"], False))
        instances[key] = (label, score, mask | before)
found.write(
    out,
    classes=(folder / "labels.txt").read_text(encoding="utf-8").splitlines(),
    instances=[(name, *rest) for (name, _), rest in instances.items()],
)
