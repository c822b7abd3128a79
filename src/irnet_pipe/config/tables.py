"""The section tables: what the paper's tables are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from irnet_pipe.config.section import OptionalText, Section, none_word
from irnet_pipe.table_rows import row_names


class Tables(Section):
    """The paper's tables for this data set (docs/tables.md)."""

    seeds: tuple[Annotated[int, Field(ge=0, le=2**31 - 1)], ...] = Field(
        (),
        max_length=64,
        description="Seeds of the trainings, such as [0, 1, 2]; with several, cells are mean ± standard deviation. "
        "[]: the config asks for no tables.",
    )
    rows: Annotated[Annotated[tuple[str, ...], Field(min_length=1)] | None, BeforeValidator(none_word)] = (
        Field(None, description="Rows by name (docs/tables.md lists them). none: all.")
    )
    pseudo_images: OptionalText = Field(
        None,
        description="Images on which pseudo masks are scored: a list file or 'all'. By default the training list.",
    )
    segmenter_images: OptionalText = Field(
        None,
        description="Images on which trained segmenters are scored, none of them in the training list: a list file or "
        "'all'. By default those of dataset.evaluate.",
    )

    @model_validator(mode="after")
    def _known(self) -> Tables:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds {list(self.seeds)} holds a seed twice; name each once")
        unknown = [name for name in self.rows or () if name not in row_names()]
        if unknown:
            raise ValueError(
                f"rows: {', '.join(unknown)}: no such row; the rows are {', '.join(row_names())}"
            )
        return self
