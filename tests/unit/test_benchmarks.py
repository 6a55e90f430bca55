"""The benchmarks' own arithmetic and words: what a wrong one would claim, no switch would notice."""

import pytest

from benchmarks import page, plots
from benchmarks.agreement import samples
from benchmarks.harness import Bound, Result, quantile, rounded
from benchmarks.ovn_words import EVERYBODY, Words
from benchmarks.workloads import three_tier, w

PLOTS = ("performance-ratios.svg", "performance-times.svg")


def test_a_result_has_medians_p99_and_their_ratio():
    line = Result("r", "w", "ms", [3, 1, 2], [10, 30, 20], "peer", [Bound("ratio", "<=", 0.1)]).line()
    assert (line["ours"], line["peer"], line["ratio"], line["ours_p99"]) == (2, 20, 0.1, 3)
    assert line["bounds"] == [{"bound": "ratio <= 0.1", "kept": True}]


@pytest.mark.parametrize(
    ("bound", "kept"),
    [
        (Bound("ours", "<=", 2), True),
        (Bound("ours", "<=", 1.9), False),
        (Bound("p99", "<=", 2.9), False),
        (Bound("ours", ">=", 2), True),
        (Bound("ratio", "<=", 9), False),
    ],
)
def test_a_bound_without_its_figure_is_not_kept(bound, kept):
    assert bound.kept(Result("r", "w", "ms", [3, 1, 2])) is kept


def test_quantiles_are_measured_values():
    assert [quantile(range(1, 101), share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert quantile([], 0.5) == 0


def test_figures_are_rounded_to_digits_and_not_to_places():
    assert [rounded(v) for v in (0.000123456, 1234567.0, 0.0, None)] == [0.0001235, 1235000.0, 0.0, None]


def test_the_workload_is_the_same_each_time_and_has_its_shares():
    first, second = w(200, 20, 400), w(200, 20, 400)
    assert first.documents() == second.documents()
    rules = [policy["rules"][0] for policy in first.policies.values()]
    assert all(len(rule["services"]) == 3 for rule in rules)
    assert 0.05 < sum("cidr" in rule["from"][0] for rule in rules) / len(rules) < 0.15
    assert 0.02 < sum(rule["action"] == "deny" for rule in rules) / len(rules) < 0.09


def test_samples_are_allowed_and_denied_openings_and_replies():
    found = samples(w(40, 4, 20), 0.2, 200)
    assert {sample.is_reply for sample in found} == {True, False}
    assert 20 < sum(sample.port is not None for sample in found) < 180


def test_a_rule_in_ovns_words_is_judged_on_both_sides():
    world = three_tier(10)
    words = Words(world)
    found = {(acl.holder, acl.direction): acl.match for acl in words.acls_of(world.policies["app-0"])}
    assert found["a0_web", "to-lport"] == "outport == @a0_web && ip4 && tcp.dst == {443}"
    assert found["a0_web", "from-lport"] == "inport == @a0_web && ip4.dst == $a0_app_ip4 && tcp.dst == {8080}"
    assert found[EVERYBODY, "from-lport"] == "ip4.dst == $a0_web_ip4 && tcp.dst == {443}"
    assert found["a0_db", "to-lport"] == "outport == @a0_db && ip4.src == $a0_app_ip4 && tcp.dst == {5432}"
    assert set(words.every_port_group()) == {"a0_web", "a0_app", "a0_db"}


def test_the_page_says_what_was_not_kept_and_keeps_what_people_wrote(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "DOCS", tmp_path)
    monkeypatch.setattr(page, "DATA", tmp_path / "performance.jsonl")
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    page.PAGE.write_text(f"# P\n\n{page.BEGIN}\nof last year\n{page.END}\n\nwritten\n")
    page.keep("r", [Result("r", "w|x", "ms", [3], [1], "peer", [Bound("ratio", "<=", 0.1)]).line()])
    page.write()
    text = page.PAGE.read_text()
    assert "**not kept**" in text
    assert "w\\|x" in text
    assert "of last year" not in text
    assert text.endswith("\n\nwritten\n")
    assert (tmp_path / "performance-ratios.svg").read_text().startswith("<svg")


def test_the_page_and_its_plots_are_made_from_the_results_on_file(tmp_path, monkeypatch):
    """Who measures commits results, page and plots together."""
    made = [page.PAGE.read_text()] + [(page.DOCS / name).read_text() for name in PLOTS]
    for name in ("performance.md", "performance.jsonl"):
        (tmp_path / name).write_text((page.DOCS / name).read_text())
    monkeypatch.setattr(page, "DOCS", tmp_path)
    monkeypatch.setattr(page, "DATA", tmp_path / "performance.jsonl")
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    page.write()
    assert [(tmp_path / name).read_text() for name in ("performance.md", *PLOTS)] == made


def test_every_row_stands_on_the_page_once_or_is_said_to_be_missing():
    measured, text = page.load(), page.PAGE.read_text()
    assert set(measured) <= set(page.ORDER)
    assert all(f"\n| {name} |" in text or f"`{name}`" in text.partition("\n| row")[0] for name in page.ORDER)
    works = [(line["row"], line["work"], line["peer_name"]) for lines in measured.values() for line in lines]
    assert len(works) == len(set(works))


def test_plots_of_nothing_are_plots():
    assert plots.times([]).count("<svg") == plots.ratios([]).count("<svg") == 1
