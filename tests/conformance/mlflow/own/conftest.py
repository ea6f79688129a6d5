"""What MLflow's own tests need around them to run against a foreign server.

The kit's foreign_harness stands first on PYTHONPATH and shadows `tests.helper_functions` and the server's starter; what
else the tests import of `tests` comes from MLflow's own folder. Each test begins with an empty registry: the kit's helper
takes out the models, this file the prompts and the webhooks.
"""
import json
import os
import random
import string

import pytest
import requests
from mlflow.entities.model_registry import ModelVersion
from mlflow.store.model_registry.rest_store import RestStore

import tests
import tests.helper_functions as helpers

URL = os.environ["FOREIGN_REGISTRY"]
P = URL + "/api/2.0/mlflow"
tests.__path__.append(os.environ["MLFLOW_OWN_TESTS"])
# The kit's helpers are those of the test that it was made for; these are the other ones' needs.
helpers.random_str = lambda size=12: "".join(random.choice(string.ascii_lowercase) for _ in range(size))
PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"


def pytest_configure(config):
    config.addinivalue_line("markers", "notrackingurimock: MLflow's own")


def pytest_collection_modifyitems(config, items):
    """The parameter for a store in files: the test skips itself for it, since that store is gone."""
    of_files = [item for item in items if getattr(item, "callspec", None) and item.callspec.params.get("client") == "file"]
    items[:] = [item for item in items if item not in of_files]
    config.hook.pytest_deselected(items=of_files)


@pytest.fixture(autouse=True)
def emptied():
    for query in ({}, {"filter": PROMPTS}):
        while models := requests.get(f"{P}/registered-models/search", params=query | {"max_results": 1000}).json().get("registered_models"):
            for model in models:
                requests.delete(f"{P}/registered-models/delete", json={"name": model["name"]}).raise_for_status()
    while hooks := requests.get(f"{P}/webhooks").json().get("webhooks"):
        for hook in hooks:
            requests.delete(f"{P}/webhooks/{hook['webhook_id']}").raise_for_status()


@pytest.fixture(scope="session")
def made_database(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('db')}/mlflow.db"


@pytest.fixture
def db_uri(made_database):
    """The tests open a store of their own before they ask for the server; it is made once and stays empty."""
    return made_database


@pytest.fixture(autouse=True)
def source_of_its_run(request, monkeypatch):
    """test_model_registry.py of before 3.17 gives versions `runs:/run_id/…` of a run named otherwise, which a server of the
    wheel's version refuses. On the wire the source names the version's run; the test sees the one that it gave."""
    if request.path.name != "test_model_registry.py":
        return
    given, make, search, read, where = {}, RestStore.create_model_version, RestStore.search_model_versions, ModelVersion.from_proto.__func__, RestStore.get_model_version_download_uri

    def create(self, name, source, run_id=None, *args, **kwargs):
        if run_id and source.startswith("runs:/run_id/") and run_id != "run_id":
            given[source.replace("runs:/run_id/", f"runs:/{run_id}/")] = source
            source = source.replace("runs:/run_id/", f"runs:/{run_id}/")
        return make(self, name, source, run_id, *args, **kwargs)

    def from_proto(cls, proto):
        version = read(cls, proto)
        version._source = given.get(version._source, version._source)
        return version

    def find(self, filter_string=None, *args, **kwargs):
        for sent, source in given.items():
            filter_string = (filter_string or "").replace(f"'{source}'", f"'{sent}'")
        return search(self, filter_string, *args, **kwargs)

    monkeypatch.setattr(RestStore, "create_model_version", create)
    monkeypatch.setattr(RestStore, "search_model_versions", find)
    monkeypatch.setattr(RestStore, "get_model_version_download_uri", lambda self, *args: given.get(uri := where(self, *args), uri))
    monkeypatch.setattr(ModelVersion, "from_proto", classmethod(from_proto))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call" or report.outcome != "passed":
        why = str(report.longrepr)[-1500:] if report.failed else report.longrepr[-1] if report.skipped and isinstance(report.longrepr, tuple) else ""
        with open(os.environ["RESULTS_JSON"], "a", encoding="utf-8") as f:
            f.write(json.dumps({"test": item.nodeid, "outcome": report.outcome, "why": why}) + "\n")
