"""Which plan a training follows: the one that it goes on with, one that is given, or a new one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from .fingerprint import Fingerprint
from .machine import Machine
from .plan import Plan
from .planning import VALIDATIONS, make_plan, timed
from .run import Run
from .starting import Start, described

DEFAULT_EPOCHS = 100
"""Passes over the images where neither a budget nor steps are given."""
TIMED = ("steps", "validate_every", "ema_decay", "reasons")
"""Fields of a plan that are decided by how long things take, if nobody else did."""


def plan_to_follow(
    plan: Plan | None,
    given: Mapping[str, Any],
    start: Start,
    run: Run,
    found: Fingerprint,
    machine: Machine,
) -> Plan:
    """The plan of a training on a dataset that is like ``found``.

    A training that is gone on with has its own, and what is asked for must agree with it. Otherwise it is ``plan``, or
    one made of the fingerprint; ``given`` fields stand in place of its own, and those that follow from the ``start``
    in place of planned ones. Raises ``InputError`` where there is nothing to go on with, or something else.
    """
    if run.resume:
        kept = run.kept_plan
        if kept is None:
            raise InputError(f"there is no training to go on with in {run.folder}; start it without --resume")
        _check_same(kept, plan, given, run)
        return kept
    asked = {**start.given_for(found.channels), **given}
    settings = {**start.given.get("network_settings", {}), **given.get("network_settings", {})}
    if settings:
        asked["network_settings"] = settings
    if plan is not None:
        return described(_changed(plan, asked), start)
    made = described(make_plan(found, asked, machine), start)
    if made.steps is None and made.budget_s is None:
        steps = DEFAULT_EPOCHS * made.epoch_steps
        made = made.with_changes("the default without a budget", steps=steps)
    return made if made.steps is None else _for_steps(made, made.steps, given)


def _changed(plan: Plan, asked: dict[str, Any]) -> Plan:
    """The plan with what is asked for in place of its own."""
    asked["network_settings"] = {**plan.network_settings, **asked.get("network_settings", {})}
    if "budget_s" in asked and "steps" not in asked:
        asked["steps"] = None  # as many as that has room for
    changed = {name: value for name, value in asked.items() if getattr(plan, name) != value}
    if changed:
        plan = plan.with_changes("as asked", **Plan.checked(changed))
    if plan.steps is None and plan.budget_s is None:
        plan = plan.with_changes("the default without a budget", steps=DEFAULT_EPOCHS * plan.epoch_steps)
    return plan


def _for_steps(plan: Plan, steps: int, given: Mapping[str, Any]) -> Plan:
    """The plan with what follows from a number of steps that is known before any was timed."""
    every = max(plan.epoch_steps, math.ceil(steps / VALIDATIONS))
    if "validate_every" not in given and plan.validates and every != plan.validate_every:
        plan = plan.with_changes(f"{max(1, steps // every)} validations", validate_every=every)
    return timed(plan, 1.0)  # no step is counted by its seconds


def _check_same(kept: Plan, plan: Plan | None, given: Mapping[str, Any], run: Run) -> None:
    """Raise ``InputError`` unless what is asked for is what was begun."""
    asked = dict(given)
    if plan is not None:
        asked = {name: value for name, value in dict(plan).items() if name not in TIMED} | asked
        if plan.steps is not None:
            asked.setdefault("steps", plan.steps)
    own = Plan.checked({name: value for name, value in asked.items() if name != "version"})
    before = kept.model_dump(mode="json")
    wanted = Plan.make({**dict(kept), **own}).model_dump(mode="json")
    if "network_settings" in own:
        wanted["network_settings"] = {**before["network_settings"], **wanted["network_settings"]}
    for name in own:
        if wanted[name] != before[name]:
            raise InputError(
                f"the training in {run.folder} was begun with {name} {before[name]}, not {wanted[name]}; give the same "
                "to go on, or start anew without --resume"
            )
