"""The book of leases: who gets what, what comes back, what arrives late; and `/v1/leases`, strict with bodies."""

import random
from ipaddress import ip_network

import pytest

from intent import leasing
from intent.leasing import Holding, PoolWish, Wish, block_prefix, dump, load, returned, settle
from ryu_apps.leasing import HOLDERS, Leases
from ryu_apps.memory import Damaged
from tests.unit.api_kit import Api

NET = ip_network("10.1.0.0/24")
NOW = 1000.0


def nets(*texts):
    return frozenset(map(ip_network, texts))


def want(turn, count, *, part=NET, blocks=(), claims=()):
    return Wish(turn, (PoolWish(part, count),) if count is not None else (), nets(*blocks), nets(*claims))


@pytest.mark.parametrize(
    ("part", "prefix"),
    [("10.0.0.0/8", 28), ("10.1.0.0/25", 28), ("10.1.0.0/28", 31), ("10.1.0.0/30", 32), ("fd00::/64", 80),
     ("fd00::/120", 124), ("10.1.0.1/32", 32)],
)  # fmt: skip
def test_blocks_are_small_and_several_hosts_share_a_subnet(part, prefix):
    assert block_prefix(ip_network(part)) == prefix


def test_a_repeated_wish_changes_nothing_and_a_late_one_is_not_acted_on():
    first = settle({}, "a", want(2, 20), NOW).holding
    assert first.blocks == nets("10.1.0.0/28", "10.1.0.16/28")
    assert settle({"a": first}, "a", want(2, 20), NOW).holding == first
    assert settle({"a": first}, "a", want(1, None), NOW).holding == first


def test_what_is_anothers_is_refused_by_name():
    book = {"a": settle({}, "a", want(1, 16, claims=["10.1.0.200/32"]), NOW).holding}
    other = settle(book, "b", want(1, 16, blocks=["10.1.0.0/28", "10.1.0.32/28"], claims=["10.1.0.200/32"]), NOW)
    assert other.holding.blocks == nets("10.1.0.32/28")
    assert other.refused == {ip_network("10.1.0.0/28"): "a", ip_network("10.1.0.200/32"): "a"}


def test_a_claim_keeps_others_from_its_block_and_not_its_own_holder():
    book = {"a": settle({}, "a", want(1, 0, claims=["10.1.0.5/32"]), NOW).holding}
    assert settle(book, "b", want(1, 1), NOW).holding.blocks == nets("10.1.0.16/28")
    assert settle(book, "a", want(2, 1, claims=["10.1.0.5/32"]), NOW).holding.blocks == nets("10.1.0.0/28")


def test_what_comes_back_rests_for_others_but_not_for_who_had_it_or_asks_by_name():
    gone = settle({"a": settle({}, "a", want(1, 250), NOW).holding}, "a", want(2, None), NOW).holding
    assert (gone.blocks, len(gone.resting)) == (frozenset(), 16)
    for now, blocks in ((NOW + 599, nets()), (NOW + 601, nets("10.1.0.0/28"))):
        assert settle({"a": gone}, "b", want(1, 1), now).holding.blocks == blocks
    assert settle({"a": gone}, "a", want(3, 1), NOW).holding.blocks == nets("10.1.0.0/28")
    assert settle({"a": gone}, "b", want(1, 0, claims=["10.1.0.9/32"]), NOW).holding.claims == nets("10.1.0.9/32")
    assert len(returned(settle({}, "a", want(1, 1), NOW).holding, NOW).resting) == 1


def test_blocks_stay_inside_the_part_and_of_their_ip_version():
    part = ip_network("10.1.0.128/27")
    both = Wish(1, (PoolWish(part, 999), PoolWish(ip_network("fd00:1::/64"), 1)))
    blocks = settle({}, "a", both, NOW).holding.blocks
    assert blocks == nets(*(f"10.1.0.{n}/30" for n in range(128, 160, 4)), "fd00:1:0:0:1::/80")


