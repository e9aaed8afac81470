"""Unequal draws are thinned, and a verdict can be repeated from its export without any ticket text."""

import json

import numpy as np
import pytest

from classifier.bounds import NotCertifiable
from classifier.certificate import one_look
from classifier.draws import DrawnRow, exported, look, recompute, thinned, withdrawn_alike
from classifier.registration import Registration, plan


def rows(count: int, probability: float = 0.5, start: int = 0, score: float | None = None) -> list[DrawnRow]:
    random = np.random.default_rng(count + start)
    return [
        DrawnRow(
            cluster=f"c{start + place}",
            score=float(random.random()) if score is None else score,
            wrong=bool(random.random() < 0.02),
            probability=probability,
        )
        for place in range(count)
    ]


def registered(drawn: list[DrawnRow], n: int | None = None, **changes: object) -> Registration:
    made = plan([row.score for row in drawn], gate="0" * 64, runbooks=["r"], alpha=0.05, delta=0.05)
    return Registration.from_dict({**made.as_dict(), "n": n or made.n, **changes})


def test_a_verdict_is_repeated_from_its_export_alone() -> None:
    drawn = rows(600)
    registration = registered(drawn)
    verdict = look(registration, drawn)
    assert verdict.certified
    assert verdict == one_look(
        registration,
        scores=[row.score for row in drawn],
        wrong=[row.wrong for row in drawn],
        clusters=[row.cluster for row in drawn],
    )
    assert recompute(json.loads(json.dumps(exported(registration, drawn)))) == verdict


def test_an_export_with_anything_else_in_it_is_refused() -> None:
    export = exported(registered(rows(600)), rows(600))
    export["rows"][3]["text"] = "hello"
    with pytest.raises(ValueError, match="row 4: text missing or unknown"):
        recompute(export)
    export["rows"][3] = {"cluster": "c", "score": 0.5, "wrong": 1, "probability": 0.5}
    with pytest.raises(ValueError, match="row 4: wrong must be true, false or null"):
        recompute(export)
    with pytest.raises(ValueError, match="no export of format 1"):
        recompute({"rows": []})


def test_only_the_first_registered_clusters_in_draw_order_are_opened() -> None:
    drawn = rows(600)
    registration = registered(drawn)
    assert look(registration, [*drawn, *rows(50, start=600, score=1.0)]) == look(registration, drawn)
    with pytest.raises(NotCertifiable, match="one look at 600 drawn clusters, and 599 are there") as refusal:
        look(registration, drawn[:-1])
    assert refusal.value.needed == 600


def test_unequal_draws_need_a_floor_and_are_thinned_to_it_whole_clusters_at_a_time() -> None:
    mixed = rows(4000, probability=0.2) + rows(4000, probability=0.8, start=4000)
    mixed += [DrawnRow(cluster=row.cluster, score=0.5, wrong=False, probability=row.probability) for row in mixed]
    with pytest.raises(ValueError, match="register a draw_floor"):
        thinned(mixed, floor=None, seed="s")
    kept = thinned(mixed, floor=0.2, seed="s")
    rare, frequent = (sum(row.probability == p for row in kept) / 8000 for p in (0.2, 0.8))
    assert rare == 1.0
    assert frequent == pytest.approx(0.25, abs=0.02)
    counts = {row.cluster: 0 for row in kept}
    for row in kept:
        counts[row.cluster] += 1
    assert set(counts.values()) == {2}
    assert thinned(mixed, floor=0.2, seed="other") != kept == thinned(mixed, floor=0.2, seed="s")


def test_rows_below_the_floor_or_never_drawable_certify_nothing() -> None:
    with pytest.raises(ValueError, match=r"probability 0\.1, below the floor 0\.2"):
        thinned(rows(3, probability=0.1), floor=0.2, seed="s")
    with pytest.raises(NotCertifiable, match="could never have been drawn"):
        rows(1, probability=0.0)


def test_a_cluster_has_one_draw_probability() -> None:
    pair = [DrawnRow(cluster="c", score=0.5, wrong=False, probability=p) for p in (0.2, 0.4)]
    with pytest.raises(ValueError, match="a cluster is drawn as one"):
        thinned(pair, floor=0.2, seed="s")


def test_withdrawn_tickets_are_left_out_only_while_drawn_ones_are_withdrawn_like_the_others() -> None:
    assert withdrawn_alike(drawn=(9, 100), undrawn=(90, 1000))
    assert not withdrawn_alike(drawn=(25, 100), undrawn=(90, 1000))
    assert not withdrawn_alike(drawn=(0, 100), undrawn=(90, 1000))
