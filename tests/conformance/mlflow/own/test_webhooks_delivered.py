"""The cases of MLflow's tests/webhooks/test_e2e.py: webhooks that are delivered to MLflow's own receiver."""
import os
import socket

import pytest
import webhook_cases
from webhook_cases import *  # noqa: F403


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# The receiver lies beside the cases in MLflow's folder, and needs a port that it can be told.
webhook_cases.get_safe_port = free_port
webhook_cases.__file__ = os.path.join(os.environ["MLFLOW_OWN_TESTS"], "webhooks", "test_e2e.py")


@pytest.fixture(scope="module")
def mlflow_server():
    return os.environ["FOREIGN_REGISTRY"]


@pytest.fixture(autouse=True)
def fresh(emptied, app_client):
    app_client.reset()