@pytest.mark.parametrize("seed", range(5))
def test_no_two_holders_ever_overlap(seed):
    rng, book = random.Random(seed), {}
    for turn in range(200):
        name = rng.choice("abcd")
        before = book.get(name, Holding())
        claims = [f"10.1.0.{rng.randrange(256)}/32" for _ in range(rng.randrange(3))]
        blocks = [f"10.1.0.{16 * rng.randrange(16)}/28"] if rng.random() < 0.2 else map(str, before.blocks)
        count = rng.choice((None, 0, 16, 40, 100))
        held = settle(book, name, want(turn, count, blocks=blocks, claims=claims), NOW + 30 * turn).holding
        assert load(dump(held)) == held
        book[name] = held
        spans = [(block, who) for who, h in book.items() for block in h.blocks | h.claims]
        assert not any(a.overlaps(b) for a, x in spans for b, y in spans if x < y)


def test_one_request_adds_a_bounded_number_of_blocks(monkeypatch):
    wide = ip_network("10.0.0.0/8")
    assert len(settle({}, "a", want(1, 1 << 20, part=wide), NOW).holding.blocks) == leasing.MAX_NEW
    monkeypatch.setattr(leasing, "MAX_RESTING", 3)
    many = settle({}, "a", want(1, 200), NOW).holding
    assert len(settle({"a": many}, "a", want(2, None), NOW).holding.resting) == 3


@pytest.mark.parametrize("value", [b"{", b'{"a": 1}', b'["a"]'])
def test_a_damaged_book_is_no_empty_book(tmp_path, value):
    api = Api(tmp_path)
    api.store.put_state({HOLDERS: value})
    with pytest.raises(Damaged, match="restore a backup"):
        Leases(api.store, lambda: False)


@pytest.fixture
def api(tmp_path):
    (tmp_path / "book").mkdir()
    book = Leases(Api(tmp_path / "book").store, lambda: False, lambda: NOW)
    return Api(tmp_path, leases=book)


def test_the_api_leases_lists_and_takes_back(api):
    body = {"turn": 1, "pools": [{"part": "10.1.0.0/24", "want": 5}], "blocks": [], "claims": ["10.1.0.99/32"]}
    for _ in range(2):
        answer = api.client.simulate_put("/v1/leases/a1", json=body)
        assert answer.json["blocks"] == ["10.1.0.0/28"]
        assert (answer.json["claims"], answer.json["refused"]) == (["10.1.0.99/32"], [])
    refused = api.client.simulate_put("/v1/leases/b2", json=body).json["refused"]
    assert refused == [{"block": "10.1.0.99/32", "holder": "a1"}]
    assert [item["holder"] for item in api.get("/v1/leases").json["items"]] == ["a1", "b2"]
    for changed in (True, False):
        assert api.client.simulate_delete("/v1/leases/a1").json == {"holder": "a1", "changed": changed}
    assert api.client.simulate_put("/v1/leases/a1", headers={"Authorization": ""}, json=body).status_code == 401


@pytest.mark.parametrize(
    ("name", "body", "status", "path"),
    [
        ("A_", {"turn": 1}, 400, "path.holder"),
        ("a", {}, 422, "body.turn"),
        ("a", {"turn": -1}, 422, "body.turn"),
        ("a", {"turn": 1, "claims": ["10.1.0.0/24"]}, 422, "body.claims"),
        ("a", {"turn": 1, "blocks": ["10.1.0.1/24"]}, 422, "body.blocks.0"),
        ("a", {"turn": 1, "pools": [{"part": "x", "want": 1}]}, 422, "body.pools.0.part"),
        ("a", {"turn": 1, "pools": [{"part": "10.1.0.0/24", "want": 2**40}]}, 422, "body.pools.0.want"),
        ("a", {"turn": 1, "more": 1}, 422, "body.more"),
    ],
)
def test_what_is_wrong_leases_nothing(api, name, body, status, path):
    answer = api.client.simulate_put(f"/v1/leases/{name}", json=body)
    assert (answer.status_code, answer.json["errors"][0]["path"]) == (status, path)
    assert api.get("/v1/leases").json == {"items": []}


def test_a_server_without_a_book_and_a_superseded_one_refuse(tmp_path):
    api = Api(tmp_path)
    assert api.client.simulate_put("/v1/leases/a", json={"turn": 1}).status_code == 422
    assert api.client.simulate_delete("/v1/leases/a").status_code == 422
    assert api.get("/v1/leases").json == {"items": []}
    (tmp_path / "two").mkdir()
    late = Api(tmp_path / "two", leases=Leases(api.store, lambda: True))
    assert late.client.simulate_put("/v1/leases/a", json={"turn": 1}).status_code == 503
    assert late.client.simulate_delete("/v1/leases/a").status_code == 503
