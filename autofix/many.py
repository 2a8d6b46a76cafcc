"""fix_many: repair many models, here or in the processes of any executor."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import nn

from autofix.errors import AutofixError, UsageError
from autofix.pipeline import fix_model
from autofix.repair import Fix
from autofix.transport import receive, receive_back, send, send_back

AHEAD: Final = 4  # models that are under way for each worker

Model = nn.Module | Callable[[], nn.Module]
Result = Fix | Exception


class WorkerDiedError(AutofixError):
    """The process that worked on a model ended without an answer, twice."""

    exit_code = 3


@dataclass(frozen=True)
class _Task:
    """A model under way: what is sent, and what stays here."""

    position: int
    model: Model
    content: bytes
    tensors: list[torch.Tensor]


def fix_many(models: Iterable[Model], executor: Executor | None = None, **options: Any) -> Iterator[Result]:
    """Repair each model; yields, in their order, a Fix or the error that this one model ended with.

    models:   modules, or functions that make one (built where the work is done)
    executor: any concurrent.futures.Executor: a process pool, Dask's `client.get_executor()`; None: here
    options:  of fix_model, the same for all
    The models may be endless: only a few for each worker are taken ahead. A worker that dies costs
    nobody else's result: what it had under way runs again by itself, and what kills a worker twice is
    reported as WorkerDiedError. Weights stay in this process. Raises UsageError for inplace=True.
    """
    if options.pop("inplace", False):
        raise UsageError("fix_many leaves the models alone: inplace is for fix_model")
    return _here(models, options) if executor is None else _Sweep(executor, options).results(models)


def _here(models: Iterable[Model], options: dict[str, Any]) -> Iterator[Result]:
    for model in models:
        try:
            yield fix_model(model if isinstance(model, nn.Module) else model(), **options)
        except Exception as error:
            yield error


class _Sweep:
    """Tasks under way in an executor, which is replaced when it breaks."""

    def __init__(self, executor: Executor, options: dict[str, Any]) -> None:
        self.executor, self.options = executor, options
        self.workers = int(getattr(executor, "_max_workers", 0) or os.cpu_count() or 1)
        self.fresh: Executor | None = None  # ours to shut down
        self.waiting: deque[tuple[_Task, Future[Any]] | Result] = deque()

    def results(self, models: Iterable[Model]) -> Iterator[Result]:
        remaining = enumerate(models)
        try:
            self.fill(remaining)
            while self.waiting:
                yield self.first()
                self.fill(remaining)
        finally:
            for entry in self.waiting:
                if isinstance(entry, tuple):
                    entry[1].cancel()
            if self.fresh is not None:
                self.fresh.shutdown(wait=False, cancel_futures=True)

    def fill(self, remaining: Iterator[tuple[int, Model]]) -> None:
        """Keep the workers busy without taking all models at once."""
        while len(self.waiting) < AHEAD * self.workers:
            item = next(remaining, None)
            if item is None:
                return
            try:
                self.submit(_Task(*item, *send(item[1])))
            except UsageError as error:
                self.waiting.append(error)

    def submit(self, task: _Task) -> None:
        try:
            future = self.executor.submit(work, task.content, self.options, os.getpid())
        except BrokenExecutor as broken:
            future = Future()
            future.set_exception(broken)
        self.waiting.append((task, future))

    def first(self) -> Result:
        """The next result in order."""
        entry = self.waiting.popleft()
        if not isinstance(entry, tuple):
            return entry
        task, future = entry
        try:
            return home(task, future.result())
        except BrokenExecutor:
            return self.recover(task)
        except Exception as error:
            return error

    def recover(self, task: _Task) -> Result:
        """Run the first unfinished task by itself, and send the others, which may be blameless, once more."""
        pending = list(self.waiting)
        self.waiting.clear()
        if self.fresh is not None:
            self.fresh.shutdown(wait=False, cancel_futures=True)
        result = self.alone(task)
        self.executor = self.fresh = self.pool(self.workers)
        for entry in pending:
            if isinstance(entry, tuple) and _is_lost(entry[1]):
                self.submit(entry[0])
            else:
                self.waiting.append(entry)
        return result

    def alone(self, task: _Task) -> Result:
        """One task in a pool of its own: if that breaks, this is the model that breaks it."""
        with self.pool(1) as pool:
            try:
                return home(task, pool.submit(work, task.content, self.options, os.getpid()).result())
            except BrokenExecutor as error:
                died = WorkerDiedError(f"the process that repaired model {task.position} died twice: {error}")
                died.__cause__ = error
                return died
            except Exception as error:
                return error

    def pool(self, workers: int) -> ProcessPoolExecutor:
        """A pool that starts its processes the way the broken one did."""
        context = getattr(self.executor, "_mp_context", None)
        return ProcessPoolExecutor(
            workers,
            mp_context=context,
            initializer=getattr(self.executor, "_initializer", None),
            initargs=getattr(self.executor, "_initargs", ()),
        )


def _is_lost(future: Future[Any]) -> bool:
    """Whether a future will never have an answer; a finished one keeps its own."""
    return not future.done() or future.cancelled() or isinstance(future.exception(), BrokenExecutor)


def work(content: bytes, options: dict[str, Any], sender: int) -> bytes | Exception:
    """What a worker does: receive a model, repair it, send the repair back as bytes."""
    if os.getpid() != sender:
        torch.set_num_threads(1)  # the workers share the cores among them
    try:
        model, made = receive(content)
        fix = fix_model(model if isinstance(model, nn.Module) else model(), inplace=True, **options)
        return send_back(fix, made)
    except Exception as error:
        return _sendable(error)


def _sendable(error: Exception) -> Exception:
    """The error itself where it survives the way back, else what it says."""
    import pickle

    try:
        copy: Exception = pickle.loads(pickle.dumps(error))
    except Exception:
        return AutofixError(f"{type(error).__name__}: {error}")
    return copy


def home(task: _Task, answer: bytes | Exception) -> Result:
    """The repair in this process, on the weights that stayed here."""
    if isinstance(answer, Exception):
        return answer
    fix = receive_back(answer, task.tensors)
    return replace(fix, original=task.model) if isinstance(task.model, nn.Module) else fix
