"""Getters of task files: what is fetched from the machine, and the rules it is compared with. One class a type, with OSWorld's keys."""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, ValidationError

from evals.checks.setup import Scene
from evals.checks.task import Named, Strict, Unsupported


class Getter(Strict):
    """One kind of thing to look at. A file is given as the path of a copy; None stands for what is not there."""

    type: ClassVar[str]

    @abstractmethod
    def get(self, scene: Scene) -> Any: ...


class Rule(Getter):
    """What is written in the task file."""

    type = "rule"
    rules: Any

    def get(self, scene: Scene) -> Any:
        return self.rules


class VmFile(Getter):
    """A file of the machine. multi: `path` and `dest` are lists, and so is what is given."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    type = "vm_file"
    path: str | tuple[str, ...]
    dest: str | tuple[str, ...] = ""
    multi: bool = False

    def get(self, scene: Scene) -> Path | list[Path | None] | None:
        if isinstance(self.path, str):
            return _copy(scene, self.path, str(self.dest))
        return [_copy(scene, path, name) for path, name in zip(self.path, self.dest, strict=True)]


class CacheFile(Getter):
    """A file that a step has kept."""

    type = "cache_file"
    path: str

    def get(self, scene: Scene) -> Path | None:
        kept = scene.kept / Path(self.path).name
        return kept if kept.is_file() else None


class _Run(Getter):
    model_config = ConfigDict(frozen=True, extra="ignore")
    command: str | tuple[str, ...]
    shell: bool = False


class VmCommandLine(_Run):
    """What a command writes to its output."""

    type = "vm_command_line"

    def get(self, scene: Scene) -> str:
        return scene.machine.run(self.command, shell=self.shell).output


class VmCommandError(_Run):
    type = "vm_command_error"

    def get(self, scene: Scene) -> str:
        return scene.machine.run(self.command, shell=self.shell).error


class GimpConfigFile(Getter):
    type = "gimp_config_file"
    file_name: str
    dest: str = ""

    def get(self, scene: Scene) -> Path | None:
        return _copy(scene, f"~/.config/GIMP/2.10/{self.file_name}", self.dest)


class VlcConfig(Getter):
    type = "vlc_config"
    dest: str = ""

    def get(self, scene: Scene) -> Path | None:
        return _copy(scene, "~/.config/vlc/vlcrc", self.dest)


class VmScreenSize(Getter):
    type = "vm_screen_size"

    def get(self, scene: Scene) -> dict[str, int]:
        return dict(zip(("width", "height"), scene.machine.size, strict=True))


KINDS: dict[str, type[Getter]] = {
    kind.type: kind for kind in (Rule, VmFile, CacheFile, VmCommandLine, VmCommandError, GimpConfigFile, VlcConfig, VmScreenSize)
}


def getter_of(named: Named) -> Getter:
    """Raises Unsupported, in one line."""
    if named.type not in KINDS:
        raise Unsupported(f"the getter {named.type!r} is not supported")
    try:
        return KINDS[named.type].model_validate(named.keys())
    except ValidationError as error:
        first = error.errors()[0]
        raise Unsupported(f"the getter {named.type!r} is not as expected: {first['loc'][0]}: {first['msg']}") from None


def _copy(scene: Scene, path: str, name: str) -> Path | None:
    data = scene.machine.read(path)
    if data is None:
        return None
    kept = Path(tempfile.mkdtemp(dir=scene.kept)) / (Path(name).name or Path(path).name)  # two of one name must not be compared with itself
    kept.write_bytes(data)
    return kept
