"""The tests are tested: a rule that is changed in one spot disagrees with torch on some sample of its row."""

from __future__ import annotations

from collections.abc import Iterator

import mutation
import pytest
import torch
from mutation_equivalents import EQUIVALENT

SAMPLED = 400


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_mutants_are_noticed() -> None:
    """Evenly spread over the files; `python tests/mutation.py` tries all."""
    chosen = mutation.every()
    chosen = chosen[:: len(chosen) // SAMPLED]
    survivors = [mutant.name for mutant in chosen if not mutant.equivalent and mutation.survives(mutant)]
    assert not survivors


def test_a_mutant_that_nothing_can_notice_survives() -> None:
    """Or `survives` would be true of nothing."""
    known = [mutant for mutant in mutation.mutants("window") if mutant.equivalent]
    assert known
    assert all(mutation.survives(mutant) for mutant in known)


def test_rules_are_afterwards_what_they_were() -> None:
    sample = "nn.Conv1d(2, 3, 3) @ 2,2,H"
    mutant = next(m for m in mutation.mutants("formula") if "window_size" in m.path)
    assert not mutation.survives(mutant)
    assert not mutation.case(sample).noticed()


def test_equivalents_are_mutants() -> None:
    """A reason whose mutant is gone is stale."""
    names = {mutant.name for file in mutation.FILES for mutant in mutation.mutants(file)}
    assert EQUIVALENT.keys() <= names
