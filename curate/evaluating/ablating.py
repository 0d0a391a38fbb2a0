"""Which recipe picks the rows that a model learns most from: each picks as much from one pool, each trains a model.

`ablate(["raw.jsonl"], ["random", "longest"], test=["test.jsonl"], model="NAME", budget=Budget(tokens=25000))`
trains six models and says which recipe is really better than chance.
"""

import dataclasses
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import xxhash

from curate.errors import StoppedError, UsageError
from curate.evaluating.loss import evaluate_loss
from curate.filtering import filter as filter_rows
from curate.judging.agreement import Values
from curate.models.in_process import identity
from curate.models.opening import forget_model
from curate.pool import check_inputs, make_work_dir, read_pool
from curate.recipe import Recipe, load_recipe
from curate.reporting.ablation import write_ablation
from curate.seeded import shuffled_rank
from curate.training.opening import open_tokenizer
from curate.training.settings import SftSettings
from curate.training.sft import train_sft
from curate.training.tokens import tokens_of
from curate.whole import whole_file
from curate.working import Working

CHANCE = "random"
"""What every recipe is held against; added where it is not named."""
CERTAINTY = 0.95
TRIES = 8
"""How often a recipe is asked for another number of rows, until these have the tokens that were asked for."""
CLOSE = 0.97
"""Share of the budget from which on a pick is as large as asked."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much each recipe picks: rows, or tokens of whole conversations as the model reads them."""

    rows: int | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        if (self.rows is None) == (self.tokens is None):
            raise UsageError("a budget is a number of rows or of tokens", "as in --rows 1000, or --tokens 25000")

    def __str__(self) -> str:
        return f"{self.rows:,} rows" if self.rows else f"{self.tokens:,} tokens"


@dataclass(frozen=True)
class Arm:
    """A model that was trained on what a recipe picked with a seed; `loss`: on the test rows, in nats a token."""

    key: str
    recipe: str
    seed: int
    rows: int
    tokens: int
    loss: float
    seconds: float


@dataclass(frozen=True)
class Against:
    """A recipe over its seeds: the mean loss with its 95 % interval (Student's t), and its difference from chance,
    seed by seed, with an interval that holds for all recipes together (Bonferroni)."""

    recipe: str
    mean: float
    low: float
    high: float
    rows: float
    tokens: float
    apart: float
    apart_low: float
    apart_high: float

    @property
    def verdict(self) -> str:
        """`better`, `worse`, or `noise`."""
        return "better" if self.apart_high < 0 else "worse" if self.apart_low > 0 else "noise"


@dataclass(frozen=True)
class Ablation:
    """All arms, recipes from the lowest loss to the highest, the loss of the untrained model, and what it comes to."""

    arms: list[Arm]
    recipes: list[Against]
    untrained: float
    conclusion: str
    output: Path


