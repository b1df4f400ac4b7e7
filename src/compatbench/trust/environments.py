"""Compares two environments: equality to the last bit, or a tolerance."""

from __future__ import annotations

from compatbench.records.parts import Environment

TOLERANCE = 0.02
"""Of a score, between runs on different hardware or versions: rounding makes another training of the same recipe."""


def same_arithmetic(one: Environment, other: Environment) -> bool:
    """Whether both name a CPU of one kind with the same versions and threads, so that every bit must be the same.

    Two early records, which name no kind, must have the same marketing name. It stands for several kinds, but all
    early records of the boards are of one: without this their models could differ by a tolerance that none of them
    needs.
    """
    if one.cpu_kind is None and other.cpu_kind is None:
        one, other = (each.model_copy(update={"cpu_kind": each.cpu}) for each in (one, other))
    return not why_not_exact(one, other)


def why_not_exact(one: Environment, other: Environment) -> str:
    """Why a record and a run here may differ in their last bits; empty if they may not. The commit may differ."""
    if one.gpu is not None or other.gpu is not None:
        return "a GPU adds in no fixed order"
    if one.cpu_kind is None:
        return "the record does not name the kind of its processor"
    if other.cpu_kind is None:
        return "this machine does not tell the kind of its processor"
    ignored = {"git_sha", "git_dirty", "cpu"}
    ours, theirs = (each.model_dump(exclude=ignored) for each in (one, other))
    differing = [name.replace("_", " ") for name in ours if ours[name] != theirs[name]]
    return f"it was made with other {', '.join(differing)}" if differing else ""
