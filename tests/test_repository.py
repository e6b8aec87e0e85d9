"""The house rules that a machine can check: file size, layers, safe loading, a true README."""

from __future__ import annotations

import ast
import functools
import graphlib
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
PACKAGE = SOURCE / "cldis"
MODULES = sorted(PACKAGE.rglob("*.py"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

MAX_LINES = 400
# Folder of cldis -> folders that it may import from. Its own and `EVERYWHERE` go without saying.
LAYERS: dict[str, set[str]] = {
    "data": set(),
    "networks": set(),
    "diffusion": set(),
    "metrics": set(),
    "loop": {"networks", "diffusion"},
    "methods": {"networks", "diffusion", "loop"},
}
LAYERS["training"] = set(LAYERS)
ABOVE = set(LAYERS) | {"model"}  # what starts from a trained model
LAYERS["navigation"] = ABOVE
LAYERS["hub"] = ABOVE | {"navigation"}
LAYERS["editing"] = ABOVE | {"navigation"}
LAYERS["tracking"] = ABOVE | {"navigation", "editing"}
LAYERS["pages"] = ABOVE | {"navigation", "editing", "tracking"}
LAYERS["explorer"] = ABOVE | {"navigation", "editing", "tracking", "pages"}
LAYERS["bench"] = ABOVE | {"navigation", "editing", "tracking"}
LAYERS["commands"] = set(LAYERS) | {"model"}
# Top-level helpers that every folder may use; they use only each other.
EVERYWHERE = {"arrays", "checks", "config", "config_model", "config_upgrade", "images", "io"}
EVERYWHERE |= {"progress", "text"}
# Settings are checked against the table of methods, which is data and imports nothing heavy.
TABLE = {"config": "cldis.methods.find_method"}
# Nothing on the way to `cldis --help` may load these.
HEAVY = (
    "torch",
    "diffusers",
    "accelerate",
    "sklearn",
    "scipy",
    "matplotlib",
    "pyarrow",
    "cv2",
    "gradio",
    "playwright",
)
PICKLES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Every (line, absolute dotted name) that a module imports, at its top or lazily."""
    package = path.relative_to(SOURCE).with_suffix("").parts[:-1]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def part_of(path: Path) -> str:
    """The first name under cldis: a folder, or the stem of a top-level module."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=120
    )


def cldis(*arguments: str) -> subprocess.CompletedProcess[str]:
    return python("-c", "import sys; from cldis.cli import main; sys.exit(main())", *arguments)


def test_no_file_is_too_long() -> None:
    lengths = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert {name: n for name, n in lengths.items() if n > MAX_LINES} == {}


def test_every_module_says_what_it_is() -> None:
    silent = [name_of(p) for p in MODULES if p.stat().st_size and not ast.get_docstring(tree_of(p))]
    assert silent == []


def test_layers_import_only_what_lies_below() -> None:
    wrong = []
    for path in MODULES:
        part = part_of(path)
        if part in EVERYWHERE:
            allowed = set(EVERYWHERE)
        elif part in LAYERS:
            allowed = LAYERS[part] | EVERYWHERE | {part}
        else:
            continue  # cldis itself and the command line stand on top of everything
        for line, name in imports_of(path):
            names = name.split(".")
            ours = names[0] == "cldis" and name != TABLE.get(part)
            if ours and (len(names) == 1 or names[1] not in allowed):
                wrong.append(f"{name_of(path)}:{line} imports {name}")
    assert wrong == []


def test_the_table_of_methods_imports_words_alone() -> None:
    names = [name for _, name in imports_of(PACKAGE / "methods" / "__init__.py")]
    ours = {name for name in names if name.startswith("cldis")}
    assert ours == {"cldis.text.named"}  # which imports nothing of ours, see `EVERYWHERE`


def test_contributing_shows_the_same_layers() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)/` \|[^|]*\| ([^|]*) \|$", text, flags=re.MULTILINE)
    shown = {folder: set(re.findall(r"`(\w+)`", allowed)) for folder, allowed in rows}
    assert shown == {folder: allowed - {folder} for folder, allowed in LAYERS.items()}
    named = text.split("for every method.")[1].split("may be imported from everywhere")[0]
    assert set(re.findall(r"`(\w+)`", named)) == EVERYWHERE


def test_every_folder_is_a_package_with_a_layer() -> None:
    folders = {path.parent for path in MODULES}
    assert [name_of(path) for path in folders if not (path / "__init__.py").exists()] == []
    assert {part_of(path) for path in folders - {PACKAGE}} <= set(LAYERS)


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph() -> dict[str, set[str]]:
    """Module -> modules of ours that it imports: at its top, in a function, or for its types."""
    paths = {module_of(path): path for path in MODULES}
    graph: dict[str, set[str]] = {}
    for module, path in paths.items():
        names = {name for _, name in imports_of(path)}
        owners = {name if name in paths else name.rpartition(".")[0] for name in names}
        graph[module] = (owners & set(paths)) - {module}
    return graph


def test_no_import_closes_a_circle() -> None:
    """An import inside a function counts: it may spare `--help` time, but not hide a circle."""
    graph = import_graph()
    assert "cldis.data" in graph["cldis.commands.photos"]  # which imports it in a function
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"imports go round: {' <- '.join(error.args[1])}")


def unsafe_loads(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Lines that can run code from a file, or that load weights leniently."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {word.arg: ast.unparse(word.value) for word in node.keywords}
        restricted = called == "torch.load" and given.get("weights_only") == "True"
        if called in {"torch.load", "torch.save"} and not restricted:
            yield node.lineno, f"{called} pickles; use safetensors"
        if re.search(r"accelerator\.(save|load)_state$", called):
            yield node.lineno, f"{called} pickles random states; use cldis.training.checkpoint"
        if called in {"np.load", "numpy.load"} and given.get("allow_pickle") != "False":
            yield node.lineno, f"{called} needs allow_pickle=False"
        if given.get("allow_pickle") == "True":
            yield node.lineno, f"{called} with allow_pickle=True"
        if called.endswith("load_state_dict") and given.get("strict") == "False":
            yield node.lineno, f"{called} with strict=False hides missing weights"


def test_nothing_is_loaded_with_pickle() -> None:
    found = []
    for path in MODULES:
        found += [f"{name_of(path)}:{line} {what}" for line, what in unsafe_loads(tree_of(path))]
        for line, name in imports_of(path):
            if name.split(".")[0] in PICKLES:
                found.append(f"{name_of(path)}:{line} imports {name}")
    assert found == []


def test_one_module_reads_checkpoints_of_others() -> None:
    """By the restricted reader of PyTorch, which makes nothing but tensors (decision 4)."""
    calls = [
        p
        for p in MODULES
        if p.is_relative_to(PACKAGE)
        for node in ast.walk(tree_of(p))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    assert [name_of(path) for path in calls] == ["src/cldis/training/lightning.py"]


@pytest.mark.parametrize(
    "line",
    [
        "torch.load('x')",
        "torch.load('x', weights_only=False)",
        "torch.load('x', weights_only=safe)",
        "torch.save(a, 'x')",
        "self.accelerator.load_state('x')",
        "np.load('x')",
        "numpy.load('x', allow_pickle=True)",
        "np.save('x', a, allow_pickle=True)",
        "model.load_state_dict(s, strict=False)",
    ],
)
def test_the_pickle_check_itself(line: str) -> None:
    assert list(unsafe_loads(ast.parse(line)))
    assert not list(unsafe_loads(ast.parse("np.load('x', allow_pickle=False)")))


def test_no_unfinished_marks_and_no_paths_of_one_machine() -> None:
    # Written so that this file does not find itself.
    marks = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X])\b|(?<![\w.])/(wor[k]|roo[t])/\w")
    texts = [*MODULES, *DOCUMENTS, *(ROOT / "tests").rglob("*.py")]
    texts += [ROOT / name for name in ("Makefile", "pyproject.toml", "constraints-cpu.txt")]
    found = []
    for path in texts:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if marks.search(line):
                found.append(f"{name_of(path)}:{number} {line.strip()}")
    assert found == []


def test_documents_point_at_files_that_exist() -> None:
    missing = []
    for path in DOCUMENTS:
        text = path.read_text("utf-8")
        links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
        targets = [path.parent / link for link in links if "://" not in link]
        targets += [ROOT / name for name in re.findall(r"\bsrc/cldis/[\w/.]*\w", text)]
        missing += [f"{name_of(path)} -> {target}" for target in targets if not target.exists()]
    assert missing == []


def test_modules_cite_files_that_exist() -> None:
    missing = []
    for path in MODULES:
        text = path.read_text("utf-8")
        cited = re.findall(
            r"\b(?:docs|results|benchmarks|tests)/[\w./-]*\w\.(?:md|py|json)\b", text
        )
        missing += [f"{name_of(path)} -> {name}" for name in cited if not (ROOT / name).exists()]
        missing += [f"{name_of(path)} -> DESIGN" for _ in re.findall(r"\bDESIGN\b", text)]
    templates = {"results/SUITE.md"}  # a name with a place to fill
    assert [line for line in missing if line.split(" -> ")[1] not in templates] == []


def readme_commands() -> list[list[str]]:
    """Command lines in the fenced blocks of README.md, comments stripped, as words."""
    text = (ROOT / "README.md").read_text("utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line.split(" #")[0].split() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and line[0].endswith(("cldis", "make"))]


def test_readme_commands_exist() -> None:
    commands = readme_commands()
    assert any(line[0].endswith("cldis") for line in commands)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    helps: dict[str, str] = {}
    for line in commands:
        name, *words = line
        if name == "make":
            assert words[0] in targets, line
            continue
        if words[0].startswith("-"):
            continue
        if words[0] not in helps:
            answer = cldis(words[0], "--help")
            assert answer.returncode == 0, f"{line}: {answer.stderr}"
            helps[words[0]] = answer.stdout
        for option in (word.strip("[]") for word in words if word.strip("[").startswith("--")):
            known = re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", helps[words[0]])
            assert known, f"{' '.join(line)}: no {option} in its help"


def test_help_answers_within_a_second() -> None:
    """Processor time, so that a busy machine does not fail it."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        answer = cldis("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        assert answer.returncode == 0, answer.stderr
    assert min(times) < 1.0


def test_the_way_to_an_edit_loads_only_what_it_needs() -> None:
    """`diffusers` alone takes as long to import as `torch`."""
    code = (
        "import sys, torch, cldis.commands.photos, cldis.editing.edit, cldis.editing.photos\n"
        "from cldis.methods.build import build\n"
        "from cldis.model import Model\n"
        "from cldis.training.recipes import recipe_config\n"
        "model = Model(build(recipe_config('tiny')), torch.zeros(6), torch.ones(6))\n"
        "model.edit(torch.zeros(1, 3, 32, 32), {0: 1.0}, steps=1)\n"
        f"print([name for name in {(*HEAVY[1:], 'torch._dynamo')!r} if name in sys.modules])"
    )
    answer = python("-c", code)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == "[]"


def test_the_way_to_help_loads_nothing_heavy() -> None:
    light = ["cldis", "cldis.cli", "cldis.config", "cldis.io", "cldis.text", "cldis.bench.suites"]
    light += [
        ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for path in MODULES
        if path.stem == "recipes"
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {light!r}: importlib.import_module(name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    answer = python("-c", code)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == "[]"
