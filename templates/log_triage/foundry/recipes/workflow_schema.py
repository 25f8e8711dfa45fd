"""Workflow and action files that do not match GitHub's schema, as check-jsonschema sees them."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Workshop
from understudy.templates.log_triage.foundry.recipes.workflow_shapes import action, job, quiet_steps, workflow

__all__: list[str] = []

_REQUIRES = ("check-jsonschema",)


def _invalid(shop: Workshop, path: str, evidence: tuple[str, ...], subject: str, why: str, fix: str) -> Fault:
    """Check ``path``, which must be refused; ``why`` ends the sentence that names it."""
    schema = "github-workflows" if "workflows" in path else "github-actions"
    quiet_steps(shop)
    flags = shop.rng.choice(("", "", "--color never ", "--no-cache "))
    target = (
        shop.rng.choice((path, f"{path.rpartition('/')[0] or '.'}/*.yml")) if schema == "github-workflows" else path
    )
    step = shop.failing(f"check-jsonschema {flags}--builtin-schema vendor.{schema} {target}")
    what = "workflow" if schema == "github-workflows" else "action"
    return Fault(step, (f"{path}::$", *evidence), subject, f"The {what} `{path}` is invalid: {why}", fix)


@recipe(
    "workflow.unknown-key",
    tool="check-jsonschema",
    category="github_actions_config",
    origin="config",
    requires=_REQUIRES,
)
def unknown_key(shop: Workshop) -> Fault:
    """A job has a key that jobs do not have."""
    wrong = shop.names.pick(
        ("step", "run-on", "environments", "timeout", "depends-on", "image", "when", shop.names.noun())
    )
    path = workflow(shop, job(shop, extra=[f"{wrong}: {shop.names.noun()}"]))
    evidence = (f"('{wrong}' was unexpected)",)
    return _invalid(shop, path, evidence, wrong, f"`{wrong}` is not allowed.", f"Remove or rename `{wrong}`.")


@recipe(
    "workflow.unknown-top-key",
    tool="check-jsonschema",
    category="github_actions_config",
    origin="config",
    requires=_REQUIRES,
)
def unknown_top_key(shop: Workshop) -> Fault:
    """The file has a top-level key that workflows do not have."""
    wrong = shop.names.pick(("stages", "variables", "job", "image", "triggers", "language", shop.names.noun()))
    path = workflow(shop, job(shop), top=[f"{wrong}:", f"  {shop.names.noun()}: {shop.rng.randint(1, 9)}"])
    evidence = (f"('{wrong}' was unexpected)",)
    return _invalid(shop, path, evidence, wrong, f"`{wrong}` is not allowed.", f"Remove or rename `{wrong}`.")


@recipe(
    "workflow.missing-runner",
    tool="check-jsonschema",
    category="github_actions_config",
    origin="config",
    requires=_REQUIRES,
)
def missing_runner(shop: Workshop) -> Fault:
    """A job does not say where it runs."""
    path = workflow(shop, job(shop, runner=None))
    evidence = ("'runs-on' is a required property",)
    return _invalid(shop, path, evidence, "runs-on", "`runs-on` is missing.", "Add `runs-on` to the job.")


@recipe(
    "workflow.unknown-trigger",
    tool="check-jsonschema",
    category="github_actions_config",
    origin="config",
    requires=_REQUIRES,
)
def unknown_trigger(shop: Workshop) -> Fault:
    """The workflow starts on an event that does not exist."""
    wrong = shop.names.pick(("pushes", "merge", "pull-request", "tag", "commit", "nightly", "merge_request", "on_push"))
    other = shop.names.pick(("push", "pull_request", "workflow_dispatch"))
    trigger = shop.rng.choice((f"on: {wrong}", f"on: [{other}, {wrong}]", f"on:\n  - {wrong}\n  - {other}"))
    path = workflow(shop, job(shop), trigger=trigger)
    evidence = (f"'{wrong}' is not one of",)
    return _invalid(
        shop, path, evidence, wrong, f"`{wrong}` is not a known event.", f"Replace `{wrong}` by an event that exists."
    )


@recipe(
    "workflow.wrong-type",
    tool="check-jsonschema",
    category="github_actions_config",
    origin="config",
    requires=_REQUIRES,
)
def wrong_type(shop: Workshop) -> Fault:
    """A job's setting has a value of the wrong type."""
    rng = shop.rng
    key, value, got, expected = rng.choice(
        (
            ("timeout-minutes", "ten minutes", "'ten minutes'", "number"),
            ("timeout-minutes", '"half an hour"', "'half an hour'", "number"),
            ("services", "postgres", "'postgres'", "object"),
            ("outputs", "[version]", "['version']", "object"),
            ("strategy", "parallel", "'parallel'", "object"),
            ("defaults", "bash", "'bash'", "object"),
        )
    )
    path = workflow(shop, job(shop, extra=[f"{key}: {value}"]))
    evidence = (f"{got} is not of type '{expected}'",)
    why = f"`{key}` must be of type `{expected}`."
    return _invalid(shop, path, evidence, key, why, f"Give `{key}` a value of type `{expected}`.")


