"""Build one virtual environment a competitor, in ``benchmarks/.env-NAME``: ``python benchmarks/environments.py [NAME ...]``.

Each has its own, so that what one requires never decides the version of another's; Evidently and NannyML do not
import with pandas 3. An environment that exists is brought to the versions named here.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = {
    "baselines": [
        "numpy==2.4.6",
        "scipy==1.17.1",
        "pandas==3.1.1",
        "pyarrow==26.0.1",
        "duckdb==2.0.0",
        "polars==2.1.0",
        "scikit-learn==1.9.1",
    ],
    "evidently": ["evidently==0.7.23", "numpy==2.4.6", "scipy==1.17.1", "pandas==2.3.3", "pyarrow==26.0.1"],
    "nannyml": [
        "nannyml==0.13.1",
        "numpy==2.4.6",
        "scipy==1.17.1",
        "pandas==2.3.3",
        "pyarrow==26.0.1",
        "statsmodels==0.14.6",  # imported without being required
    ],
}


def python_of(name: str) -> Path:
    """Return the interpreter of environment ``name``, whether or not it is there."""
    return HERE / f".env-{name}" / "bin" / "python"


def build(name: str) -> None:
    """Create environment ``name`` if need be and install its requirements."""
    python = python_of(name)
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", HERE / f".env-{name}"], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS[name]], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(REQUIREMENTS)}; all if none")
    for name in parser.parse_args().names or REQUIREMENTS:
        if name not in REQUIREMENTS:
            parser.error(f"no environment is called {name!r}: choose from {', '.join(REQUIREMENTS)}")
        print(f"building .env-{name}", flush=True)
        build(name)
