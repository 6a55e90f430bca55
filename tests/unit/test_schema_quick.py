"""What reads documents quickly says what looking closely says: patterns, plain JSON, addresses, names of rules."""

from __future__ import annotations

import hashlib
import json
from ipaddress import IPv4Address, ip_address
from typing import Annotated

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from intent.schema import SyntaxRefusedError, loading, parse_documents, scalars
from intent.schema.dump import rule_names

PIECES = ("a", "B", "9", "-", ".", "_", "/", "\n", "\t", "\x00", "\x9f", "\u2028", "\u202e", "é", "٣", "a" * 61)
NEARLY = st.one_of(st.text(max_size=8), st.lists(st.sampled_from(PIECES), max_size=6).map("".join))


def taken(check, text):
    try:
        return check(text)
    except (PydanticCustomError, ValidationError, ValueError):
        return None


@pytest.mark.parametrize("pattern", scalars.REASONS)
def test_a_pattern_takes_what_its_check_takes(pattern):
    matches = TypeAdapter(Annotated[str, Field(pattern=pattern)]).validate_python

    @given(NEARLY)
    def agree(text):
        assert taken(matches, text) == taken(scalars.REASONS[pattern], text)

    agree()


SMALL = st.dictionaries(
    st.sampled_from("abc"), st.integers(-(10**20), 10**20) | st.text('a:"\\{[\u00e9\ud800'), max_size=3
)
VALUES = st.recursive(
    SMALL | st.floats() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc:"), inner, max_size=3),
    max_leaves=8,
)


def loaded(read, text):
    try:
        return repr(read(text, "t"))
    except SyntaxRefusedError as error:
        return error.problems


@given(VALUES, st.booleans())
@example([10**19 - 1], False)
@example([10**19], False)
@example({str(n): n for n in range(512)}, False)
@example({str(n): n for n in range(513)}, False)
@example([float("nan")], False)
@example([float("inf")], False)
def test_plain_json_is_what_looking_closely_makes_of_it(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only)
    for changed in (text, text.replace('"b"', '"a"'), text[:-1], text.replace("null", "1e999")):
        assert loaded(loading._from_json, changed) == loaded(loading._from_doubtful_json, changed)


@pytest.mark.parametrize("depth", [15, 16, 17, 18])
@pytest.mark.parametrize("inmost", ["", "1", '"a"', "{}"])
def test_json_is_as_deep_as_looking_closely_allows(depth, inmost):
    text = "[" * depth + inmost + "]" * depth
    assert loaded(loading._from_json, text) == loaded(loading._from_doubtful_json, text)


OCTETS = st.sampled_from(("0", "00", "01", "1", "127", "224", "239", "240", "255", "256", "", " 1", "1_0", "٣", "-1"))


@given(st.one_of(st.lists(OCTETS, min_size=3, max_size=5).map(".".join), st.ip_addresses().map(str)))
def test_an_address_is_read_as_the_standard_library_reads_it(text):
    assert taken(scalars.parse_address, text) == taken(ip_address, text)
    if (written := taken(scalars._address, text)) is not None:
        assert written == str(ip_address(text))


@given(st.integers(0, 2**32 - 1))
@example(0)
@example(2**32 - 1)
@example(127 << 24)
@example(128 << 24)
@example(224 << 24)
@example(240 << 24)
def test_an_address_of_ipv4_is_usable_when_none_of_its_properties_forbids_it(number):
    address = IPv4Address(number)
    forbidden = address.is_multicast or address.is_unspecified or address.is_loopback or number == 2**32 - 1
    assert scalars._is_usable(address) is not forbidden


RULES = """
- {action: allow, from: [{group: b}, {group: a}, {world: true}], services: [udp, tcp/80, {service: s}]}
- {action: deny, to: [{labels: {b: "1", a: e}}, {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}, {endpoint: 'q"uote'}]}
- {action: allow, queue: q, mirror: m, from: [{expressions: [{key: a, operator: In, values: [x, y]}]}]}
- {action: reject}
"""


def test_a_derived_name_is_the_digest_of_what_the_rule_says():
    (policy,) = parse_documents(f"kind: Policy\nname: p\nrules:{RULES}", source="t")
    for rule in policy.rules:
        content = rule.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        for field in {"from", "to", "services"} & content.keys():
            content[field] = sorted(json.dumps(item, sort_keys=True) for item in content[field])
        digest = hashlib.sha256(json.dumps(["", content], sort_keys=True).encode()).hexdigest()
        assert rule_names([rule], "", set()) == (f"{rule.action}-{digest[:10]}",)
