import base64
import dataclasses
import io
import math
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.report import figures
from irnet_pipe.report.album import Album, AlbumRow
from irnet_pipe.report.bar_chart import Bar, BarChart, render_bar_chart
from irnet_pipe.report.charts import Chart, Series, render_chart, round_ticks
from irnet_pipe.report.html import Page, Section, Text, render
from irnet_pipe.report.pictures import Picture, data_uri, encode
from irnet_pipe.report.table import Table, table_csv

VOID_TAGS = {"meta", "img", "input", "line", "polyline"}
NASTY = "<script>alert('x')</script> & \"ü\""


class Outline(HTMLParser):
    """Collects tags, attributes and text, and checks that tags are closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID_TAGS:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def page(title="run", name="cat"):
    chart = Chart(name, [Series(name, [1, 2, 3], [0.5, math.nan, 0.25])], x_label="step", y_label=name)
    return Page(
        title=title,
        subtitle=name,
        figures=[("AP50", "37.7"), (name, "1")],
        sections=[
            Section(
                "Per class", [Table([name, "AP"], [[name, 41.256], ["bus", math.nan], ["n", 3], ["-", None]])]
            ),
            Section("Training", [chart], lead=name),
            Section("Masks", [Album([AlbumRow(name, [(name, "data:image/png;base64,AAAA")])])]),
            Section("Settings", [Text(name)], folded=True),
        ],
    )


def test_page_is_well_formed_and_loads_nothing():
    outline = Outline(render(page()))
    assert "script" not in outline.tags
    assert "link" not in outline.tags
    links = [value for key, value in outline.attributes if key in ("src", "href")]
    assert all(value.startswith(("data:text/csv;", "data:image/png;", "#section-")) for value in links)
    anchors = {value for key, value in outline.attributes if key == "id"}
    assert {value[1:] for value in links if value.startswith("#")} == anchors


def test_links_to_other_pages():
    linked = dataclasses.replace(page(), links=[(NASTY, 'a"b.html')])
    outline = Outline(render(linked))
    assert ("href", 'a"b.html') in outline.attributes
    assert NASTY in outline.words


def test_every_name_is_escaped():
    html = render(page(title=NASTY, name=NASTY))
    outline = Outline(html)
    assert "script" not in outline.tags
    assert "<script" not in html
    assert outline.words.count(NASTY) >= 8
    assert ("aria-label", NASTY) in outline.attributes
    assert ("alt", f"{NASTY}, {NASTY}") in outline.attributes


def test_equal_pages_give_equal_text():
    assert render(page()) == render(page())


def test_cells():
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", render(page()))
    assert cells == ["cat", "41.3", "bus", "–", "n", "3", "-", "–"]


def test_pictures_are_jpeg_or_lossless_png():
    labels = Picture("labels", figures.draw_labels(np.eye(6, 8, dtype=np.uint8)), flat=True)
    photo = Picture("photo", Image.new("RGB", (8, 6), "grey"))
    uris = [data_uri(encode(picture), picture.kind) for picture in (photo, labels)]
    assert [uri.split(";")[0] for uri in uris] == ["data:image/jpeg", "data:image/png"]
    with Image.open(io.BytesIO(base64.b64decode(uris[1].split(",")[1]))) as image:
        picture = np.asarray(image.convert("RGBA"))
    np.testing.assert_array_equal(picture[0, :2], [[128, 0, 0, 255], [0, 0, 0, 0]])


def test_tables_are_saved_as_csv():
    table = Table(["class", "AP"], [["a, b", 41.25678], ["ü", math.nan], ["n", 3], ["-", None]])
    assert table_csv(table) == 'class,AP\n"a, b",41.25678\nü,\nn,3\n-,\n'
    outline = Outline(render(Page("run", [Section("Per class: all", [table])])))
    links = dict(item for item in outline.attributes if item[0] in ("download", "href"))
    assert links["download"] == "per_class_all.csv"
    assert unquote(links["href"].partition(",")[2]) == table_csv(table)


def points(chart):
    return [
        [tuple(map(float, point.split(","))) for point in line.split()]
        for line in re.findall(r'points="([^"]*)"', render_chart(chart))
    ]


def test_chart_draws_each_finite_point_in_its_frame():
    [line] = points(Chart("loss", [Series("a", [0, 1, 2, 3], [3.0, math.inf, 2.0, 0.0])]))
    assert len(line) == 3
    xs, ys = zip(*line, strict=True)
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys)  # y grows downwards on the page
    assert all(0 <= x <= 560 and 0 <= y <= 260 for x, y in line)


def test_logarithmic_chart_spaces_decades_evenly_and_drops_zero():
    [line] = points(Chart("loss", [Series("a", [0, 1, 2, 3], [1.0, 0.1, 0.01, 0.0])], log_y=True))
    (_, first), (_, second), (_, third) = line
    assert second - first == pytest.approx(third - second, abs=0.2)


def test_long_curves_are_thinned():
    [line] = points(Chart("loss", [Series("a", range(100_000), [1.0] * 100_000)]))
    assert 300 <= len(line) <= 600


def test_chart_without_points_is_drawn():
    assert points(Chart("loss", [Series("a", [], [])])) == [[]]


@pytest.mark.parametrize("bounds", [(0, 1), (0.013, 0.0172), (-5, 1234.5), (3, 3), (0, 0), (-2, -2)])
def test_ticks_enclose_the_data_and_are_few(bounds):
    ticks = round_ticks(*bounds)
    assert 2 <= len(ticks) <= 7
    assert ticks == sorted(ticks)
    assert ticks[0] <= bounds[0] + 1e-12
    assert ticks[-1] >= bounds[1] - 1e-12


PHOTO = np.full((8, 8, 3), 100, dtype=np.uint8)


def test_fit_keeps_the_aspect():
    assert figures.fit(Image.new("RGB", (400, 200)), long_side=100).size == (100, 50)
    assert figures.fit(Image.new("RGB", (1, 2000)), long_side=200).size == (1, 200)


def test_cam_is_hottest_where_any_class_is_and_may_be_empty():
    cam = np.zeros((2, 2, 2), dtype=np.float32)
    cam[1, 0, 0] = 1
    picture = np.asarray(figures.draw_cam(cam)).tolist()
    assert picture[0][0] == [122, 4, 3] and picture[0][1] == picture[1][1] == [48, 18, 59]
    assert (np.asarray(figures.draw_cam(cam[:0])) == [48, 18, 59]).all()


def rgba(image):
    return np.asarray(image.convert("RGBA")).astype(int)


def test_labels_wear_voc_colours_and_void_a_light_hatch():
    labels = np.array([[0, 1, 2]] + [[255] * 3] * 7, dtype=np.uint8)
    picture = rgba(figures.draw_labels(labels))
    assert picture[0].tolist() == [[0, 0, 0, 0], [128, 0, 0, 255], [0, 128, 0, 255]]
    assert len(np.unique(picture[1:].reshape(-1, 4), axis=0)) == 2
    assert picture[1:].min() > 180


def test_local_labels_wear_the_colours_of_their_classes():
    labels = np.array([[0, 1, 2, 255]], dtype=np.uint8)
    shown = rgba(figures.draw_labels(labels, local_labels=[15, 20]))
    expected = rgba(figures.draw_labels(np.array([[0, 15, 20, 255]], dtype=np.uint8)))
    np.testing.assert_array_equal(shown, expected)


def test_label_colours_repeat_beyond_253():
    labels = np.array([[1, 254, 253, 506, 65535]], dtype=np.uint16)
    picture = rgba(figures.draw_labels(labels, void=65535))[0].tolist()
    assert picture[0] == picture[1] != [0, 0, 0, 0]
    assert picture[2] == picture[3]
    assert picture[4][:3] in ([232, 232, 232], [205, 205, 205])


def test_classes_are_drawn_at_another_size():
    mask = np.zeros((8, 6), dtype=bool)
    mask[:4, :] = True
    runs = [encode_rle(mask), encode_rle(~mask)]
    picture = rgba(figures.draw_classes(np.array([1, 0]), runs, size=(8, 6), shown=(4, 3)))
    assert picture[:, 0].tolist() == [[0, 128, 0, 255]] * 2 + [[128, 0, 0, 255]] * 2


def test_masks_are_tinted_and_outlined_on_a_transparent_ground():
    masks = np.zeros((70, 8, 8), dtype=bool)
    masks[0, 1:7, 1:7] = True
    picture = rgba(figures.draw_masks(masks))
    colour = figures.INSTANCE_COLOURS[0].tolist()
    assert picture[0, 0].tolist() == [0, 0, 0, 0]
    assert picture[1, 1].tolist() == [*colour, 255]
    assert picture[3, 3].tolist() == [*colour, figures.TINT]
    repeated = rgba(figures.draw_masks(np.roll(masks, 64, axis=0)))
    np.testing.assert_array_equal(repeated, picture)
    assert not rgba(figures.draw_masks(masks[:0])).any()


def test_boundary_is_brighter_where_it_is_stronger():
    picture = np.asarray(figures.draw_boundary(np.array([[0.0, 0.5, 1.0, 1.5]], dtype=np.float16))).astype(
        int
    )
    brightness = picture.sum(axis=2)[0]
    assert brightness[0] < brightness[1] < brightness[2] == brightness[3]


def test_displacement_colours_tell_direction_and_length():
    displacement = np.zeros((2, 1, 4), dtype=np.float16)
    displacement[:, 0, 0] = (0, 2)  # to the right: red
    displacement[:, 0, 1] = (0, -2)  # to the left: cyan
    displacement[:, 0, 2] = (0, 1)  # right, half as far: pale red
    picture = np.asarray(figures.draw_displacement(displacement))[0].tolist()
    assert picture[0] == [255, 0, 0]
    assert picture[1][0] < 10
    assert picture[2] == pytest.approx([255, 127, 127], abs=2)
    assert picture[3] == [255, 255, 255]
    assert np.asarray(figures.draw_displacement(displacement * 0)).min() == 255


def test_instances_have_colours_of_their_own():
    assert len(np.unique(figures.distinct_colours(50), axis=0)) == 50
    picture = np.asarray(figures.draw_instance_map(np.arange(4).reshape(2, 2)))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 4


def test_instance_masks_are_tinted_and_outlined():
    mask = np.zeros((8, 8), dtype=bool)
    mask[1:7, 1:7] = True
    picture = np.asarray(figures.draw_instances(PHOTO, mask[None]))
    colour = figures.distinct_colours(1)[0]
    np.testing.assert_array_equal(picture[0], PHOTO[0])
    np.testing.assert_array_equal(picture[1, 1:7], np.tile(colour, (6, 1)))
    np.testing.assert_allclose(picture[3, 3], (colour + 100.0) / 2, atol=1)
    np.testing.assert_array_equal(figures.draw_instances(PHOTO, mask[None][:0]), PHOTO)


def test_bar_chart_draws_values_spreads_and_marks():
    bars = [Bar("one", 50.0, spread=10.0, mark=60.0), Bar("two", None), Bar("three", 25.0, pale=True)]
    text = render_bar_chart(BarChart(NASTY, bars, x_label="AP50", note="dashed: elsewhere"))
    assert NASTY not in text and "dashed: elsewhere" in text
    widths = [float(width) for width in re.findall(r'<rect class="bar[^>]*width="([\d.]+)"', text)]
    assert len(widths) == 2 and widths[0] == pytest.approx(2 * widths[1], abs=0.2)
    assert len(re.findall("bar lost", text)) == 1
    low, high = map(float, re.search(r'd="M([\d.]+) [\d.]+H([\d.]+)"', text).groups())
    start, (mark,) = high - 1.2 * widths[0], map(float, re.findall(r'class="cut" x1="([\d.]+)"', text))
    assert low - start == pytest.approx(0.8 * widths[0], abs=0.3)
    assert mark - start == pytest.approx(1.2 * widths[0], abs=0.3)


def test_bar_chart_without_any_value():
    assert "<rect" not in render_bar_chart(BarChart("empty", [Bar("one", None)]))
