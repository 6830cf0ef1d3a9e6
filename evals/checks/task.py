"""A task file in OSWorld's format (github.com/xlang-ai/OSWorld, evaluation_examples): read and checked, not yet understood.

What a setup step, a getter or a metric means is known by their own files; a name that none of them knows is told there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from evals.base import EvalError


class Unsupported(EvalError):
    """A task that asks for what is not here: a setup step, getter or metric of that name, or a file that would have to be downloaded."""


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Named(BaseModel):
    """A getter as the file writes it: a type, and that type's own keys beside it."""

    model_config = ConfigDict(frozen=True, extra="allow")
    type: str

    def keys(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class ConfigStep(Strict):
    """One step of a setup."""

    type: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class Evaluator(BaseModel):
    """How the end is judged. func, result, expected and options are parallel where func is a list; conj joins their scores.

    postconfig: steps done before anything is looked at. func "infeasible": right is to say that it cannot be done.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    func: tuple[str, ...] = Field(min_length=1)
    result: tuple[Named | None, ...] = ()
    expected: tuple[Named | None, ...] = ()
    options: tuple[dict[str, Any], ...] = ()
    conj: Literal["and", "or"] = "and"
    postconfig: tuple[ConfigStep, ...] = ()

    @field_validator("func", "result", "expected", "options", mode="before")
    @classmethod
    def _listed(cls, value: Any, field: ValidationInfo) -> Any:
        found = [] if value is None else value if isinstance(value, list | tuple) else [value]
        return [(one or {}) if field.field_name == "options" else one or None for one in found]

    @property
    def infeasible(self) -> bool:
        return self.func == ("infeasible",)


class TaskFile(BaseModel):
    """A task. Keys that only OSWorld's own tools use (trajectory, proxy, source …) are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    id: str = Field(min_length=1)
    snapshot: str = ""
    instruction: str = Field(min_length=1)
    related_apps: tuple[str, ...] = ()
    config: tuple[ConfigStep, ...] = ()
    evaluator: Evaluator

    @field_validator("config", "related_apps", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return value or ()


def load(file: Path) -> TaskFile:
    """The task in a file. Raises EvalError, naming the file and the first thing that is wrong with it."""
    try:
        return TaskFile.model_validate_json(file.read_bytes())
    except OSError as error:
        raise EvalError(f"{file} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise EvalError(f"{file} is no task file: {where + ': ' if where else ''}{first['msg']}.") from None


def load_all(folder: Path) -> dict[str, TaskFile]:
    """The tasks of all .json files of a folder, however deep, by id and in the order of their paths.

    Files of lists (OSWorld's test_all.json and the like) are not tasks and are not read. Raises EvalError as `load` does, when two have one
    id, and when there is none.
    """
    tasks: dict[str, TaskFile] = {}
    for file in sorted(folder.rglob("*.json")):
        if file.name.startswith("test_"):
            continue
        task = load(file)
        if task.id in tasks:
            raise EvalError(f"{file}: there is another task {task.id!r} in {folder}.")
        tasks[task.id] = task
    if not tasks:
        raise EvalError(f"{folder} holds no task files.")
    return tasks