@recipe(
    "workflow.no-jobs", tool="check-jsonschema", category="github_actions_config", origin="config", requires=_REQUIRES
)
def no_jobs(shop: Workshop) -> Fault:
    """The workflow has no jobs."""
    path = workflow(
        shop, "", top=[f"env:\n  {shop.names.constant()}: {shop.rng.randint(1, 9)}"] if shop.rng.random() < 0.5 else []
    )
    return _invalid(
        shop, path, ("'jobs' is a required property",), "jobs", "`jobs` is missing.", "Add `jobs` to the workflow."
    )


@recipe(
    "workflow.bad-needs", tool="check-jsonschema", category="github_actions_config", origin="config", requires=_REQUIRES
)
def bad_needs(shop: Workshop) -> Fault:
    """A job names the jobs it waits for in a way that is not allowed."""
    first = shop.names.noun()
    value = shop.rng.choice((f"{{ {first}: success }}", f"\n      {first}: true", f"\n      job: {first}"))
    path = workflow(shop, job(shop, name=first) + job(shop, extra=[f"needs: {value}"]))
    return _invalid(
        shop,
        path,
        (".needs: ",),
        "needs",
        "`needs` is not a list of jobs.",
        "Write `needs` as a job's name or a list of names.",
    )


@recipe(
    "workflow.unknown-step-key",
    tool="check-jsonschema",
    category="github_actions_config",
    origin="config",
    requires=_REQUIRES,
)
def unknown_step_key(shop: Workshop) -> Fault:
    """A step has a key that steps do not have."""
    wrong = shop.names.pick(("script", "command", "cmd", "args", "on-error", "retries", shop.names.noun()))
    path = workflow(
        shop,
        job(
            shop, step=[f"name: {shop.names.noun()}", f"run: make {shop.names.noun()}", f"{wrong}: {shop.names.noun()}"]
        ),
    )
    evidence = (f"('{wrong}' was unexpected)",)
    return _invalid(shop, path, evidence, wrong, f"`{wrong}` is not allowed.", f"Remove or rename `{wrong}`.")


@recipe(
    "workflow.no-steps", tool="check-jsonschema", category="github_actions_config", origin="config", requires=_REQUIRES
)
def no_steps(shop: Workshop) -> Fault:
    """A job's list of steps is empty."""
    keys = ["runs-on: ubuntu-latest", "steps: []"]
    if shop.rng.random() < 0.5:
        keys.insert(shop.rng.randint(0, 2), f"timeout-minutes: {shop.rng.randint(2, 60)}")
    name = shop.names.noun()
    others = job(shop) if shop.rng.random() < 0.5 else ""
    path = workflow(shop, f"{others}  {name}:\n" + "".join(f"    {key}\n" for key in keys))
    return _invalid(
        shop, path, (".steps: [] should be",), "steps", "`steps` is empty.", "Add at least one step to `steps`."
    )


