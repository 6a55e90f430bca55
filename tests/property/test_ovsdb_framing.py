"""The stream is cut into the same objects however it arrives, in time linear in its length."""

from __future__ import annotations

import json
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovsdb import ProtocolError
from ovsdb.framing import Splitter, encode

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet=st.sampled_from('"\\{}[]:, aé\n')),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
messages = st.lists(st.dictionaries(st.text(max_size=3), values, max_size=3), max_size=5)


@given(messages, st.integers(0, 2**32), st.booleans())
def test_any_cut_of_the_stream_gives_the_same_objects(objects, seed, ascii_only):
    rng = random.Random(seed)
    gaps = [rng.choice(["", " ", "\r\n\t "]) for _ in objects]
    text = "".join(gap + json.dumps(o, ensure_ascii=ascii_only) for gap, o in zip(gaps, objects, strict=True)).encode()
    splitter, at, found = Splitter(1 << 20), 0, []
    while at < len(text):
        size = rng.choice([1, 1, 2, 3, 10, 100])
        found.extend(splitter.feed(text[at : at + size]))
        at += size
    assert found == objects


def test_encoding_is_ascii_and_comes_back():
    message = {"id": 1, "params": ["é\ud800", {"a": [1, None]}]}
    assert list(Splitter(1000).feed(encode(message))) == [message]


def feed_all(splitter: Splitter, chunks: list[bytes]) -> list[object]:
    return [message for chunk in chunks for message in splitter.feed(chunk)]


def test_many_small_messages_in_one_piece_cost_linear_time():
    began = time.process_time()
    assert len(feed_all(Splitter(1 << 20), [b"{}" * 100_000])) == 100_000
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "filler",
    [b"x" * 65536, b'\\"' * 32768, b"\\" * 65535, b" " * 65536, b"[]," * 21845, b'"",' * 21845, b'"a\\\\",' * 10000],
)
def test_a_message_without_end_costs_linear_time_and_is_refused(filler):
    chunks = [b'{"a": ["', *[filler] * 200]
    began = time.process_time()
    with pytest.raises(ProtocolError):
        feed_all(Splitter(8 << 20), chunks)
    assert time.process_time() - began < 5


def test_space_without_end_is_forgotten():
    splitter = Splitter(1000)
    for _ in range(100):
        assert list(splitter.feed(b" \n" * 1000)) == []
    assert list(splitter.feed(b"{}")) == [{}]
