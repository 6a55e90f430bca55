"""Figures on file: merging, bounds, the page."""

import pytest

from scripts.figures import Figure, load, merge, render, save

LOST = Figure("packets lost", 0, "packets", "tests/soak/x.py::test_y", at_most=0)
LAG = Figure("enforce lag | p99", 12.5, "ms", "tests/soak/x.py::test_z", at_most=20)


@pytest.mark.parametrize(
    ("value", "at_least", "at_most", "kept"),
    [(5, None, None, True), (5, 5, 5, True), (4, 5, None, False), (6, None, 5, False)],
)
def test_a_figure_knows_whether_it_keeps_its_bound(value, at_least, at_most, kept):
    assert Figure("f", value, "s", "t", at_most=at_most, at_least=at_least).kept is kept


def test_a_new_measurement_replaces_its_own_and_leaves_the_others():
    known = merge({}, [LOST, LAG], "old machine")
    document = merge(known, [LAG], "new machine")
    assert {name: row["machine"] for name, row in document.items()} == {
        "enforce lag | p99": "new machine",
        "packets lost": "old machine",
    }


def test_what_is_saved_is_what_is_loaded(tmp_path):
    path = tmp_path / "figures.json"
    assert load(path) == {}
    document = merge({}, [LOST, LAG], "m")
    save(document, path)
    assert load(path) == document
    assert [p.name for p in tmp_path.iterdir()] == ["figures.json"]


def test_the_page_has_a_row_for_each_figure_with_its_bound():
    page = render(merge({}, [LOST, LAG], "2 cores"))
    assert "| packets lost | 0 packets | at most 0 | `tests/soak/x.py::test_y` | 2 cores |" in page
    assert "| enforce lag \\| p99 | 12.5 ms | at most 20 |" in page
