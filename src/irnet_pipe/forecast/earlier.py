"""What earlier jobs of a results folder took on this machine."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from irnet_pipe.data.image_list import ImageEntry, read_list
from irnet_pipe.errors import InputError
from irnet_pipe.forecast.measurement import Measurement, measure, typical
from irnet_pipe.forecast.workload import speed_key, workload
from irnet_pipe.recipes import EVENTS, Record, read_record, record_path

NEWEST = 32
"""Artifacts of a stage that are looked at."""


class EarlierJobs:
    """Measurements by the jobs of a results folder; a stage is read when it is asked for.

    Args:
        results: folder of the artifacts.
        device: cpu or cuda.
    """

    def __init__(self, results: Path, *, device: str) -> None:
        self._results, self._device = results, device
        self._records: dict[str, Record | None] = {}
        self._lists: dict[str, list[ImageEntry]] = {}
        self._stages: dict[str, dict[str, Measurement]] = {}

    def find(self, stage: str, key: str) -> Measurement | None:
        """What jobs of a stage and speed took; None where there are none.

        Args:
            stage: its name.
            key: see `speed_key`.
        """
        if stage not in self._stages:
            self._stages[stage] = self._read(stage)
        return self._stages[stage].get(key)

    def _read(self, stage: str) -> dict[str, Measurement]:
        files = (self._results / EVENTS / stage).glob("*.jsonl")
        newest = sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)[:NEWEST]
        found = defaultdict(list)
        for path in newest:
            record = self._record(path.stem.rpartition(".")[2])
            taken = None if record is None else self._measure(record)
            if record is not None and taken is not None:
                found[speed_key(record, self._record)].append(taken)
        return {key: typical(measurements) for key, measurements in found.items()}

    def _measure(self, record: Record) -> Measurement | None:
        try:
            entries = [entry for path in record.images for entry in self._entries(path)]
        except InputError:  # the list is gone
            return None
        work = workload(record, entries, self._record)
        return measure(record, self._results, work, device=self._device)

    def _record(self, recipe: str) -> Record | None:
        if recipe not in self._records:
            try:
                self._records[recipe] = read_record(record_path(self._results, recipe))
            except InputError:
                self._records[recipe] = None
        return self._records[recipe]

    def _entries(self, path: str) -> list[ImageEntry]:
        if path not in self._lists:
            self._lists[path] = read_list(self._results / path)
        return self._lists[path]
