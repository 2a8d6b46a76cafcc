# ruff: noqa: RUF001 - the page writes sizes with a multiplication sign
"""The report in a real browser: what it shows, how it reacts, and that it asks nobody for anything."""

from __future__ import annotations

import importlib.util
import re
from collections import OrderedDict

import numpy as np
import pytest
import torch
from browser import start
from torch import nn
from torchvision_ops import ensure_torchvision

from autofix import fix_model
from autofix.examples.mri import BadCNN, GoodCNN, UNet
from autofix.report import html
from autofix.report.page import page_of
from autofix.report.page.graph import grouped
from autofix.report.page.sampled import sampled

EVIL = "<script>alert(1)</script>"


def evil_model(folder):
    """A network whose file, layer and class name try to break out of the text they are put into."""
    file = folder / "<script>alert(1)<" / "script>.py"
    file.parent.mkdir()
    file.write_text(
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n"
        "    def __init__(self):\n        super().__init__()\n"
        f"        self.add_module('{EVIL}', nn.Conv2d(1, 2, 5))  # {EVIL} </script>\n"
        "        self.add_module('<img src=x onerror=alert(2)>', nn.Conv2d(2, 2, 3))\n"
    )
    spec = importlib.util.spec_from_file_location("evil_net", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.Net()
    type(model).__name__ = EVIL
    return model


@pytest.fixture(scope="module")
def bad():
    return fix_model(BadCNN(), min_input=5)


@pytest.fixture(scope="module")
def unet():
    return fix_model(UNet(), min_input=5)


@pytest.fixture(scope="module")
def files(tmp_path_factory, bad, unet):
    folder = tmp_path_factory.mktemp("reports")
    evil = fix_model(evil_model(folder), min_input=4)
    for name, fix in (("bad", bad), ("unet", unet), ("evil", evil)):
        (folder / f"{name}.html").write_text(html.fix_page(fix), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    started = start(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


def slide(browser, size):
    browser.js("(() => { const s = document.getElementById('size'); s.value = arguments[0];"
               " s.dispatchEvent(new Event('input')); })()".replace("arguments[0]", str(size)))  # fmt: skip


# What the page says, without a browser.


def test_every_size_of_the_picture_is_the_size_that_torch_gives(bad):
    sizes = np.arange(1, 13)
    layers = sampled(bad.report.analysis, sizes)
    outputs = {}
    for name in ("conv1", "pool", "conv2"):
        getattr(bad.model, name).register_forward_hook(
            lambda _, __, out, name=name: outputs.update({name: out.shape[2:]})
        )
    for column, size in enumerate(sizes.tolist()):
        outputs.clear()
        try:
            bad.model(torch.zeros(1, 1, size, size, size))
        except RuntimeError:
            failing = [key for key, layer in layers.items() if layer.bad[column]]
            stopped = [name for name in ("conv1", "pool", "conv2") if name not in outputs]
            assert [name for name, _ in failing] == stopped[:1]
        for name, shape in outputs.items():
            assert tuple(int(s[column]) for s in layers[name, 0].sizes) == tuple(shape)


def test_before_and_after_share_rows_and_columns(unet):
    heatmap = page_of(unet).heatmap
    before, after = heatmap.panels
    assert [row.name for row in before.rows] == [row.name for row in after.rows]

    def failing(panel):
        cells = [cell for row in panel.rows for cell in zip(heatmap.columns, row.states, strict=True)]
        return {size for size, state in cells if state == "bad"}

    assert failing(before) == {n for n in heatmap.columns if n % 4}
    assert failing(after) == {1, 2, 3}
    assert before.minimum is None
    assert heatmap.columns[after.minimum] == 4
    assert [row.name for row in after.rows if row.changed] == ["cat", "cat_1"]


def test_the_certificate_is_told_with_a_table_for_each_join(unet):
    proof = page_of(unet).proof
    assert [claim.mode for claim in proof.claims] == ["eval", "train"]
    assert proof.claims[0].cases[0] == "D, H, W: n = r + 4k for r = 5, 6, …, 8 and every k ≥ 0"
    rises = {(rise.formula, rise.period, rise.rise) for rise in proof.rises}
    assert rises >= {("n//4", 4, 1), ("2*(n//4)", 4, 2)}
    assert [operand.sizes for operand in proof.joins[0].operands] == [(2, 2, 2, 4), (2, 3, 3, 4)]
    assert "insert" in proof.joins[0].verdict


def test_cost_is_measured_where_the_original_works_too(bad, unet):
    page = page_of(bad)
    assert page.cost.parameters == (14304, 14304)
    at_five, at_eight, _ = page.cost.points
    assert at_five.before is None
    assert at_five.after is not None
    assert at_eight.size == (8, 8, 8)
    # two convolutions on 6 and 1 voxels per axis: 2 FLOPs for each multiply-add
    assert at_eight.before.flops == 2 * (27 * 16 * 6**3 + 27 * 16 * 32 * 1)
    assert page_of(unet).cost.points[1].size == (8, 8, 8)


def test_alternatives_say_what_they_cost_more(bad):
    fewest, same, preserve = page_of(bad).alternatives
    assert (fewest.strategy, fewest.chosen, fewest.why) == ("fewest", True, "")
    assert same.why.startswith("2 edited layers instead of 1")
    assert preserve.keeps_outputs
    assert preserve.why.startswith("1 inserted operation instead of 0")


def test_an_alternative_that_does_not_exist_is_said_so():
    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 2, 3, padding=1), nn.Linear(2 * 8 * 8, 3)

        def forward(self, x):
            return self.fc(torch.flatten(self.conv(x), 1))

    page = page_of(fix_model(Head(), min_input=8))
    assert len(page.alternatives) == 3
    assert all(each.refused or each.changes for each in page.alternatives)


def test_calls_are_grouped_by_module_and_functions_by_their_neighbours():
    top = grouped([None, "a.b.conv", None, "a.b.norm", None, "a.c.conv", "a.c.norm", "d", None])
    (a,) = [child for child in top.children if not isinstance(child, int)]
    assert [child if isinstance(child, int) else child.label for child in a.children] == ["b", 4, "c"]
    assert [child for child in top.children if isinstance(child, int)] == [0, 7, 8]
    assert a.children[0].children == [1, 2, 3]


def test_nothing_to_repair_is_a_page_too():
    page = html.fix_page(fix_model(GoodCNN(), min_input=5))
    assert "nothing had to be changed" in page
    assert "Alternatives" not in page


def test_file_layer_and_class_names_are_text(files):
    page = (files / "evil.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert "<img" not in page
    assert page.count("<script") == page.count("</script>") == 2
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize("name", ["bad", "unet", "evil"])
def test_one_file_that_names_no_other(files, name):
    page = (files / f"{name}.html").read_text(encoding="utf-8")
    assert len(page.encode()) < 200_000
    assert not re.findall(r"""\s(?:src|href|action)=(?!"data:,"|"#|x onerror)""", page)
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page)


def test_notebook_fragments_are_escaped_and_stand_alone(tmp_path):
    fix = fix_model(evil_model(tmp_path), min_input=4)
    for fragment in (fix._repr_html_(), fix.before._repr_html_(), fix.report._repr_html_()):
        assert "<script" not in fragment
        assert "<img" not in fragment
        assert "&lt;script&gt;" in fragment
        assert not re.findall(r"""\s(?:src|href|id)=(?!x onerror)""", fragment)


# In the browser.


@pytest.mark.parametrize("name", ["bad", "unet", "evil"])
def test_no_console_error_and_no_request(browser, files, name):
    browser.driver.get("about:blank")
    browser.console(), browser.requests()
    browser.open(files / f"{name}.html")
    assert int(browser.js("document.documentElement.dataset.ready")) < 1000
    slide(browser, 9)
    assert browser.console() == []
    assert browser.requests() == [(files / f"{name}.html").as_uri()]


def test_the_slider_changes_the_sizes_on_the_edges(browser, files):
    browser.open(files / "bad.html")
    assert "5×5×5 works; the output is 1×1×1" in browser.text("#state")
    browser.press("#size", "\ue014")  # arrow right
    assert browser.text("#size-text") == "6×6×6"
    slide(browser, 12)
    assert "16 ch · 10×10×10" in browser.text("#nodes")
    assert float(browser.js("document.querySelector('rect.chosen').getAttribute('x')")) == 11 * 34


def test_before_shows_the_layer_that_fails(browser, files):
    browser.open(files / "bad.html")
    browser.click("input[value=before]")
    assert "fails at conv2" in browser.text("#state")
    assert "needs 3, gets 1" in browser.text("li.bad")
    assert browser.text("li.bad b") == "conv2"
    assert browser.js("document.querySelectorAll('li.late').length") == 2
    assert "fails" in browser.js("document.getElementById('size').getAttribute('aria-valuetext')")


def test_a_cell_of_the_picture_chooses_its_size(browser, files):
    browser.open(files / "bad.html")
    browser.js("""document.querySelector('.map svg').dispatchEvent(new MouseEvent('click', {
        clientX: document.querySelector('.map svg').getBoundingClientRect().left + 34 * 6.5}))""")
    assert browser.text("#size-text") == "7×7×7"
    assert "Before the repair" in browser.text("#state")


def test_skips_are_drawn_with_their_sizes_and_edits_marked(browser, files):
    browser.open(files / "unet.html")
    assert browser.js("document.querySelectorAll('path.skip-edge:not(.arrow)').length") == 2
    assert browser.js("[...document.querySelectorAll('#edges text')].map(t => t.textContent)") == [
        "16 ch · 2×2×2",
        "8 ch · 5×5×5",
    ]
    edited = browser.js("[...document.querySelectorAll('li.edited b')].map(b => b.textContent)")
    assert edited == ["cat", "cat_1"]


def test_colours_follow_the_system(browser, files):
    shades = []
    for dark in (False, True):
        browser.open(files / "bad.html", dark=dark)
        colour = browser.js("getComputedStyle(document.body).backgroundColor")
        shades.append(sum(map(int, re.findall(r"\d+", colour)[:3])))
    assert shades[0] > 700
    assert shades[1] < 120


@pytest.mark.parametrize("name", ["bad", "unet", "evil"])
def test_a_phone_scrolls_in_one_direction_only(browser, files, name):
    browser.open(files / f"{name}.html", width=360, height=740)
    assert browser.js("document.documentElement.scrollWidth") == 360
    browser.js("document.getElementById('unfold').click()")
    assert browser.js("document.documentElement.scrollWidth") == 360


def test_print_shows_everything_without_the_controls(browser, files):
    browser.open(files / "unet.html")
    browser.media("print")
    assert browser.js("getComputedStyle(document.querySelector('.controls')).display") == "none"
    assert browser.js("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    printed = browser.pdf()
    browser.media("screen")
    assert printed.startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 9


def test_evil_names_stay_text_in_the_page(browser, files):
    browser.open(files / "evil.html")
    assert browser.js("document.images.length") == 0
    assert browser.js("document.scripts.length") == 2
    assert EVIL in browser.text("#nodes")
    assert EVIL in browser.text("h1")


@pytest.fixture(scope="module")
def nested(tmp_path_factory):
    def block(width):
        layers = OrderedDict(conv=nn.Conv2d(width, width, 3), norm=nn.BatchNorm2d(width), act=nn.ReLU())
        return nn.Sequential(layers)

    stages = OrderedDict((f"stage{i}", nn.Sequential(block(4), block(4))) for i in range(8))
    model = nn.Sequential(OrderedDict(stem=nn.Conv2d(3, 4, 3), **stages))
    file = tmp_path_factory.mktemp("nested") / "nested.html"
    file.write_text(html.fix_page(fix_model(model, min_input=30)), encoding="utf-8")
    return file


def test_blocks_fold_by_mouse_and_by_keyboard(browser, nested):
    browser.open(nested)
    count = "document.querySelectorAll('#nodes li').length"
    browser.click("#fold")
    assert browser.js(count) == 11  # input, stem, eight stages, output
    browser.click("#nodes li.group .box")
    assert browser.js(count) == 13
    assert browser.js("document.activeElement.getAttribute('aria-expanded')") == "true"
    browser.driver.switch_to.active_element.send_keys("\ue012")  # arrow left folds
    assert browser.js(count) == 11
    browser.driver.switch_to.active_element.send_keys("\ue015", "\ue014")  # the next one, unfolded
    assert browser.js(count) == 13
    assert browser.js("document.activeElement.querySelector('b').textContent") == "stage1"
    browser.click("#unfold")
    assert browser.js(count) == 11 + 16 + 48
    assert browser.console() == []


def test_a_classifier_of_400_calls_is_small_and_fast(browser, tmp_path, monkeypatch):
    if not ensure_torchvision():
        pytest.skip("torchvision is not installed")
    from torchvision.models import densenet121

    # three repairs of a large network are another test's business, and take a minute
    monkeypatch.setattr("autofix.report.page.alternatives", lambda fix, costs: ())
    file = tmp_path / "densenet.html"
    page = html.fix_page(fix_model(densenet121(), min_input=16))
    file.write_text(page, encoding="utf-8")
    assert len(page.encode()) < 2_000_000
    browser.open(file)
    assert int(browser.js("document.documentElement.dataset.ready")) < 1000
    assert browser.js("document.querySelectorAll('#nodes li').length") < 60
    assert browser.js("document.querySelectorAll('svg *').length") < 2000
    assert "ceil_mode False → True" in browser.text("li.edited")
    assert browser.js("(() => { const t = performance.now(); document.getElementById('unfold').click(); "
                      "return performance.now() - t; })()") < 1000  # fmt: skip
    assert browser.js("document.querySelectorAll('#nodes li.leaf').length") > 400
    assert browser.console() == []
