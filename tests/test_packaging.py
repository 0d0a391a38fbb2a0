"""The wheel in an environment of its own: the card's folders inside the package, no other top-level names."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sdist as a publisher would."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(REPOSITORY)]
    subprocess.run(build, check=True, capture_output=True)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel; its dependencies are read from this one, its own packages are not."""
    home = tmp_path_factory.mktemp("env")
    venv.create(home, with_pip=False)
    site = next(home.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    return home / "bin" / "python"


def test_the_wheel_holds_one_top_level_package(wheel: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"curate"}


def test_the_wheel_filters_its_own_sample(python: Path, tmp_path: Path) -> None:
    code = """
import curate, pathlib
from curate.recipe import built_in_recipes
from curate.registry import built_in_filters
home = pathlib.Path(curate.__file__).parent
result = curate.filter(home / "data" / "sample.jsonl")
print(home, result.summary.rows_in, len(built_in_filters()), len(built_in_recipes()))
"""
    ran = subprocess.run([python, "-E", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    home, rows, filters, recipes = ran.stdout.split()
    assert Path(home).is_relative_to(python.parent.parent)
    assert int(rows) == 399
    assert int(filters) == len(list((REPOSITORY / "filters").glob("[a-z]*.py")))
    assert int(recipes) == len(list((REPOSITORY / "filters" / "recipes").glob("*.yaml")))


def test_each_module_imports_without_torch_or_a_gpu(python: Path, tmp_path: Path) -> None:
    code = """
import importlib, pkgutil, sys, curate
names = [m.name for m in pkgutil.walk_packages(curate.__path__, "curate.")]
for name in names:
    importlib.import_module(name)
print(len(names), [n for n in ("torch", "vllm", "transformers") if n in sys.modules])
"""
    ran = subprocess.run([python, "-E", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.split(maxsplit=1)[1].strip() == "[]"
    assert int(ran.stdout.split()[0]) > 40
