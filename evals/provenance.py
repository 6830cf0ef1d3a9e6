"""What a run was made with: versions, commit, prompt. Knows no run."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from jinja2 import Environment
from jinja2.meta import find_referenced_templates

from agent.prompts.base import FOLDER

_VERSIONED = ("glimpse", "torch", "transformers", "tokenizers", "playwright", "pillow", "numpy", "miniwob")


def versions() -> dict[str, str]:
    """Python's, the platform's and the installed libraries', by name."""
    found = {"python": platform.python_version(), "platform": platform.platform(), "cores": str(os.cpu_count())}
    for name in _VERSIONED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The git commit this code is at, with "+" when files differ from it; None when this file is not in git."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def prompt_hash(prompt: str, folder: Path = FOLDER) -> str:
    """SHA-256, in hexadecimal, of the files a prompt protocol is made of: its code and its wording, with those it shares with others.

    folder: where the protocols are.
    """
    files = {folder / "base.py", *folder.glob(f"{prompt}.*")}
    new = {file for file in files if file.suffix == ".jinja2"}
    while new:
        named = {name for file in new for name in find_referenced_templates(Environment().parse(file.read_text("utf-8"))) if name}
        new = {folder / name for name in named} - files
        files |= new
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def config_hash(settings: Mapping[str, Any]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the settings as JSON with sorted keys."""
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]
