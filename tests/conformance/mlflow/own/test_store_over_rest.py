"""The cases of MLflow's test_sqlalchemy_store.py, with a store that asks the foreign server.

A store in the database and one over REST differ in the words of Python, not in what they say; the class below puts the
answers of the second into the words of the first: a version's number is an int, an empty text is None. The cases' sources
are paths of the server's own disk, which a server refuses from afar, so they travel as s3:// URIs.
"""
import os
import re

import pytest
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.rest_store import RestStore
from mlflow.utils.rest_utils import MlflowHostCreds
from store_cases import *  # noqa: F403

AFAR = "s3://of-the-store-cases/"


def in_words_of_sql(answer):
    if isinstance(answer, ModelVersion):
        answer._version = int(answer._version)
        for name in ("_description", "_run_id", "_run_link", "_user_id"):
            if getattr(answer, name) == "":
                setattr(answer, name, None)
        answer._source = answer._source.removeprefix(AFAR)
        answer._aliases = list(answer._aliases)
    elif isinstance(answer, RegisteredModel):
        answer._description = answer._description or None
        answer._aliases = {alias: int(version) for alias, version in answer._aliases.items()}
        answer._latest_version = [in_words_of_sql(v) for v in answer._latest_version]
    elif isinstance(answer, list):
        answer[:] = [in_words_of_sql(x) for x in answer]
        if isinstance(answer, PagedList):
            answer.token = answer.token or None
    elif isinstance(answer, str):
        return answer.removeprefix(AFAR)
    return answer


class OverRest(RestStore):
    def create_model_version(self, name, source, run_id=None, tags=None, **kwargs):
        if any(tag.key == IS_PROMPT_TAG_KEY for tag in tags or []):  # noqa: F405
            source = "dummy-source"
        elif ":" not in source:
            source = AFAR + source
        return in_words_of_sql(super().create_model_version(name, source, run_id, tags, **kwargs))

    def search_model_versions(self, filter_string=None, *args, **kwargs):
        afar = re.sub(r"(source_path *(?:=|!=|LIKE|ILIKE) *['\"])", lambda m: m[1] + AFAR, filter_string or "")
        return in_words_of_sql(super().search_model_versions(afar, *args, **kwargs))


def worded(name):
    def method(self, *args, **kwargs):
        return in_words_of_sql(getattr(super(OverRest, self), name)(*args, **kwargs))
    return method


for name in ("create_registered_model", "get_registered_model", "update_registered_model", "rename_registered_model", "search_registered_models", "get_latest_versions",
             "get_model_version", "update_model_version", "transition_model_version_stage", "get_model_version_by_alias", "get_model_version_download_uri", "list_webhooks"):
    setattr(OverRest, name, worded(name))
del test_parse_search_registered_models_order_by  # noqa: F821 (it asks no server)


@pytest.fixture(autouse=True)
def workspaces_enabled():
    """The server's workspaces are not asked: each case runs once."""
    return False


@pytest.fixture
def store(emptied):
    return OverRest(lambda: MlflowHostCreds(os.environ["FOREIGN_REGISTRY"]))
