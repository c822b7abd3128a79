"""Pictures of the report as files: what is flat (label maps) as PNG, everything else as JPEG."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True)
class Picture:
    """A picture with its name. flat: of few colours, whose edges stay sharp when it is enlarged."""

    name: str
    image: Image.Image
    flat: bool = False

    @property
    def kind(self) -> str:
        """Png or jpeg."""
        return "png" if self.flat else "jpeg"


def encode(picture: Picture) -> bytes:
    """The file of a picture; equal pictures give equal bytes."""
    stream = io.BytesIO()
    if picture.flat:
        picture.image.save(stream, format="PNG", compress_level=6)
    else:
        picture.image.save(stream, format="JPEG", quality=75)
    return stream.getvalue()


def data_uri(data: bytes, kind: str) -> str:
    """A file of kind png or jpeg as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
