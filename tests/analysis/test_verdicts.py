"""Published and faulty losses: the verdict is the one that was worked out by hand."""

import pytest
from verdict_cases import answer, load

CASES = load()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_verdict(case):
    given = answer(case)
    if not case.expected.agrees(given):
        pytest.fail(
            f"{case.name}\nexpected {case.expected}\nfound    {given}\n"
            f"because: {case.because}",
            pytrace=False,
        )


def test_the_set():
    refused = [case for case in CASES if case.expected.verdict == "refused"]
    assert len(refused) >= 40
    assert len(CASES) - len(refused) >= 62
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        expected = case.expected
        assert (expected.verdict == "continuous") == bool(expected.kinks), case.name
        assert (expected.verdict == "refused") == bool(expected.codes), case.name
