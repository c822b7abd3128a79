"""Class names: their order, and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from irnet_pipe.data.problems import Problems
from irnet_pipe.near_names import nearest, same_but_for_case

SHOWN = 20
BACKGROUND = frozenset({"background", "_background_", "__background__"})
"""Names, in any case, of what belongs to no class."""


def order_classes(
    names: Collection[str], *, given: Sequence[str] | None, source_order: Sequence[str] | None
) -> tuple[str, ...]:
    """Class names in the order of class_id.

    Args:
        names: those that occur.
        given: the user's.
        source_order: that of the label file.
    """
    if given is not None:
        return tuple(given)
    if source_order is not None:
        return tuple(source_order)
    return tuple(sorted(names))


def check_names(classes: Iterable[str], *, source: str, problems: Problems) -> None:
    """Find classes without name, called background, or named twice, in the same case or in another."""
    names = list(classes)
    for name in names:
        if not name.strip():
            problems.add("classes without name", f"{source}: class {name!r} has no name; give it one")
        elif name.casefold() in BACKGROUND:
            problems.add(
                "classes called background",
                f"{source}: class {name!r}: what belongs to no class is background already, in every photo; take the "
                "class out, or give it another name",
            )
    for group in same_but_for_case(names):
        problems.add(
            "classes named twice",
            f"{source}: {' and '.join(map(repr, group))} are one class in different case; write it in one way, once",
        )


def check_known(
    used: Mapping[str, Sequence[str]], classes: Sequence[str], *, source: str, problems: Problems
) -> None:
    """Find classes that dataset.classes does not name.

    Args:
        used: class name → images that it is in.
        classes: known class names.
        source: file or folder of the labels.
        problems: takes a message for each class.
    """
    for number, name in enumerate(sorted(set(used) - set(classes))):
        near = nearest(name, classes) if number < SHOWN else None
        listing = f"{', '.join(classes[:SHOWN])}{', …' if len(classes) > SHOWN else ''}"
        meant = f"write {near!r} if that is meant, or " if near else ""
        remedy = f"{meant}add it there (now {listing}) or correct the label"
        more = f" and {len(used[name]) - 1} more" if len(used[name]) > 1 else ""
        problems.add(
            "unknown classes",
            f"{source}: class {name!r} of image {used[name][0]!r}{more} is not in dataset.classes; {remedy}",
        )


def check_trained(
    used: Mapping[str, Sequence[str]], training: Collection[str], *, source: str, problems: Problems
) -> None:
    """Find classes that no training image shows.

    Args:
        used: class name → images that it is in.
        training: image_ids of the training images.
        source: file or folder of the labels.
        problems: takes a message for each class, or one if no training image has a label.
    """
    trains = set(training)
    if not trains:  # which has been told
        return
    shown = Counter({name: len(trains.intersection(image_ids)) for name, image_ids in used.items()})
    if not shown.total():
        problems.add(
            "training images", f"{source}: no training image has a label; add labels or see dataset.train"
        )
        return
    for name in sorted(name for name, count in shown.items() if not count):
        problems.add(
            "classes that nothing trains",
            f"{source}: class {name!r} occurs only in images to be labelled ({len(used[name])}, for example "
            f"{used[name][0]!r}), so no classifier learns it; add training images of it or delete the label",
        )
