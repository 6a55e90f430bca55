"""What a container is, and what becomes of it: only granted labels count, and nobody speaks as Docker."""

import pytest

from docker_driver.labels import MAX_LABELS, MAX_PORTS, Container, Rules, endpoint_name, identify

ALL = Rules()
CONFIGURED = Rules(
    keys=("*", "!secret", "!team.example/*", "team.example/app"),
    values=(("tier", frozenset({"web", "db"})), ("role*", frozenset())),
)


def container(**labels):
    return Container("c" * 64, "web-1", "reg:5000/shop/web:1.2", "sha256:" + "ab" * 32, labels)


def identity(rules=ALL, exposed=(), **labels):
    return identify(container(**labels), "shop", exposed, rules)


def test_an_endpoint_is_named_after_container_and_network():
    assert identity().name == "web-1.shop"
    assert len(endpoint_name("x" * 300, "shop")) == 253


def test_what_docker_says_itself_becomes_docker_labels():
    found = identify(
        container(**{"com.docker.compose.project": "shop", "com.docker.compose.service": "web", "app": "x"}),
        "shop",
        (),
        ALL,
    )
    assert found.labels == {
        "app": "x",
        "docker.name": "web-1",
        "docker.image": "reg_5000_shop_web_1.2",
        "docker.image-id": "ab" * 20,
        "docker.compose.project": "shop",
        "docker.compose.service": "web",
    }
    assert found.refused == ()


@pytest.mark.parametrize(
    "key",
    ["docker.compose.service", "docker.image", "ringfence/name", "ringfence/network", "ringfence.x", "a b", "-a", "ä"],
)
def test_nobody_speaks_as_docker_or_ringfence(key):
    found = identity(**{key: "scanner"})
    assert "scanner" not in found.labels.values()
    assert len(found.refused) == 1
    assert key in found.refused[0]


@pytest.mark.parametrize(
    ("key", "value", "counts"),
    [
        ("app", "anything", True),
        ("secret", "x", False),
        ("team.example/role", "x", False),
        ("team.example/app", "x", True),
        ("tier", "web", True),
        ("tier", "admin", False),
        ("role", "x", False),
        ("rolex", "x", False),
        ("app", "", True),
        ("app", "no value", False),
        ("app", "x" * 64, False),
    ],
)
def test_only_granted_keys_and_values_count(key, value, counts):
    found = identity(CONFIGURED, **{key: value})
    assert found.labels.get(key) == (value if counts else None)
    assert bool(found.refused) is not counts


def test_exposed_ports_have_names_and_labels_give_better_ones():
    found = identity(
        exposed=[(6, 8080), (17, 53), (99, 1)], **{"ringfence.port.http": "8080", "ringfence.port.q": "udp/1"}
    )
    assert found.ports == {"tcp-8080": "tcp/8080", "udp-53": "udp/53", "http": "tcp/8080", "q": "udp/1"}


@pytest.mark.parametrize("value", ["0", "65536", "tcp", "tcp/", "icmp/1", "tcp/80/80", "", "٣", "9" * 99])
def test_a_named_port_that_is_none_is_refused(value):
    found = identity(**{"ringfence.port.http": value})
    assert found.ports == {}
    assert len(found.refused) == 1


def test_everything_is_bounded():
    labels = {f"k{n:04}": "v" for n in range(500)} | {f"ringfence.port.p{n}": str(n + 1) for n in range(200)}
    found = identity(**labels)
    assert len(found.labels) == MAX_LABELS
    assert "docker.name" in found.labels
    assert len(found.ports) == MAX_PORTS
    assert len(found.refused) == 500 + 200 - (MAX_LABELS - 3) - MAX_PORTS
