"""What happens while a trainer trains: progress, the log of every step, a person who stops it, a loss that is none."""

import math
from pathlib import Path
from typing import Any

import orjson

from curate.working import Working


class Watcher:
    """A callback, beside transformers' own class: tells how far training is, logs each step, ends it where it must.

    `not_a_number`: the step whose loss was none; nothing is saved from there on.
    """

    def __init__(self, log: Path, working: Working) -> None:
        self.log, self.working = log, working
        self.not_a_number: int | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Forget what an earlier run logged after the checkpoint that is gone on from."""
        if not state.is_world_process_zero:
            return
        lines = self.log.read_bytes().splitlines() if self.log.exists() else []
        kept = [line for line in lines if orjson.loads(line)["step"] <= state.global_step]
        self.log.write_bytes(b"".join(line + b"\n" for line in kept))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Note the step."""
        told = logs or {}
        if state.is_world_process_zero and ("loss" in told or "eval_loss" in told):
            with self.log.open("ab") as file:
                file.write(orjson.dumps({"step": state.global_step, **told}) + b"\n")
        loss = told.get("loss")
        if loss is not None and not math.isfinite(loss):
            self.not_a_number = state.global_step
            control.should_training_stop, control.should_save, control.should_evaluate = True, False, False
        elif loss is not None:
            self.working.report("training", state.global_step, state.max_steps, f"loss {loss:.3f}")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop with a checkpoint where a person asked to."""
        if self.working.stop.is_set():
            control.should_save = control.should_training_stop = True
