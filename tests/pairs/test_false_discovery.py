"""q-values against statsmodels, and what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from pairs.false_discovery import expected_false, q_values

p_lists = st.lists(st.floats(0.0, 1.0), max_size=60)
METHODS = {"bh": "fdr_bh", "by": "fdr_by"}


@pytest.mark.parametrize("method", METHODS)
@given(p=p_lists.filter(len))
def test_q_values_are_statsmodels(method, p):
    theirs = multipletests(p, method=METHODS[method])[1]

    assert q_values(p, method) == pytest.approx(theirs, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("method", METHODS)
@given(p=p_lists)
def test_a_q_value_is_at_least_its_p_and_keeps_the_order(method, p):
    q = q_values(p, method)

    order = np.argsort(p, kind="stable")
    assert (np.diff(q[order]) >= 0.0).all()
    assert (q >= np.minimum(np.array(p) * (1.0 - 1e-12), 1.0)).all() and (q <= 1.0).all()


@given(p=p_lists.filter(len), seed=st.integers(0, 99))
def test_the_order_of_the_tests_does_not_matter(p, seed):
    shuffled = np.random.default_rng(seed).permutation(len(p))

    assert np.array_equal(q_values(np.array(p)[shuffled]), q_values(p)[shuffled])


@given(p=p_lists.filter(len))
def test_any_dependence_costs_more_than_none(p):
    assert (q_values(p, "by") >= q_values(p, "bh")).all()


def test_one_test_is_believed_as_it_is():
    assert q_values([0.03]).tolist() == q_values([0.03], "by").tolist() == [0.03]


@pytest.mark.parametrize("method", METHODS)
def test_the_share_of_false_finds_is_held(method):
    """1,000 scans of 180 pairs of noise and 20 true ones: the mean share of false finds is below the level."""
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(1_000):
        p = np.concatenate([rng.uniform(size=180), rng.uniform(size=20) ** 8])
        believed = q_values(p, method) <= 0.1
        shares.append(believed[:180].sum() / max(1, believed.sum()))

    assert np.mean(shares) < 0.1
    assert np.mean(shares) > (0.07 if method == "bh" else 0.0)  # 0.1 of 180 / 200


@pytest.mark.parametrize("p", [[0.5, np.nan], [-0.1], [1.1], [[0.5]]])
def test_what_is_no_p_value_is_refused(p):
    with pytest.raises(ValueError, match="p-values from 0 to 1"):
        q_values(p)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="found 'holm'"):
        q_values([0.5], "holm")


def test_chance_is_counted():
    assert expected_false(435, 0.05) == 21.75
