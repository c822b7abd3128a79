"""How soon a gallery of many images is seen and filtered, in headless Chromium. Prints a Markdown table.

    python -m benchmarks.gallery --folder /tmp/gallery --sizes 24 20000

Needs Chromium with its driver (Debian: chromium, chromium-driver) and selenium. The page lies in a folder with its
small pictures beside it, as a run publishes it; pictures and masks are made up.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from irnet_pipe.report.figures import INSTANCE_COLOURS, draw_masks
from irnet_pipe.report.gallery_data import FOLDER, ROWS, page_call, unit_call
from irnet_pipe.report.html import Gallery, Page, Section, render
from irnet_pipe.report.pictures import Picture, encode

SHARDS = 16
CLASSES = [f"class {number}" for number in range(20)]
SEEN = """
const shown = [...document.querySelectorAll("#cards img")].filter((image) => {
  const { top, bottom } = image.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
});
return shown.length > 0 && shown.every((image) => image.complete && image.naturalWidth > 0);
"""
"""Whether every picture of a card in sight is there."""


def make_gallery(folder: Path, images: int) -> Path:
    """A published gallery of made-up images; returns the page."""
    rng = np.random.default_rng(0)
    pictures = [_pictures(rng) for _ in range(20)]
    units = [f"label-{shard:02d}-of-{SHARDS:02d}" for shard in range(SHARDS)]
    for shard, unit in enumerate(units):
        place = folder / FOLDER / unit
        place.mkdir(parents=True)
        rows = [_row(f"image {number:06d}", rng) for number in range(shard, images, SHARDS)]
        for number in range(len(rows)):
            for name, data in pictures[number % len(pictures)]:
                (place / f"{number}-{name}").write_bytes(data)
        (place / ROWS).write_text(unit_call(unit, rows, [("export_masks", "x.h5")]), encoding="utf-8")
    facts = {
        "classes": CLASSES,
        "colours": ["#800000"] * len(CLASSES),
        "instance_colours": ["#" + bytes(colour.tolist()).hex() for colour in INSTANCE_COLOURS],
        "layers": {"instances": "instances, full", "classes": "semantic mask, full"},
        "folder": FOLDER,
        "beside": units,
    }
    page = folder / "report.html"
    sections = [Section("Gallery", [Gallery([page_call(facts)])])]
    page.write_text(render(Page("Made-up images", sections)), encoding="utf-8")
    return page


def _pictures(rng: np.random.Generator) -> list[tuple[str, bytes]]:
    photo = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize((256, 192))
    masks = np.zeros((2, 192, 256), dtype=bool)
    masks[0, 40:120, 30:100] = masks[1, 80:160, 120:220] = True
    mask = encode(Picture("instances", draw_masks(masks), flat=True))
    return [
        ("photo.jpeg", encode(Picture("photo", photo))),
        ("instances.png", mask),
        ("classes.png", mask),
    ]


def _row(image_id: str, rng: np.random.Generator) -> dict[str, Any]:
    masks = [
        {
            "class": int(rng.integers(len(CLASSES))),
            "score": round(float(rng.random()), 3),
            "area": round(float(rng.random() / 2), 5),
            "box": [0.1, 0.2, 0.3, 0.4],
            "name": rng.bytes(6).hex(),
        }
        for _ in range(rng.integers(1, 5))
    ]
    return {
        "id": image_id,
        "size": [375, 500],
        "labels": sorted({mask["class"] for mask in masks}),
        "masks": masks,
        "doubt": round(1 - min(mask["score"] for mask in masks), 3),
    }


@contextmanager
def chromium(*, window: str = "1400,1000") -> Iterator[Any]:
    """A headless browser."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    options.page_load_strategy = "none"
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--window-size={window}"):
        options.add_argument(word)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def seconds_until(driver: Any, script: str) -> float:
    """Seconds until a script returns true."""
    start = time.perf_counter()
    while not driver.execute_script(script):
        time.sleep(0.01)
    return time.perf_counter() - start


def measure(page: Path) -> tuple[float, float, float]:
    """Seconds until the first cards are seen, until a filter has acted, until an image is seen large."""
    with chromium() as driver:
        driver.get("about:blank")
        start = time.perf_counter()
        driver.get(page.as_uri())
        seconds_until(driver, SEEN)
        first = time.perf_counter() - start
        choose = """
            const form = document.getElementById("filters");
            form.elements.class.value = "3";
            form.elements.class.dispatchEvent(new Event("input", { bubbles: true }));
        """
        start = time.perf_counter()
        driver.execute_script(choose)
        seconds_until(driver, SEEN)
        filtered = time.perf_counter() - start
        driver.execute_script('document.querySelector("#cards button").click()')
        large = 'return [...document.querySelectorAll("#viewer-stack img")].some((image) => image.naturalWidth > 0)'
        return first, filtered, seconds_until(driver, large)


def main() -> None:
    """Make galleries of several sizes and measure each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="to work in; removed in the end")
    parser.add_argument("--sizes", type=int, nargs="+", default=[24, 20_000], help="numbers of images")
    parser.add_argument("--repeats", type=int, default=3, help="the median counts")
    options = parser.parse_args()
    print("| images | first cards, s | filter, s | one image, s |\n|---|---|---|---|")
    for images in options.sizes:
        page = make_gallery(options.folder / str(images), images)
        found = np.median([measure(page) for _ in range(options.repeats)], axis=0)
        print(f"| {images:,} | {' | '.join(f'{seconds:.2f}' for seconds in found)} |")
    shutil.rmtree(options.folder)


if __name__ == "__main__":
    main()
