"""The paper's tables for a data set of one's own: rows, plan, cells, and how they are written."""
