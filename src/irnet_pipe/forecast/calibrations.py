"""What calibrations have measured, kept in the results folder for the next time on the same machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from irnet_pipe.data.image_list import digest_text
from irnet_pipe.forecast.measurement import Measurement, machine
from irnet_pipe.text_files import replace_text

CALIBRATION = "calibration.json"


class Calibrations:
    """Measurements by speed (`speed_key`), of this machine, device and versions.

    Args:
        results: folder of the artifacts.
        device: cpu or cuda.
    """

    def __init__(self, results: Path, *, device: str) -> None:
        self.path = results / CALIBRATION
        self._machine = machine(device)
        self._measurements = self._read()

    def find(self, key: str) -> Measurement | None:
        """What was measured for a speed."""
        return self._measurements.get(digest_text(key))

    def add(self, found: Mapping[str, Measurement]) -> None:
        """Keep measurements."""
        self._measurements |= {digest_text(key): measurement for key, measurement in found.items()}
        plain = {digest: measurement.plain for digest, measurement in self._measurements.items()}
        value = {"machine": self._machine, "measurements": plain}
        replace_text(self.path, json.dumps(value, indent=1) + "\n")

    def _read(self) -> dict[str, Measurement]:
        """None of another machine, and none of a file that is damaged or of other fields: it is measured anew."""
        try:
            value = json.loads(self.path.read_text(encoding="utf-8"))
            if value["machine"] != self._machine:
                return {}
            return {digest: Measurement(**plain) for digest, plain in value["measurements"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}
