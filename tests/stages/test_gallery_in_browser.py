"""The report of a tiny run in headless Chromium: what a person does with it, with no network and no error."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_pipeline import Pipeline

from benchmarks.gallery import make_gallery
from irnet_pipe.config.presets import merge
from irnet_pipe.data.review import read_review
from irnet_pipe.publish import publish
from irnet_pipe.recipes import record_path

pytestmark = pytest.mark.slow

WIDTHS = (360, 800, 1400, 2560)
AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, { resultTypes: ["violations"] }).then((found) => done(found.violations
  .filter(({ impact }) => ["serious", "critical"].includes(impact))
  .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`)));
"""


class Browser:
    """A headless Chromium whose console and requests are kept."""

    def __init__(self, driver: Any, downloads: Path) -> None:
        self.driver, self.downloads = driver, downloads
        self.requests: list[str] = []

    def open(self, page: Path) -> None:
        """Open a page from disk, without the marks of an earlier one."""
        self.driver.get(page.as_uri())
        self.run("localStorage.clear()")
        self.reload()

    def reload(self) -> None:
        self.driver.refresh()
        self.wait("return document.getElementById('count').textContent !== ''")

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str) -> None:
        """Wait until a script returns true."""
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.driver, 30).until(lambda _: self.run(script))

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        return [item.text for item in self.driver.find_elements("css selector", selector)]

    def choose(self, name: str, value: object) -> None:
        """Give a filter a value."""
        script = """
            const field = document.getElementById("filters").elements[arguments[0]];
            field.value = arguments[1];
            field.dispatchEvent(new Event("input", { bubbles: true }));
        """
        self.run(script, name, value)

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def shown(self) -> list[str]:
        """Images of the cards."""
        return self.run("return [...document.querySelectorAll('#cards li')].map((item) => item.dataset.id)")

    def layers(self) -> list[str]:
        """Layers that are seen of the image that is open."""
        script = "return [...document.querySelectorAll('#viewer-stack img:not([hidden])')].map((i) => i.dataset.layer)"
        return self.run(script)

    def title(self) -> str:
        return self.find("#viewer-title").text

    def kept(self) -> dict[str, Any]:
        """What the browser keeps of the review."""
        return json.loads(self.run("return Object.values(localStorage)[0] ?? '{\"images\": {}}'"))["images"]

    def load_axe(self) -> None:
        axe = pytest.importorskip("axe_core_python")
        self.run(next(Path(axe.__file__).parent.rglob("axe.min.js")).read_text(encoding="utf-8"))

    def complaints(self) -> list[str]:
        """Messages of the console since the last look; requests are kept."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory) -> Iterator[Browser]:
    webdriver = pytest.importorskip("selenium.webdriver")
    program, service = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or service is None:
        pytest.skip("no chromium with chromedriver")
    downloads = tmp_path_factory.mktemp("downloads")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    words = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1000")
    for word in (*words, "--force-prefers-reduced-motion"):
        options.add_argument(word)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(service))
    yield Browser(driver, downloads)
    driver.quit()


@pytest.fixture
def browser(chromium: Browser, tmp_path: Path) -> Iterator[Browser]:
    """The browser; leaves the page of a test before its folder is removed."""
    yield chromium
    chromium.driver.get("about:blank")
    chromium.complaints()


Publish = Callable[..., Path]


@pytest.fixture(scope="module")
def published(tmp_path_factory, photo_set, trained, make_tiny_values) -> Publish:
    """Publishes the report of the tiny run; returns the page."""
    folder = tmp_path_factory.mktemp("published")
    weights = {"train_cam": trained.cam, "train_irnet": trained.irnet}

    def make(name: str, **changes: Any) -> Path:
        values = merge(make_tiny_values(photo_set, folder), changes)
        pipeline = Pipeline(values, weights)
        target = pipeline.plan.targets[-1]
        for artifact in target.parents:
            pipeline.make(artifact)
        publish(record_path(pipeline.results, target.recipe), folder / name)
        return folder / name / ("settings.html" if "sweep" in changes else "report.html")

    return make


@pytest.fixture(scope="module")
def one_file(published) -> Path:
    return published("one file")


@pytest.fixture(scope="module")
def beside(published) -> Path:
    return published("beside", report={"one_file": 0})


@pytest.fixture(params=["one_file", "beside"])
def page(request, browser) -> Path:
    path = request.getfixturevalue(request.param)
    browser.open(path)
    return path


def test_all_images_are_seen_without_error_or_network(page, browser):
    assert len(browser.shown()) == 8
    assert browser.find("#count").text == "8 images"
    browser.wait(
        "return [...document.querySelectorAll('#cards img')].every((image) => image.naturalWidth > 0)"
    )
    for card in browser.driver.find_elements("css selector", "#cards button"):
        card.click()
        browser.wait(
            "return [...document.querySelectorAll('#viewer-stack img')].every((image) => image.naturalWidth > 0)"
        )
        browser.press("\ue00c")
    assert browser.complaints() == []
    assert browser.requests
    assert {url.split(":")[0] for url in browser.requests} <= {"file", "data", "blob"}


def test_cards_and_pictures_of_many_images_come_as_one_scrolls(browser, tmp_path):
    browser.open(make_gallery(tmp_path, 1000))
    assert browser.find("#count").text == "1000 images"
    browser.wait("return document.querySelector('#cards img').naturalWidth > 0")
    first = len(browser.shown())
    assert 60 <= first < 500
    assert browser.complaints() == []
    pictures = {url for url in browser.requests if tmp_path.as_uri() in url and url.endswith("jpeg")}
    assert len(pictures) < 500
    browser.run("document.getElementById('cards-end').scrollIntoView()")
    browser.wait(f"return document.querySelectorAll('#cards li').length > {first}")
    shown = browser.shown()
    assert len(set(shown)) == len(shown)


def test_what_is_missing_beside_the_page_is_told(browser, beside, tmp_path):
    page = Path(shutil.copytree(beside.parent, tmp_path / "copy")) / beside.name
    shutil.rmtree(page.with_name("report_files") / "label-00-of-02")
    browser.open(page)
    told = "1 files beside this page are missing, such as report_files/label-00-of-02/rows.js"
    assert browser.find("#review-told").text == told
    assert 0 < len(browser.shown()) < 8
    browser.complaints()


def test_the_doubtful_come_first(page, browser):
    doubts = [float(text) for text in browser.texts("#cards .doubt")]
    assert doubts == sorted(doubts, reverse=True) and len(set(doubts)) > 1


def test_filters(page, browser):
    rows = browser.run("return gallery.rows")
    expected = {
        ("class", "0"): lambda row: 0 in row["labels"],
        ("class", "none"): lambda row: not row["labels"],
        ("split", "train"): lambda row: row["unit"].startswith("train"),
        ("score-from", "0.5"): lambda row: any(mask["score"] >= 0.5 for mask in row["masks"]),
        ("area-to", "5"): lambda row: any(mask["area"] <= 0.05 for mask in row["masks"]),
        ("side-from", "64"): lambda row: max(row["size"]) >= 64,
        ("name", "SUB"): lambda row: "sub" in row["id"],
        ("marked", "yes"): lambda row: False,
    }
    for (name, value), wanted in expected.items():
        browser.choose(name, value)
        assert set(browser.shown()) == {row["id"] for row in rows if wanted(row)}, name
        assert browser.find("#count").text.endswith(f"{len(browser.shown())} of 8 images")
        browser.choose(name, "")
    browser.choose("order", "name")
    assert browser.shown() == sorted(browser.shown()) and len(browser.shown()) == 8
    browser.choose("order", "large")
    largest = {row["id"]: max((mask["area"] for mask in row["masks"]), default=0) for row in rows}
    assert [largest[i] for i in browser.shown()] == sorted(largest.values(), reverse=True)


def test_layers_zoom_and_keys(page, browser):
    browser.choose("name", "beta")
    browser.find("#cards button").click()
    assert browser.title() == "beta"
    assert browser.layers() == ["photo", "instances, full"]
    names = [
        button.get_attribute("data-layer")
        for button in browser.driver.find_elements("css selector", "#viewer-layers button")
    ]
    browser.press("2")
    assert browser.layers() == ["photo", names[1], "instances, full"]
    browser.press("2", "1")
    assert browser.layers() == ["instances, full"]
    browser.press("1", "[", "[")
    opacity = "return document.querySelector('#viewer-stack img:last-of-type').style.opacity"
    assert float(browser.run(opacity)) == pytest.approx(0.5)
    transform = "return document.getElementById('viewer-stack').style.transform"
    fitted = browser.run(transform)
    assert fitted.endswith("scale(1)")
    browser.press("+", "+")
    assert browser.run(transform).endswith("scale(2.25)")
    browser.press("0")
    assert browser.run(transform) == fitted
    browser.press("\ue00c")
    assert not browser.run("return document.getElementById('viewer').open")


def test_paging_through_what_the_filters_let_through(page, browser):
    browser.choose("class", "1")
    shown = browser.shown()
    browser.find("#cards button").click()
    seen = [browser.title()]
    for _ in shown:
        browser.press("\ue014")
        seen.append(browser.title())
    assert seen == [*shown, shown[-1]]
    browser.press("\ue012")
    assert browser.title() == shown[-2]
    told = browser.find("#viewer-facts").text
    assert "training image" in told or "labelled only" in told
    recipes = browser.run("return document.getElementById('viewer-recipes').textContent")
    assert "export_masks/" in recipes and "train_cam/all." in recipes
    browser.press("\ue00c")


def test_arrows_go_from_card_to_card(page, browser):
    browser.run("document.querySelector('#cards button').focus()")
    browser.press("\ue014", "\ue014", "\ue012")
    focused = browser.run("return document.activeElement.parentElement.dataset.id")
    assert focused == browser.shown()[1]


def test_review_is_saved_and_read(page, browser):
    browser.choose("class", "0")
    image_id = next(i for i in browser.shown() if i != "gamma")
    browser.choose("class", "")
    browser.choose("name", image_id)
    row = next(row for row in browser.run("return gallery.rows") if row["id"] == image_id)
    browser.find("#cards button").click()
    browser.find("#viewer-masks .wrong").click()
    assert browser.run("return document.activeElement.className") == "wrong", "the focus stays"
    browser.press("u")
    classes = browser.run("return gallery.facts.classes")
    box = next(
        i for i in browser.driver.find_elements("css selector", "#viewer-labels label") if i.text == "box"
    )
    box.click()
    browser.press("\ue00c")
    expected = {image_id: {"unusable": True, "labels": {"box": False}, "wrong": [row["masks"][0]["name"]]}}
    assert browser.kept() == expected and "box" in classes
    assert browser.find("#marks").text == "1 image marked"
    assert (
        browser.run("return document.querySelector('#cards li').dataset.marks") == "unusable, labels, 1 wrong"
    )
    for path in browser.downloads.iterdir():
        path.unlink()
    browser.find("#review-save").click()
    path = browser.downloads / "review.json"
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(browser.driver, 30).until(lambda _: path.exists())
    found = read_review(path).images[image_id]
    assert (found.unusable, found.labels, found.wrong) == (True, {"box": False}, (row["masks"][0]["name"],))
    browser.reload()
    assert browser.kept() == expected, "marks outlast the page"
    browser.run("review.clear()")
    assert browser.kept() == {}
    browser.find("#review-load").send_keys(str(path))
    browser.wait("return review.size === 1")
    assert browser.kept() == expected
    assert browser.find("#review-told").text == "review.json: 1 images marked"
    assert browser.complaints() == []


def test_marks_are_taken_back(page, browser):
    browser.choose("name", "gamma")
    browser.find("#cards button").click()
    browser.press("u", "u")
    browser.run("const add = document.getElementById('viewer-add'); add.value = 'disc'; add.onchange()")
    assert browser.kept() == {"gamma": {"labels": {"disc": True}}}
    browser.find("#viewer-labels input").click()
    assert browser.kept() == {}
    browser.press("\ue00c")


@pytest.mark.parametrize(
    "content", ["{", '{"format": "other"}', '{"format": "irnet_pipe.review", "version": 9}']
)
def test_files_that_are_no_review(one_file, browser, tmp_path, content):
    browser.open(one_file)
    (tmp_path / "other.json").write_text(content, encoding="utf-8")
    browser.find("#review-load").send_keys(str(tmp_path / "other.json"))
    browser.wait("return document.getElementById('review-told').textContent !== ''")
    assert browser.find("#review-told").text.startswith("other.json: cannot be read (")
    assert browser.kept() == {}


def test_a_reviewed_run_shows_what_was_left_out(published, browser, tmp_path):
    browser.open(published("before"))
    row = next(row for row in browser.run("return gallery.rows") if row["masks"])
    name = row["masks"][0]["name"]
    said = {"format": "irnet_pipe.review", "version": 1, "images": {row["id"]: {"wrong": [name]}}}
    (tmp_path / "review.json").write_text(json.dumps(said), encoding="utf-8")
    browser.open(published("after", review=str(tmp_path / "review.json")))
    after = next(other for other in browser.run("return gallery.rows") if other["id"] == row["id"])
    assert [mask["name"] for mask in after["left_out"]] == [name]
    assert name not in {mask["name"] for mask in after["masks"]}
    browser.choose("name", row["id"])
    browser.find("#cards button").click()
    assert browser.texts("#viewer-masks .numbers")[-1] == "left out"
    browser.press("\ue00c")


def test_tables_are_saved(one_file, browser):
    browser.open(one_file)
    for path in browser.downloads.iterdir():
        path.unlink()
    browser.find("a[download='classes.csv']").click()
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(browser.driver, 30).until(lambda _: (browser.downloads / "classes.csv").exists())
    text = (browser.downloads / "classes.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == 'class,images,without mask,masks,median score,"median size, %"'


def emulate(browser: Browser, *, width: int, scheme: str) -> None:
    driver = browser.driver
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@pytest.fixture
def looks(browser) -> Iterator[Callable[..., None]]:
    yield lambda **how: emulate(browser, **how)
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_looks_at_every_width(one_file, browser, looks, width, scheme):
    """Nothing sticks out to the side, and axe finds nothing serious, on the page and in the view of an image."""
    looks(width=width, scheme=scheme)
    browser.open(one_file)
    browser.load_axe()
    browser.run("for (const folded of document.querySelectorAll('details')) folded.open = true")
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.driver.execute_async_script(AXE) == []
    browser.find("#cards button").click()
    assert browser.run("return document.getElementById('viewer').scrollWidth <= innerWidth")
    stage = browser.find("#viewer-stage").size
    assert min(stage["width"], stage["height"]) > 150
    assert browser.driver.execute_async_script(AXE) == []
    browser.press("\ue00c")


@pytest.fixture(scope="module")
def settings(published) -> Path:
    return published("settings", sweep={"export.instance.bg_threshold": [0.1, 0.25, 0.5]})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_settings_side_by_side(settings, browser, looks, width, scheme):
    looks(width=width, scheme=scheme)
    browser.driver.get(settings.as_uri())
    browser.load_axe()
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.driver.execute_async_script(AXE) == []
    opacities = "return ['instances', 'classes'].map((layer) => "
    opacities += "getComputedStyle(document.querySelector(`.shot .${layer}`)).opacity > 0)"
    assert browser.run(opacities) == [True, False]
    browser.find("label[for=strips-classes]").click()
    assert browser.run(opacities) == [False, True]
    browser.find("label[for=strips-photo]").click()
    assert browser.run(opacities) == [False, False]
    assert browser.complaints() == []
    assert not [url for url in browser.requests if not url.startswith(("file:", "data:"))]
