from pathlib import Path

import pytest

from lossgen.driver import catalogue
from lossgen.driver.catalogue import catalogue_files, catalogue_spec, family
from lossgen.driver.discovery import UsageError


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "robust").mkdir()
    (tmp_path / "mse.yaml").write_text("# Squares\nname: mse  # short\nloss: a\n")
    (tmp_path / "robust" / "two.yaml").write_text(
        "name: huber\nloss: b\n---\nname: 'tukey'\nloss: c\n"
    )
    (tmp_path / "README.md").write_text("name: no\n")
    monkeypatch.setattr(catalogue, "catalogue_folder", lambda: tmp_path)
    return tmp_path


def test_files_and_families() -> None:
    shown = [file.shown for file in catalogue_files()]
    assert shown == ["mse.yaml", "robust/two.yaml"]
    assert [family(path) for path in shown] == ["", "robust"]


def test_documents_by_name() -> None:
    assert catalogue_spec("mse").startswith("# Squares\n")
    assert catalogue_spec("huber") == "name: huber\nloss: b\n"
    assert catalogue_spec("tukey") == "name: 'tukey'\nloss: c\n"


def test_an_unknown_name_is_corrected() -> None:
    with pytest.raises(UsageError, match="did you mean huber"):
        catalogue_spec("hubert")
