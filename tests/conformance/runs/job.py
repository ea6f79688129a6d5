"""A job for Dagster that does nothing, with a configuration that can be wrong."""

import dagster


class Training(dagster.Config):
    epochs: int


@dagster.op
def train(config: Training) -> None:
    assert config.epochs > 0


@dagster.job
def retrain() -> None:
    train()


defs = dagster.Definitions(jobs=[retrain])