@recipe(
    "workflow.bad-permission",
    tool="check-jsonschema",
    category="github_actions_config",
    origin="config",
    requires=_REQUIRES,
)
def bad_permission(shop: Workshop) -> Fault:
    """A permission has a level that does not exist."""
    wrong, scope = (
        shop.names.pick(("admin", "full", "all", "rw", "execute")),
        shop.names.pick(("contents", "issues", "packages", "checks")),
    )
    other = shop.rng.choice(("", "  actions: read\n"))
    path = workflow(shop, job(shop), top=[f"permissions:\n{other}  {scope}: {wrong}"])
    evidence = (f"'{wrong}' is not one of ['read'",)
    return _invalid(
        shop, path, evidence, wrong, f"`{wrong}` is not a permission.", f"Replace `{wrong}` by read, write or none."
    )


@recipe(
    "workflow.unparsable",
    tool="check-jsonschema",
    category="github_actions_config",
    origin="config",
    requires=_REQUIRES,
)
def unparsable(shop: Workshop) -> Fault:
    """The workflow is not YAML."""
    names = shop.names
    body, message = shop.rng.choice(
        (
            (f'env:\n  {names.constant()}: "{names.noun()}\n', "found unexpected end of stream"),
            (f"env:\n  {names.constant()}: a: {names.noun()}\n", "mapping values are not allowed"),
            (f"env: [{names.noun()}, {names.noun()}\n", "expected ',' or ']'"),
        )
    )
    path = workflow(shop, job(shop))
    text = (shop.root / path).read_text(encoding="utf-8")
    shop.write(path, text + body)
    quiet_steps(shop)
    step = shop.failing(f"check-jsonschema --builtin-schema vendor.github-workflows {path}")
    return Fault(
        step,
        (f"Failed to parse {path}", message),
        path,
        f"The workflow `{path}` is invalid: syntax error.",
        f"Correct the YAML syntax of `{path}`.",
    )


@recipe(
    "action.missing-runs",
    tool="check-jsonschema",
    category="github_actions_config",
    origin="config",
    requires=_REQUIRES,
)
def missing_runs(shop: Workshop) -> Fault:
    """An action does not say how it runs."""
    path = action(shop, runs=None)
    return _invalid(
        shop, path, ("'runs' is a required property",), "runs", "`runs` is missing.", "Add `runs` to the action."
    )


@recipe(
    "action.unknown-runtime",
    tool="check-jsonschema",
    category="github_actions_config",
    origin="config",
    requires=_REQUIRES,
)
def unknown_runtime(shop: Workshop) -> Fault:
    """An action wants a runtime that does not exist."""
    wrong = shop.names.pick(("node10", "node18", "node22", "python3", "bash", "deno", "nodejs20"))
    path = action(shop, runs=[f"using: {wrong}", f"main: dist/{shop.names.noun()}.js"])
    evidence = (f"'{wrong}' is not one of",)
    return _invalid(
        shop,
        path,
        evidence,
        wrong,
        f"`{wrong}` is not a known runtime.",
        f"Replace `{wrong}` by a runtime that exists.",
    )


@recipe(
    "action.wrong-input-type",
    tool="check-jsonschema",
    category="github_actions_config",
    origin="config",
    requires=_REQUIRES,
)
def wrong_input_type(shop: Workshop) -> Fault:
    """An input's `required` is not a truth value."""
    name, value = shop.names.noun(), shop.names.pick(("always", "optional", '"yes"', '"true"'))
    path = action(shop, inputs=[f"{name}:", f"  description: the {shop.names.noun()}", f"  required: {value}"])
    evidence = (f"$.inputs.{name}.required: ",)
    return _invalid(
        shop, path, evidence, "required", "`required` must be of type `boolean`.", "Set `required` to true or false."
    )