def ablate(
    inputs: Sequence[str],
    recipes: Sequence[str],
    *,
    test: Sequence[str],
    model: str,
    budget: Budget,
    settings: SftSettings,
    seeds: int = 3,
    leave_one_out: bool = False,
    output: str | Path = "ablation",
    work_dir: str | Path = ".curate",
    working: Working | None = None,
) -> Ablation:
    """Pick, train and measure, arm by arm; an arm that is done is not done again, whatever else is asked next.

    `leave_one_out`: of one recipe, also as it would be without each of its filters. Raises UsageError for what can't
    be, StoppedError where a recipe picks nothing that can be learnt.
    """
    working, work, out = working or Working(), Path(work_dir), Path(output)
    check_inputs([*inputs, *test], work)
    make_work_dir(work)
    (out / "arms").mkdir(parents=True, exist_ok=True)
    settings = dataclasses.replace(settings, validation=0.0)
    names = [*recipes] if CHANCE in recipes else [CHANCE, *recipes]
    if leave_one_out:
        if len(recipes) != 1:
            raise UsageError("--leave-one-out takes one recipe apart", "name one --recipe")
        names += _without_each(recipes[0], out / "recipes", working)
    if len(names) < 2:
        raise UsageError("there is nothing to compare with chance", "name a --recipe")
    pools = [read_pool(files, work, working=working).fingerprint for files in (inputs, test)]
    asked = {"pools": pools, "model": identity(model), "settings": settings.as_dict(), "budget": str(budget)}
    plan = []
    for seed in range(seeds):
        for name in names:
            key = xxhash.xxh3_64_hexdigest(
                orjson.dumps(asked | {"recipe": load_recipe(name, seed=seed).as_dict(), "seed": seed}, default=str)
            )
            plan.append((name, seed, key))
    quiet = dataclasses.replace(working, notice=lambda _: None, report=lambda *_: None)
    files = {key: out / "arms" / f"{key}.json" for _, _, key in plan}
    done = sum(file.exists() for file in files.values())
    working.notice(
        f"{len(plan)} arms, {len(names)} recipes with {seeds} seeds, each {budget} for {settings.epochs:g} epochs; "
        f"{done} are done already"
    )
    before = xxhash.xxh3_64_hexdigest(orjson.dumps([pools[1], asked["model"], settings.max_length]))
    file = out / "arms" / f"untrained-{before}.json"
    if not file.exists():
        loss = _loss(model, test, settings, work, quiet)
        with whole_file(file) as opened:
            opened.write(orjson.dumps(loss))
    untrained = float(orjson.loads(file.read_bytes()))
    working.notice(f"the loss of the untrained model: {untrained:.4f} nats a token")
    arms: list[Arm] = []
    for k, (name, seed, key) in enumerate(plan):
        working.check()
        if not files[key].exists():
            began = time.monotonic()
            picked, rows, tokens = _picked(inputs, name, seed, budget, model, settings, out, work, quiet)
            loss = _trained(picked, test, key, seed, model, settings, out, work, quiet)
            arm = Arm(key, load_recipe(name).name, seed, rows, tokens, loss, time.monotonic() - began)
            with whole_file(files[key]) as opened:
                opened.write(orjson.dumps(dataclasses.asdict(arm)))
            left = sum(not files[later].exists() for _, _, later in plan)
            working.notice(
                f"{name}, seed {seed}: {rows:,} rows, {tokens:,} tokens, loss {loss:.4f}; "
                f"about {left * arm.seconds / 60:,.0f} min for the {left} arms left"
            )
        arms.append(Arm(**orjson.loads(files[key].read_bytes())))
        working.report("training arms", k + 1, len(plan))
    found = against_chance(arms)
    ablation = Ablation(arms, found, untrained, conclusion(found, seeds, budget), out)
    write_ablation(out / "ablation.html", ablation, model, str(budget))
    with whole_file(out / "ablation.json") as opened:
        opened.write(orjson.dumps(dataclasses.asdict(ablation) | {"output": str(out)}, option=orjson.OPT_INDENT_2))
    return ablation


def against_chance(arms: Sequence[Arm]) -> list[Against]:
    """Each recipe over its seeds, the lowest mean loss first; intervals are infinite where there is one seed."""
    names = list(dict.fromkeys(arm.recipe for arm in arms))
    losses = {name: np.array([arm.loss for arm in arms if arm.recipe == name]) for name in names}
    several = max(len(names) - 1, 1)
    found = []
    for name in names:
        own, apart = losses[name], losses[name] - losses[CHANCE]
        wide = _half_width(own, CERTAINTY)
        apart_wide = 0.0 if name == CHANCE else _half_width(apart, 1 - (1 - CERTAINTY) / several)
        of = [arm for arm in arms if arm.recipe == name]
        found.append(
            Against(
                name,
                float(own.mean()),
                float(own.mean() - wide),
                float(own.mean() + wide),
                float(np.mean([arm.rows for arm in of])),
                float(np.mean([arm.tokens for arm in of])),
                float(apart.mean()),
                float(apart.mean() - apart_wide),
                float(apart.mean() + apart_wide),
            )
        )
    return sorted(found, key=lambda each: each.mean)


def conclusion(found: Sequence[Against], seeds: int, budget: Budget) -> str:
    """A plain sentence or three: which differences from chance are real."""
    others = [each for each in found if each.recipe != CHANCE]
    if seeds < 2:
        return "One seed tells nothing of chance: take three or more."
    said = []
    for verdict, how in (("better", "beat"), ("worse", "did worse than")):
        names = [f"{each.recipe} ({each.apart:+.4f})" for each in others if each.verdict == verdict]
        if names:
            said.append(f"{' and '.join(names)} really {how} random at {budget}.")
    if not any(each.verdict == "better" for each in others):
        said.insert(0, f"No recipe beat random at {budget}.")
    if noise := [each.recipe for each in others if each.verdict == "noise"]:
        said.append(f"Of {', '.join(noise)}, {seeds} seeds can't tell a difference from random.")
    return " ".join(said)


