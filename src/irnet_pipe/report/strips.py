"""Pictures of the same image side by side, a strip an image: what the masks of several settings have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Shot:
    """An image under a setting: what stands below it, the number of masks, and pictures as addresses."""

    name: str
    masks: int
    instances: str
    classes: str


@dataclass(frozen=True)
class Strip:
    """An image: its name, its photo as an address, and a shot a setting; None where a setting has none."""

    image_id: str
    photo: str
    shots: Sequence[Shot | None]


@dataclass(frozen=True)
class Strips:
    """Strips that share a switch between instances and classes."""

    strips: Sequence[Strip]


LAYERS = ("instances", "classes", "photo")


def render_strips(block: Strips) -> str:
    """The strips; the switch works without a script."""
    switch = "".join(
        f'<input type="radio" name="strips" id="strips-{layer}"{" checked" * (layer == LAYERS[0])}>'
        f'<label for="strips-{layer}">{layer}</label>'
        for layer in LAYERS
    )
    strips = "".join(_strip(strip) for strip in block.strips)
    return f'<div class="strips">{switch}<div>{strips}</div></div>'


def _strip(strip: Strip) -> str:
    shots = "".join(_shot(shot, strip.image_id) for shot in strip.shots if shot is not None)
    # The photo is there once: each shot has it as its background.
    return (
        f"<section style=\"--photo:url('{strip.photo}')\"><h3>{escape(strip.image_id)}</h3>"
        f'<div class="shots">{shots}</div></section>'
    )


def _shot(shot: Shot, image_id: str) -> str:
    images = "".join(
        f'<img class="{layer}" src="{source}" alt="{escape(f"{layer} of {image_id}, {shot.name}")}">'
        for layer, source in (("instances", shot.instances), ("classes", shot.classes))
    )
    masks = "1 mask" if shot.masks == 1 else f"{shot.masks} masks"
    return f'<figure><div class="shot">{images}</div><figcaption>{escape(shot.name)} · {masks}</figcaption></figure>'
