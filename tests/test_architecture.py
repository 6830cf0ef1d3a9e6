"""The house rules, read from the source: which package knows which, where heavy libraries live, how large pieces grow."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT: dict[str, set[str]] = {
    "environments": set(),
    "model": set(),
    "tools": {"environments"},
    "agent": {"tools", "model", "environments"},
    "evals": {"agent", "tools", "model", "environments"},
    "glimpse": {"agent", "tools", "model", "environments", "evals"},
}
HOMES = {
    "torch": "model/",
    "transformers": "model/",
    "tokenizers": "model/",
    "safetensors": "model/",
    "huggingface_hub": "model/",
    "accelerate": "model/",
    "peft": "model/adapter",
    "llguidance": "model/",
    "numba": "model/",
    "llvmlite": "model/",
    "playwright": "environments/browser",
    "pyautogui": "environments/desktop",
    "pyperclip": "environments/desktop",
    "Xlib": "environments/desktop",
    "mss": "environments/desktop",
    "datasets": "evals/grounding/hub",
    "matplotlib": "evals/charts",
    "ray": "evals/cluster",
    "pyarrow": "evals/mind2web_records",
    "gymnasium": "evals/gym.py",
    "inspect_ai": "evals/inspect_log.py",
}
OPTIONAL = (
    "environments/desktop", "evals/charts", "evals/cluster", "evals/grounding/hub", "evals/gym.py", "evals/inspect_log.py",
    "evals/mind2web_records",
)  # fmt: skip
"""Homes whose libraries are extras."""
FAMILIES = {
    "environments": {"browser", "desktop", "osworld", "static"},
    "tools": {"browser", "computer", "control", "desktop"},
    "model": {"glm4v_moe", "scripted", "server"},
    "agent.prompts": {"compact", "desktop", "tool_call"},
}
"""Pieces of one kind, each of which must be removable without the others noticing. Benchmarks are one more family."""
DISTRIBUTIONS = {
    "PIL": "pillow",
    "Xlib": "python3-xlib",
    "pydantic_core": "pydantic",
    "huggingface_hub": "transformers",
    "pyarrow": "datasets",
    "inspect_ai": "inspect-ai",
}  # each brought by the other
FILE_LINES, FUNCTION_LINES = 400, 60


def sources() -> list[Path]:
    return sorted(path for package in MAY_IMPORT for path in (*ROOT.glob(f"{package}.py"), *(ROOT / package).rglob("*.py")))


def everything() -> list[Path]:
    """Without the programs that tests start with the system's own Python."""
    tests = [path for path in sorted((ROOT / "tests").rglob("*.py")) if path.parent.name != "programs"]
    return [*sources(), *tests, *sorted((ROOT / "benchmarks").rglob("*.py"))]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(node: ast.AST) -> Iterator[str]:
    """Every name imported anywhere beneath a node, with what is taken out of it: "agent.base.Step"."""
    for found in ast.walk(node):
        if isinstance(found, ast.Import):
            yield from (alias.name for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            assert found.level == 0, "imports are absolute"
            yield from (f"{found.module}.{alias.name}" for alias in found.names)


def imports_when_run(path: Path) -> set[str]:
    """The modules of ours that importing this one imports: at its top level, outside `if TYPE_CHECKING`."""
    known = {module_of(source) for source in sources()}
    top = [node for node in tree_of(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {name for node in top for name in imported(node)}
    return {name if name in known else name.rpartition(".")[0] for name in names} & known - {module_of(path)}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_from_below(package: str) -> None:
    for path in sources():
        if module_of(path).split(".")[0] == package:
            above = {name.split(".")[0] for name in imported(tree_of(path))} & MAY_IMPORT.keys() - MAY_IMPORT[package] - {package}
            assert not above, f"{path.relative_to(ROOT)} imports {above}"


def test_pieces_of_one_kind_do_not_know_each_other() -> None:
    benchmarks = {path.stem for path in (ROOT / "evals").glob("*.py") if "\ndef make(" in path.read_text(encoding="utf-8")}
    for package, family in {**FAMILIES, "evals": benchmarks}.items():
        members = {f"{package}.{name}" for name in family}
        for path in sources():
            own = next((member for member in members if f"{module_of(path)}.".startswith(f"{member}.")), None)
            if own is not None:
                others = {name for name in imported(tree_of(path)) for other in members - {own} if f"{name}.".startswith(f"{other}.")}
                assert not others, f"{path.relative_to(ROOT)} imports {others}"


def test_no_module_is_its_own_ancestor() -> None:
    graph = {module_of(path): imports_when_run(path) for path in sources()}

    def descend(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " → ".join((*trail, module))
        for child in graph[module]:
            descend(child, (*trail, module))

    for module in graph:
        descend(module, ())


def test_every_heavy_library_has_one_home() -> None:
    for path in sources():
        place = path.relative_to(ROOT).as_posix()
        for library in {name.split(".")[0] for name in imported(tree_of(path))} & HOMES.keys():
            assert place.startswith(HOMES[library]), f"{place} imports {library}, whose home is {HOMES[library]}"


def test_importing_every_package_loads_nothing_heavy() -> None:
    code = "import agent, tools, environments, evals, model, glimpse, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert "glimpse" in loaded
    assert not HOMES.keys() & set(loaded)


def test_files_and_functions_stay_small() -> None:
    for path in everything():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= FILE_LINES, f"{path.relative_to(ROOT)} has {lines} lines: two nouns in one file?"
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                assert length <= FUNCTION_LINES, f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {length} lines"


def test_nothing_is_mocked() -> None:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        tree = tree_of(path)
        assert not {name for name in imported(tree) if name.startswith(("unittest", "mock", "pytest_mock"))}, path
        for node in ast.walk(tree):
            patched = isinstance(node, ast.Attribute) and node.attr in ("setattr", "setitem", "patch") and isinstance(node.value, ast.Name)
            assert not patched, f"{path.relative_to(ROOT)} replaces behaviour at run time"


def test_every_package_is_listed_and_every_library_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {module_of(path) for path in sources() if path.name == "__init__.py"}
    assert set(project["tool"]["setuptools"]["packages"]) == packages
    declared = {requirement.partition(">=")[0] for requirement in project["project"]["dependencies"]}
    extras = {requirement.partition(">=")[0] for extra in project["project"]["optional-dependencies"].values() for requirement in extra}
    for path in everything():
        own = path in sources()
        for name in {name.split(".")[0] for name in imported(tree_of(path))} - set(sys.stdlib_module_names) - MAY_IMPORT.keys():
            known = declared if own and HOMES.get(name) not in OPTIONAL else declared | extras
            local = name in ("tests", "benchmarks") or (path.parent / f"{name}.py").exists()
            assert local or DISTRIBUTIONS.get(name, name) in known, f"{path.relative_to(ROOT)} imports {name}, which is not declared"


def test_what_is_installed_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    for requirement in (*project["dependencies"], *project["optional-dependencies"]["dev"], *project["optional-dependencies"]["evals"]):
        name = requirement.partition(">=")[0]
        assert name in pinned or name.startswith("glimpse["), f"{name} has no pin in constraints.txt"
