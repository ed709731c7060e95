"""The data about software: complete, and written so that it can be used."""

from __future__ import annotations

import re

import pytest

from inspector.findings.catalogue import Product, Setting, compiled, number, products, written

ALL = [*products("server"), *products("client"), *products("network")]
SETTINGS = [(product, setting) for product in ALL for setting in product.setting]
WAYS = {"server": {"streams"}, "client": {"idle", "reuse", "pool", "http2", "ping"}, "network": set()}
FINGERPRINT = re.compile(r"[0-9a-f]+:(\d+|\*)(;[0-9a-f]+:(\d+|\*))*( \+\d+)?")


def described(product: Product, setting: Setting) -> str:
    return f"{product.name}-{product.side}-{setting.name}"


@pytest.mark.parametrize(("product", "setting"), SETTINGS, ids=[described(*one) for one in SETTINGS])
def test_every_default_has_a_source(product: Product, setting: Setting) -> None:
    assert setting.source.startswith("https://")
    assert setting.value is None or setting.value > 0
    assert all(value > 0 for value in setting.earlier)
    assert setting.value is not None or setting.since or setting.kind == "each"


@pytest.mark.parametrize(("product", "setting"), SETTINGS, ids=[described(*one) for one in SETTINGS])
def test_every_value_can_be_written(product: Product, setting: Setting) -> None:
    assert "{" not in written(setting.write, 7)


@pytest.mark.parametrize("product", ALL, ids=[f"{product.name}-{product.side}" for product in ALL])
def test_every_product_can_be_told_and_advised(product: Product) -> None:
    assert product.setting
    for expression in (product.server, product.via, product.user_agent):
        if expression is not None:
            assert compiled(expression).groups <= 1
    for fingerprint in product.fingerprints:
        assert FINGERPRINT.fullmatch(fingerprint)
    assert set(product.ways) <= (
        {"streams", "http2"} if product.side == "server" else {"idle", "reuse", "pool", "http2", "ping"}
    )
    for way in product.ways.values():
        shown = written(way, 4)
        assert shown.count("{") == shown.count("}")
        assert "value" not in shown


def test_the_client_side_of_every_pool_that_knows_a_limit_says_how_to_set_it() -> None:
    without = {p.name for p in products("client") if p.settings("idle") and "idle" not in p.ways and not p.upstream}
    assert without == {"Firefox", "Chrome", "Wget", "nghttp", "gRPC"}  # nobody sets it there


@pytest.mark.parametrize(
    ("value", "shown"), [(7.0, "7"), (7.004, "7"), (3.5, "3.5"), (0.8, "0.8"), (0.24, "0.24"), (74.9, "75"), (1, "1")]
)
def test_numbers_are_what_somebody_typed(value: float, shown: str) -> None:
    assert number(value) == shown


def test_milliseconds_are_as_round_as_seconds() -> None:
    assert written("{ms}", 4.0025) == "4000"
    assert written("{ms}", 0.8) == "800"
    assert written("{minutes}", 240) == "4"
