"""What OVSDB says of a change of a map or a set leads from the one value to the other."""

from hypothesis import given
from hypothesis import strategies as st

from ovsdb.columns import patch
from ovsdb.operations import map_changes

words = st.sampled_from("abcd")
maps = st.dictionaries(words, words)


@given(maps, maps)
def test_a_difference_of_maps_leads_from_one_to_the_other(before, after):
    difference = {k: v for k, v in before.items() if k not in after}
    difference |= {k: v for k, v in after.items() if before.get(k) != v}
    assert patch(before, difference) == after


@given(st.frozensets(words), st.frozensets(words))
def test_a_difference_of_sets_leads_from_one_to_the_other(before, after):
    assert patch(before, before ^ after) == after


@given(maps, st.dictionaries(words, st.none() | words))
def test_map_mutations_touch_only_what_differs(actual, wanted):
    result, touched = dict(actual), set()
    for _, mutator, (_, elements) in map_changes("external_ids", actual, wanted):
        for element in elements:
            touched.add(element if mutator == "delete" else element[0])
            if mutator == "delete":
                del result[element]
            else:
                result.setdefault(element[0], element[1])
    assert {k: result.get(k) for k in wanted} == wanted
    assert touched == {k for k in wanted if actual.get(k) != wanted[k]}
