from lossgen.driver.resources import catalogue_folder, templates_folder


def test_both_exist() -> None:
    assert templates_folder().is_dir()
    assert catalogue_folder().is_dir()
