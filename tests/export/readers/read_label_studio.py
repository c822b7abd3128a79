"""Label Studio by the converter of its SDK."""

import json
from xml.etree import ElementTree

import found
from label_studio_sdk.converter import brush

folder, out = found.arguments()
instances = []
for path in sorted(folder.glob("tasks-*.json")):
    for task in json.loads(path.read_text(encoding="utf-8")):
        for region in task["predictions"][0]["result"]:
            # regions as the converter gets them: the value's keys lie beside the others
            (mask,) = brush.decode_from_annotation("tag", [{**region, **region["value"]}]).values()
            (label,) = region["value"]["brushlabels"]
            instances.append((task["data"]["path"], label, region["score"], mask))
config = ElementTree.parse(folder / "label_config.xml")
found.write(out, classes=[label.get("value") for label in config.iter("Label")], instances=instances)
