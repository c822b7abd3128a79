"""What may be done with photo files on export."""

NONE, LINK, COPY = "none", "link", "copy"
PLACINGS = (NONE, LINK, COPY)