def _half_width(values: Values, certainty: float) -> float:
    from scipy.stats import t

    if len(values) < 2:
        return float("inf")
    return float(t.ppf((1 + certainty) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def _without_each(name: str, folder: Path, working: Working) -> list[str]:
    """Files of the recipe without each of its filters; what selects N rows stays."""
    recipe = load_recipe(name)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for k, step in enumerate(recipe.steps):
        if hasattr(step.filter, "n"):
            continue
        text = recipe.as_dict()
        text["name"] = f"without-{step.name}"
        text["steps"] = [each for j, each in enumerate(text["steps"]) if j != k]
        file = folder / f"without-{step.name}.yaml"
        file.write_bytes(orjson.dumps(text, default=str))  # which is YAML too
        try:
            load_recipe(str(file))
        except UsageError as error:
            working.notice(f"{step.name} can't be left out: {error.message}")
            continue
        files.append(str(file))
    return files


def _loss(model: str, test: Sequence[str], settings: SftSettings, work: Path, quiet: Working) -> float:
    try:
        found = evaluate_loss(f"hf:{model}", test, max_length=settings.max_length, work_dir=work, working=quiet)
    finally:
        forget_model(f"hf:{model}")
    return float(found.loss.value or 0.0)


def _picked(
    inputs: Sequence[str],
    name: str,
    seed: int,
    budget: Budget,
    model: str,
    settings: SftSettings,
    out: Path,
    work: Path,
    quiet: Working,
) -> tuple[Path, int, int]:
    """A file of what a recipe picks, no more than the budget, and its rows and tokens."""
    tokenizer = open_tokenizer(model, quiet)
    recipe = load_recipe(name, seed=seed)
    file = out / "picked.jsonl"
    keep = (budget.rows or max((budget.tokens or 0) // 200, 1)) if selects(recipe) else None
    most = len(read_pool(inputs, work, working=quiet))
    for _ in range(TRIES):
        filter_rows(inputs, file, recipe=name, keep=keep, seed=seed, work_dir=work, working=quiet)
        pool = read_pool([str(file)], work, working=quiet)
        rows, _ = tokens_of(pool, tokenizer, settings)
        tokens = sum(len(row.ids) for row in rows)
        if keep is None or budget.tokens is None or tokens >= CLOSE * budget.tokens or keep >= most or len(pool) < keep:
            break
        keep = min(int(keep * min(1.02 * budget.tokens / max(tokens, 1), 4)) + 1, most)
    if not rows:
        raise StoppedError(f"recipe {name} picks no row that can be learnt", "look at it: curate filter --dry-run")
    order = np.argsort(shuffled_rank(np.array([row.row for row in rows]), seed), kind="stable")
    sizes = np.cumsum([len(rows[k].ids) for k in order])
    enough = budget.rows or int(np.searchsorted(sizes, budget.tokens or 0, side="right")) or 1
    taken = sorted(rows[k].row for k in order[:enough])
    lines = file.read_bytes().splitlines(keepends=True)
    with whole_file(file) as opened:
        opened.writelines(lines[row] for row in taken)
    return file, len(taken), int(sizes[min(enough, len(sizes)) - 1])


def selects(recipe: Recipe) -> bool:
    """Whether a number of rows can be asked of a recipe."""
    return any(hasattr(step.filter, "n") for step in recipe.steps)


def _trained(
    picked: Path,
    test: Sequence[str],
    key: str,
    seed: int,
    model: str,
    settings: SftSettings,
    out: Path,
    work: Path,
    quiet: Working,
) -> float:
    """The loss on the test rows of a model that was trained on a pick; the model itself is not kept."""
    folder = out / f"model-{key}"
    train_sft([str(picked)], folder, model=model, settings=settings, seed=seed, work_dir=work, working=quiet)
    loss = _loss(str(folder), test, settings, work, quiet)
    shutil.rmtree(folder)
    return loss
