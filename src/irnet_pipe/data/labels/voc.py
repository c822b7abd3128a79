"""Labels from a folder of PASCAL VOC's XML files."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from irnet_pipe.data.problems import Problems
from irnet_pipe.data.scan import StatCache, scan_files, split_suffix
from irnet_pipe.errors import InputError

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
"""The classes of PASCAL VOC in the order of its label maps."""


def read_annotations(folder: Path, *, cache: StatCache, problems: Problems) -> dict[str, tuple[str, ...]]:
    """Read all XML files below a folder.

    Args:
        folder: usually Annotations; sub-folders as those of the photos.
        cache: of files read before.
        problems: takes files that are no VOC annotation.

    Returns:
        image_id → class names, in the order of the objects.
    """
    names: dict[str, tuple[str, ...]] = {}
    place = folder.resolve()
    for file, stat in scan_files(place, suffixes={".xml"}).items():
        path = f"{place}/{file}"
        found = cache.get("annotations", path, stat)
        if found is None:
            try:
                found = read_annotation(Path(path))
            except InputError as error:
                problems.add_error("unreadable annotations", error)
                found = ()
            else:
                cache.put("annotations", path, stat, found)
        names[split_suffix(file)[0]] = tuple(found)
    return names


def read_annotation(path: Path) -> tuple[str, ...]:
    """Class names of an XML file, each once: `object/name` alone (`part/name` is no class), difficult or not.

    Raises:
        InputError: no XML, or an object without name.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); check the file and its permissions"
        ) from None
    except (ElementTree.ParseError, UnicodeError, LookupError, ValueError) as error:
        raise InputError(f"{path}: not an XML file ({error}); mend or replace it") from None
    names = [(node.findtext("name") or "").strip() for node in root.findall("object")]
    if "" in names:
        raise InputError(f"{path}: object {names.index('') + 1} has no <name>; add it, or delete the object")
    return tuple(dict.fromkeys(names))
