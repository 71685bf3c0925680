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


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("LG30", "did you mean one of LG301 to LG309?"),
        ("lg31", "did you mean LG310?"),
        ("LG3100", "did you mean LG310?"),
        ("301", "did you mean LG301?"),
        ("LG41", "did you mean LG410, LG411 or LG412?"),
        ("LG777", "`lossgen explain` lists them"),
        ("log-domian", "did you mean log-domain?"),
        ("LG", "`lossgen explain` lists them"),
        ("nonsense", "`lossgen explain` lists them"),
    ],
)
def test_an_unknown_code_is_wrong_usage(code: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        explain(code)
    assert str(caught.value) == f"no diagnostic {code}; {hint}"


def test_the_list_is_complete() -> None:
    assert [line.split()[0] for line in list_codes().splitlines()] == list(CODES)
