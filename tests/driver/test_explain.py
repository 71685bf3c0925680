import pytest

from lossgen.diagnostics.codes import CODES
from lossgen.driver.discovery import UsageError
from lossgen.driver.explain import explain, list_codes


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_page(code: str) -> None:
    entry = CODES[code]
    page = explain(code.lower())
    assert page.startswith(f"{code} {entry.name} ({entry.severity.value})\n")
    assert entry.summary.strip() in page
    assert explain(entry.name) == page


def test_an_unknown_code_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="did you mean LG31"):
        explain("LG31")


def test_the_list_is_complete() -> None:
    assert [line.split()[0] for line in list_codes().splitlines()] == list(CODES)
