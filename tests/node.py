"""Packages of npm's that tests use: installed once, outside the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

CACHE = Path(tempfile.gettempdir(), "care-gateway-node")
INSTALL = ("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", ".")
PATIENCE = 60


def node_modules(*packages: str) -> Path:
    """A folder where ``packages`` (name@version) are installed; skips where they can't be.

    It stands in ``GATEWAY_NODE_MODULES``, or else among the temporary files, and is kept.
    """
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("Node and npm aren't installed")
    cache = Path(os.environ.get("GATEWAY_NODE_MODULES") or CACHE)
    folder = cache / "+".join(packages).replace("/", "-")
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as made:
            _install(Path(made), packages)
            if not folder.exists():  # another worker may have been faster
                Path(made).rename(folder)
                Path(made).mkdir()
    return folder


def _install(folder: Path, packages: tuple[str, ...]) -> None:
    try:
        done = subprocess.run(
            [*INSTALL, *packages], cwd=folder, capture_output=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry doesn't answer")
    if done.returncode:
        pytest.skip(f"can't be installed from npm's registry: {', '.join(packages)}")
