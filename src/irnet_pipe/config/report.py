"""The section report: what the report shows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from irnet_pipe.config.section import Section


class Report(Section):
    """The report and its gallery."""

    images: int = Field(
        24,
        ge=0,
        le=500,
        description="Images of which the gallery shows every layer, from the CAM to the masks.",
    )
    gallery: Literal["all", "layered"] = Field(
        "all",
        description="Images that the gallery shows: all that are labelled, small and with their masks; or those with "
        "every layer alone, which saves about 14 kB and 10 ms an image.",
    )
    thumbnail: int = Field(
        256, ge=32, le=1024, description="Long side of the small pictures of the gallery, pixels."
    )
    one_file: int = Field(
        400,
        ge=0,
        le=5000,
        description="With so many images or fewer the gallery is in report.html itself; with more, small pictures and "
        "data lie beside it in report_files/, loaded as one scrolls.",
    )
