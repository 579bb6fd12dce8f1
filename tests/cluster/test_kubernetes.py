"""The cluster on Kubernetes, as far as it can be checked without one: against the schema of the operator."""

import copy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from s2dask.cluster.connect import open_client
from s2dask.cluster.kubernetes import Pod, cluster_resource
from s2dask.errors import ConfigurationError

POD = Pod(
    image="registry.example/s2dask:0.1.0", name="s2", namespace="eo", workers=4, cores=2, certificates="tls", cache="c"
)


def test_the_resource_says_what_is_asked_for() -> None:
    spec = cluster_resource(POD)["spec"]
    (worker,) = spec["worker"]["spec"]["containers"]
    assert spec["worker"]["replicas"] == 4
    assert worker["resources"]["limits"]["memory"] == "9Gi"
    assert worker["args"][worker["args"].index("--nworkers") + 1] == "2"
    env = {e["name"]: e["value"] for e in worker["env"]}
    assert env["NUMBA_NUM_THREADS"] == "1"
    assert env["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "true"
    assert env["DASK_DISTRIBUTED__COMM__TLS__WORKER__KEY"] == "/etc/s2dask/tls/tls.key"
    assert {v["name"] for v in spec["scheduler"]["spec"]["volumes"]} == {"cache", "tls"}
    assert "--nthreads" in worker["args"]


def test_nonsense_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no image"):
        Pod(image="")
    with pytest.raises(ConfigurationError, match="at least 1"):
        Pod(image="i", workers=0)
    if find_spec("dask_kubernetes") is None:
        with pytest.raises(ConfigurationError, match="k8s"), open_client(POD):
            pass


def _closed(schema: Any) -> Any:
    """Return a schema that refuses what it does not name, as the API server drops it in silence."""
    if isinstance(schema, dict):
        out = {key: _closed(value) for key, value in schema.items()}
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            out.setdefault("additionalProperties", False)
        return out
    return [_closed(item) for item in schema] if isinstance(schema, list) else schema


@pytest.mark.slow
def test_the_operators_schema_takes_the_resource() -> None:
    found = find_spec("dask_kubernetes")
    if found is None or not found.submodule_search_locations:
        pytest.skip('no dask-kubernetes: pip install "s2dask[k8s]"')
    folder = Path(found.submodule_search_locations[0])
    (path,) = folder.rglob("crds/daskcluster.yaml")
    version = yaml.safe_load(path.read_text("utf-8"))["spec"]["versions"][0]
    validator = Draft7Validator(_closed(version["schema"]["openAPIV3Schema"]["properties"]["spec"]))
    spec = cluster_resource(POD)["spec"]
    assert [error.message for error in validator.iter_errors(spec)] == []
    wrong = copy.deepcopy(spec)
    wrong["worker"]["replcas"] = wrong["worker"].pop("replicas")
    assert list(validator.iter_errors(wrong))
