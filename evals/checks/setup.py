"""Setup steps of task files: `config` and `postconfig`. One class a type, with the keys that OSWorld's setup controller takes."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, ValidationError

from environments.base import EnvironmentFault
from evals.checks.machine import Command, Machine, Ran
from evals.checks.task import ConfigStep, Strict, Unsupported

ATTEMPTS, PAUSE = 20, 0.5
"""How often a command with `until` is run, and seconds between."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a task happens. files: the folder that relative paths of start files begin at. kept: the folder of what was copied from the
    machine to be judged, and of the outputs of commands that a step asks to keep."""

    machine: Machine
    files: Path
    kept: Path


class Setup(Strict):
    """One kind of step."""

    type: ClassVar[str]

    def check(self, files: Path) -> None:
        """Raise Unsupported when it can be told beforehand that the step cannot be done; `files` as in Scene."""

    @abstractmethod
    def do(self, scene: Scene) -> None:
        """Raises EnvironmentFault when it fails."""


class Until(Strict):
    returncode: int | None = None
    stdout: str | None = None
    stderr: str | None = None

    def met(self, ran: Ran) -> bool:
        return (
            (self.returncode is None or ran.returncode == self.returncode)
            and (self.stdout is None or self.stdout in ran.output)
            and (self.stderr is None or self.stderr in ran.error)
        )


class Execute(Setup):
    """Run a command to its end, again until a condition holds where one is given; stdout, stderr: names to keep its output under."""

    type = "execute"
    command: str | tuple[str, ...]
    stdout: str = ""
    stderr: str = ""
    shell: bool = False
    until: Until | None = None

    def do(self, scene: Scene) -> None:
        command = _filled(self.command, scene.machine.size)
        ran = scene.machine.run(command, shell=self.shell)
        for _ in range(ATTEMPTS if self.until else 0):
            if self.until is None or self.until.met(ran):
                break
            time.sleep(PAUSE)
            ran = scene.machine.run(command, shell=self.shell)
        for name, text in ((self.stdout, ran.output), (self.stderr, ran.error)):
            if name:
                (scene.kept / Path(name).name).write_text(text, encoding="utf-8")


class CommandStep(Execute):
    type = "command"


class Launch(Setup):
    """Start a program."""

    type = "launch"
    command: str | tuple[str, ...]
    shell: bool = False

    def do(self, scene: Scene) -> None:
        command = _filled(self.command, scene.machine.size)
        one_line = not self.shell and not isinstance(command, str) and len(command) == 1 and " " in command[0]
        scene.machine.launch(command[0] if one_line else command, shell=self.shell)


class Sleep(Setup):
    type = "sleep"
    seconds: float = Field(ge=0, le=600)

    def do(self, scene: Scene) -> None:
        time.sleep(self.seconds)


class LocalFile(Strict):
    local_path: str
    path: str


class UploadFile(Setup):
    """Copy files of this computer to the machine."""

    type = "upload_file"
    files: tuple[LocalFile, ...]

    def check(self, files: Path) -> None:
        for file in self.files:
            if not (files / file.local_path).is_file():
                raise Unsupported(f"the start file {file.local_path} is not in {files}")

    def do(self, scene: Scene) -> None:
        for file in self.files:
            scene.machine.write(file.path, (scene.files / file.local_path).read_bytes())


class DistantFile(Strict):
    url: str
    path: str


class Download(Setup):
    """Start files that OSWorld loads from the web; here they have to be in the folder of start files, under the URL's last name."""

    type = "download"
    files: tuple[DistantFile, ...]

    def check(self, files: Path) -> None:
        for file in self.files:
            if not (files / _last(file.url)).is_file():
                raise Unsupported(f"the start file {file.url} has to be downloaded: put it into {files}")

    def do(self, scene: Scene) -> None:
        for file in self.files:
            scene.machine.write(file.path, (scene.files / _last(file.url)).read_bytes())


class Open(Setup):
    """Open a file with the program that the machine has for it."""

    type = "open"
    path: str

    def do(self, scene: Scene) -> None:
        scene.machine.launch(["xdg-open", self.path])


class _Window(Setup):
    window_name: str
    strict: bool = False
    by_class: bool = False


class ActivateWindow(_Window):
    """Bring a window to the front. Unlike OSWorld's, this waits for a window that is not there yet."""

    type = "activate_window"

    def do(self, scene: Scene) -> None:
        scene.machine.activate(self.window_name)


class CloseWindow(_Window):
    type = "close_window"

    def do(self, scene: Scene) -> None:
        scene.machine.close(self.window_name)


KINDS: dict[str, type[Setup]] = {
    kind.type: kind for kind in (Execute, CommandStep, Launch, Sleep, UploadFile, Download, Open, ActivateWindow, CloseWindow)
}


def steps_of(config: Sequence[ConfigStep], files: Path | None = None) -> list[Setup]:
    """The steps of a setup. files: as in Scene, to check that they are there. Raises Unsupported, in one line."""
    steps = []
    for step in config:
        if step.type not in KINDS:
            raise Unsupported(f"the setup step {step.type!r} is not supported")
        try:
            steps.append(KINDS[step.type].model_validate(step.parameters))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise Unsupported(f"the setup step {step.type!r} is not as expected: {where}: {first['msg']}") from None
        if files is not None:
            steps[-1].check(files)
    return steps


def set_up(config: Sequence[ConfigStep], scene: Scene) -> None:
    """Do all steps in order. Raises EnvironmentFault when one fails."""
    for step in steps_of(config):
        try:
            step.do(scene)
        except OSError as error:
            raise EnvironmentFault(f"The setup step {step.type!r} failed: {error}") from error


def _filled(command: Command, size: tuple[int, int]) -> Command:
    """The placeholders that OSWorld fills with the screen's size; `size` is width and height in pixels."""
    width, height = size
    values: dict[str, Any] = {
        "{SCREEN_WIDTH}": width, "{SCREEN_HEIGHT}": height, "{SCREEN_WIDTH_HALF}": width // 2, "{SCREEN_HEIGHT_HALF}": height // 2,
    }  # fmt: skip

    def fill(word: str) -> str:
        for name, value in values.items():
            word = word.replace(name, str(value))
        return word

    return fill(command) if isinstance(command, str) else [fill(word) for word in command]


def _last(url: str) -> str:
    return url.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
