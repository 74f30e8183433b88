"""A scan on a Dask cluster gives the scan of one process, to the last bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from management.cli import main
from pairs import all_pairs
from pairs.all_pairs import Terms, pairwise_cointegration
from pairs.pair_tests import PairTests
from research.scan.errors import ScanError
from research.scan.executors import pair_tester
from tests.research.markets import market, market_folder, walk


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two worker processes, and nothing but this machine."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", silence_logs=50
    ) as running:
        yield running


def executor(cluster: Any) -> str:
    return f"dask://{cluster.scheduler_address.removeprefix('tcp://')}"


def same_bits(one: PairTests, other: PairTests) -> bool:
    pairs = ((getattr(one, field.name), getattr(other, field.name)) for field in fields(PairTests))
    return all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in pairs)


def test_two_workers_give_the_bits_of_one_process(cluster: Any) -> None:
    prices = np.array([walk(seed, 300) for seed in range(130)])
    blocks = all_pairs.partition(len(prices))
    done: list[int] = []
    with pair_tester(executor(cluster)) as tester:
        found = tester(prices, Terms(autolag="bic"), on_block=lambda block: done.append(block.pairs))
    assert len(blocks) > 1 and sum(done) == len(found) == 130 * 129 // 2
    assert same_bits(found, pairwise_cointegration(prices, Terms(autolag="bic")))


def test_the_command_writes_the_same_file_from_a_cluster(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = market_folder(tmp_path / "bars", market(1, 3))
    scan = ["scan", "--data", str(folder), "--bars", "700", "--windows", "2", "--simulated-pairs", "60", "--no-plots"]
    assert main([*scan, "--csv", "local.csv", "--json", "local.json"]) == 0
    assert main([*scan, "--csv", "dask.csv", "--json", "dask.json", "--executor", executor(cluster)]) == 0
    for name in ("csv", "json"):
        assert Path(f"local.{name}").read_bytes() == Path(f"dask.{name}").read_bytes()


def test_several_universes_give_what_each_gives_alone(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = [market_folder(tmp_path / name, market(*counts)) for name, counts in (("east", (1, 3)), ("west", (2, 2)))]
    scan = ["scan", "--bars", "700", "--windows", "2", "--simulated-pairs", "60", "--no-plots"]
    each = [word for folder in folders for word in ("--data", str(folder))]
    assert main([*scan, *each, "--csv", "all.csv", "--executor", executor(cluster)]) == 0
    shown = capsys.readouterr().out
    assert shown.index("Universe east") < shown.index("Wrote all_east.csv") < shown.index("Universe west")
    for folder in folders:
        assert main([*scan, "--data", str(folder), "--csv", "alone.csv"]) == 0
        assert Path("alone.csv").read_bytes() == Path(f"all_{folder.name}.csv").read_bytes()
        names = ("pairs_config.json", f"pairs_config_{folder.name}.json")
        alone, together = (json.loads(Path(name).read_text())["pairs"] for name in names)
        assert alone == together


def test_too_little_data_is_said_from_a_cluster_too(cluster: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    folder = market_folder(tmp_path / "bars", market(1, 1, 100))
    scan = ["scan", "--data", str(folder), "--bars", "100", "--max-lag", "90", "--executor", executor(cluster)]
    assert main(scan) == 2


def test_a_scheduler_without_workers_is_said() -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=0, dashboard_address="127.0.0.1:0", host="127.0.0.1", silence_logs=50
        ) as empty,
        pair_tester(executor(empty)) as tester,
        pytest.raises(ScanError, match="has no worker: start some"),
    ):
        tester(np.array([walk(seed, 300) for seed in range(3)]), Terms(), on_block=lambda block: None)


@pytest.mark.parametrize(
    ("where", "words"),
    [("dask://127.0.0.1:9", "no Dask scheduler answers at 127.0.0.1:9"), ("spark://x", "known: local, dask://")],
)
def test_an_executor_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, where: str, words: str) -> None:
    monkeypatch.setattr("research.scan.executors.PATIENCE_S", 0.5)
    with pytest.raises(ScanError, match=words), pair_tester(where):
        pass
