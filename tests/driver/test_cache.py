"""A build with a cache is a build without, but for the time that it takes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lossgen.diagnostics.render import render_text
from lossgen.diagnostics.source import SourceFile
from lossgen.driver import cache_key
from lossgen.driver.build import BuildMode, BuildResult, build, check
from lossgen.driver.cache import Cache, opened
from lossgen.driver.discovery import find_specs
from lossgen.driver.formats import Format
from lossgen.driver.project import Project, load_project
from lossgen.driver.report import report_build
from lossgen.driver.signature import clock, observe, signature_of

AddSpec = Callable[..., Path]
CHECK = BuildMode(check=True)


class Builder:
    """Builds, and counts what was compiled."""

    def __init__(self, folder: Path, compile_one) -> None:
        self.folder = folder
        self.compile_one = compile_one
        self.compiled: list[str] = []

    def __call__(
        self, *, cached: bool = True, mode: BuildMode | None = None
    ) -> BuildResult:
        self.compiled = []
        project = load_project(self.folder)
        if not cached:
            return self._build(project, mode, None)
        with opened(project) as cache:
            return self._build(project, mode, cache)

    def _build(
        self, project: Project, mode: BuildMode | None, cache: Cache | None
    ) -> BuildResult:
        selection = find_specs(project)
        compile_one = self._counted
        return build(
            project, selection, mode, jobs=1, compile_one=compile_one, cache=cache
        )

    def _counted(self, source: SourceFile):
        self.compiled.append(Path(source.path).stem)
        return self.compile_one(source)


@pytest.fixture
def run(folder: Path, compile_one) -> Builder:
    return Builder(folder, compile_one)


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """All that is said of a build, in every format."""

    def said(result: BuildResult, mode: BuildMode | None = None) -> str:
        for format_ in Format:
            report_build(result, mode or BuildMode(), format_)
        return capsys.readouterr().out

    return said


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (folder / "generated").iterdir()}


def test_what_is_known_is_not_compiled(add_spec: AddSpec, run: Builder) -> None:
    add_spec("a")
    add_spec("b")
    assert run().ok
    assert run.compiled == ["a", "b"]
    run()
    assert run.compiled == []
    add_spec("b", "changed")
    assert run().ok
    assert run.compiled == ["b"]


def test_findings_are_reported_again(
    folder: Path, add_spec: AddSpec, run: Builder, report: Callable[..., str]
) -> None:
    add_spec("a", "note\nwarning")
    add_spec("b", "error")
    add_spec("c", "name: d\nwarning")
    (folder / "specs" / "e.yaml").write_bytes(b"\xff")
    run()
    known = report(run())
    assert run.compiled == []
    assert "warning[LG407]" in known
    assert "error[LG203]" in known
    assert "LG110" in known
    assert known == report(run(cached=False))


def test_a_fault_of_lossgen_is_not_kept(add_spec: AddSpec, run: Builder) -> None:
    add_spec("a")
    add_spec("b", "crash")
    run()
    assert not run().ok
    assert run.compiled == ["b"]


def test_check_knows_what_a_build_found_and_the_other_way_round(
    folder: Path, add_spec: AddSpec, run: Builder
) -> None:
    add_spec("a", "warning")
    project = load_project(folder)

    def checked():
        with opened(project) as cache:
            return check(
                project,
                find_specs(project),
                jobs=1,
                compile_one=run._counted,
                cache=cache,
            )

    (built,) = run().outcomes
    run.compiled = []
    (found,) = checked()
    assert run.compiled == []
    assert render_text(found.diagnostics) == render_text(built.diagnostics)
    add_spec("b", "error")
    _, found = checked()
    assert run.compiled == ["b"]
    _, built = run().outcomes
    assert run.compiled == []
    assert render_text(found.diagnostics) == render_text(built.diagnostics)


def test_warnings_become_errors_afterwards(
    folder: Path, add_spec: AddSpec, run: Builder
) -> None:
    add_spec("a", "warning")
    assert run().ok
    (folder / "lossgen.toml").write_text("warnings-as-errors = true\n")
    assert not run().ok
    assert run.compiled == []


def spoil(folder: Path) -> None:
    generated = folder / "generated"
    (generated / "a.py").unlink()
    with (generated / "b.py").open("a") as file:
        file.write("# mine\n")
    text = (generated / "c.py").read_bytes()
    (generated / "c.py").write_bytes(text.replace(b"\n", b"\r\n"))
    text = (generated / "test_c.py").read_bytes()
    (generated / "test_c.py").write_bytes(text.replace(b"'", b"~"))  # the same size
    (generated / "test_b.py").write_text("# mine\n")
    (folder / "specs" / "d.yaml").unlink()


@pytest.mark.parametrize(
    "mode", [CHECK, BuildMode(), BuildMode(force=True), BuildMode(prune=True)]
)
def test_drift_is_seen_as_without(
    folder: Path,
    add_spec: AddSpec,
    run: Builder,
    report: Callable[..., str],
    mode: BuildMode,
) -> None:
    said, files = [], []
    for cached in (True, False):
        for name in "abcd":
            add_spec(name)
        for path in folder.glob("generated/*"):
            path.unlink()
        run()
        run()
        spoil(folder)
        said.append(report(run(cached=cached, mode=mode), mode))
        assert run.compiled == ([] if cached else ["a", "b", "c"])
        files.append(contents(folder))
    assert said[0] == said[1]
    assert files[0] == files[1]


def test_an_edit_that_leaves_size_and_time_is_seen(
    folder: Path, add_spec: AddSpec, run: Builder
) -> None:
    add_spec("a", "0")
    run()
    run()
    for path in (folder / "specs" / "a.yaml", folder / "generated" / "a.py"):
        before = path.stat()
        path.write_text(path.read_text().replace("0", "1"))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [item.code.id for item in run(mode=CHECK).findings] == ["LG501", "LG503"]
    assert run.compiled == ["a"]


def touch_template(folder: Path) -> None:
    (folder / "own").mkdir(exist_ok=True)
    (folder / "own" / "loss_module.py.jinja").write_text("new")
    (folder / "lossgen.toml").write_text('templates = "own"\n')


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "lossgen.toml").write_text('package = "other"\n'),
        lambda folder: (folder / "lossgen.toml").write_text('module = "other"\n'),
        lambda folder: (folder / "lossgen.toml").write_text(
            "[defaults]\nepsilon = 0.1\n"
        ),
        touch_template,
    ],
)
def test_what_shapes_the_output_invalidates(
    folder: Path, add_spec: AddSpec, run: Builder, change: Callable[[Path], None]
) -> None:
    add_spec("a")
    run()
    change(folder)
    run()
    assert run.compiled == ["a"]
    run()
    assert run.compiled == []


@pytest.mark.parametrize("name", ["black", "sympy", "jinja2", "mpmath", "numpy"])
def test_another_version_invalidates(
    add_spec: AddSpec, run: Builder, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_spec("a")
    run()
    installed = cache_key.versions(cache_key.SHAPING)
    monkeypatch.setattr(
        cache_key, "versions", lambda names: {**installed, name: "0.0.1"}
    )
    run()
    assert run.compiled == ["a"]


def test_another_source_of_lossgen_invalidates(
    add_spec: AddSpec, run: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "elsewhere"
    source.mkdir()
    (source / "module.py").write_text("1")
    monkeypatch.setattr(cache_key, "PACKAGE", str(source))
    add_spec("a")
    run()
    (source / "module.py").write_text("2")
    run()
    assert run.compiled == ["a"]


def truncate(cache: Path) -> None:
    data = (cache / "index.json").read_bytes()
    (cache / "index.json").write_bytes(data[: len(data) // 2])


def scramble(cache: Path) -> None:
    data = (cache / "index.json").read_bytes()
    (cache / "index.json").write_bytes(data.replace(b"a.py", b"b.py"))


def shadow(cache: Path) -> None:
    (cache / "index.json").unlink()
    (cache / "index.json").mkdir()


def spoil_texts(cache: Path) -> None:
    for path in (cache / "texts").iterdir():
        path.write_text("spoilt")


def remove_texts(cache: Path) -> None:
    for path in (cache / "texts").iterdir():
        path.unlink()


def replace_by_file(cache: Path) -> None:
    for path in (*(cache / "texts").iterdir(), *cache.iterdir()):
        path.rmdir() if path.is_dir() else path.unlink()
    cache.rmdir()
    cache.write_text("")


@pytest.mark.parametrize(
    "damage",
    [truncate, scramble, shadow, spoil_texts, remove_texts, replace_by_file],
)
def test_damage_is_survived(
    folder: Path, add_spec: AddSpec, run: Builder, damage: Callable[[Path], None]
) -> None:
    add_spec("a", "warning")
    run()
    expected = contents(folder)
    damage(folder / ".lossgen_cache")
    for path in (folder / "generated").iterdir():
        path.unlink()
    result = run()
    assert [item.code.id for item in result.diagnostics] == ["LG407"]
    assert run.compiled == ["a"]
    assert contents(folder) == expected


def test_a_text_outside_of_the_folders_is_not_written(
    folder: Path, add_spec: AddSpec, run: Builder
) -> None:
    add_spec("a")
    with opened(load_project(folder)) as cache:
        run._build(load_project(folder), None, cache)
        cache._entries["specs/a.yaml"]["artifacts"][0][0]["path"] = "../a.py"
    run()
    assert run.compiled == ["a"]
    assert not (folder / "a.py").exists()


def test_two_builds_at_once(folder: Path, add_spec: AddSpec, run: Builder) -> None:
    add_spec("a")
    add_spec("b")
    with opened(load_project(folder)) as first, opened(load_project(folder)) as second:
        run._build(load_project(folder), None, first)
        add_spec("b", "changed")
        run._build(load_project(folder), None, second)
    expected = contents(folder)
    assert run(mode=CHECK).ok
    for path in (folder / "generated").iterdir():
        path.unlink()
    assert run().ok
    assert contents(folder) == expected


def test_what_was_compiled_is_kept_when_a_build_is_interrupted(
    add_spec: AddSpec, run: Builder, compile_one
) -> None:
    add_spec("a")
    add_spec("b")

    def interrupted(source: SourceFile):
        if source.path.endswith("b.yaml"):
            raise KeyboardInterrupt
        return compile_one(source)

    run.compile_one = interrupted
    with pytest.raises(KeyboardInterrupt):
        run()
    run.compile_one = compile_one
    run()
    assert run.compiled == ["b"]


def test_a_spec_that_changes_meanwhile_is_not_mistaken(
    folder: Path, add_spec: AddSpec, compile_one
) -> None:
    add_spec("a")

    def compile_slowly(source: SourceFile):
        add_spec("a", "changed")
        return compile_one(source)

    Builder(folder, compile_slowly)()
    after = Builder(folder, compile_one)
    after()
    assert after.compiled == ["a"]


def test_removed_specs_are_forgotten(
    folder: Path, add_spec: AddSpec, run: Builder
) -> None:
    add_spec("a")
    add_spec("b")
    run()
    (folder / "specs" / "a.yaml").unlink()
    add_spec("b", "changed")
    run(mode=BuildMode(prune=True))
    cache = folder / ".lossgen_cache"
    entries = json.loads((cache / "index.json").read_bytes().partition(b"\n")[2])
    assert list(entries) == ["specs/b.yaml"]
    assert len(list((cache / "texts").iterdir())) == 1  # that of module and test


def test_what_was_just_written_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a")
    seen = observe(path, path.stat().st_mtime_ns)
    assert seen is not None
    assert seen.signature is None
    later = observe(path, path.stat().st_ctime_ns + 1)
    assert later is not None
    assert later.signature == signature_of(path)
    assert observe(tmp_path / "nothing", 0) is None


def test_the_clock_is_that_of_files(tmp_path: Path) -> None:
    (tmp_path / "before").write_text("")
    now = clock(str(tmp_path))
    (tmp_path / "after").write_text("")
    before, after = (
        (tmp_path / name).stat().st_mtime_ns for name in ("before", "after")
    )
    assert before <= now <= after
    assert {path.name for path in tmp_path.iterdir()} == {"before", "after"}
