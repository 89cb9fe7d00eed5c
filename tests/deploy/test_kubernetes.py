"""The manifests: by Kubernetes' own schemas, and against what the product has."""

from __future__ import annotations

import math
import re
import secrets

import kubernetes_validate
import pytest
import yaml

from server.app import LONGEST_STOP_SECONDS
from server.edge import drain
from server.edge.settings import EdgeSettings
from server.settings import SECRET_SETTINGS, every, load
from tests.deploy import files
from tests.deploy.commands import understood
from tests.deploy.files import Json, container, environment, of_kind
from tests.stack import ROOT

VERSIONS = ("1.29", "1.37")
OVERLAYS = ("overlays/small", "overlays/production")
DEPLOYMENTS = of_kind("Deployment", files.base())
COMMANDS = {"server": "serve", "worker": "worker", "edge": "edge"}
needs_kustomize = pytest.mark.skipif(files.KUSTOMIZE is None, reason="there is no kubectl")


def check(items: list[Json]) -> None:
    for version in VERSIONS:
        for item in items:
            kubernetes_validate.validate(item, version, strict=True)


def test_the_base_is_of_kubernetes_schemas() -> None:
    check(files.base())


@needs_kustomize
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_of_kubernetes_schemas(overlay: str) -> None:
    items = files.rendered(overlay)
    check(items)
    kinds = {item["kind"] for item in items}
    assert "Secret" not in kinds, "secrets are by reference"
    mounted = of_kind("Deployment", items)["edge"]["spec"]["template"]["spec"]["volumes"]
    assert ("production" in overlay) == any(volume["name"] == "server-tls" for volume in mounted)


def test_the_job_that_prepares_is_as_careful_as_a_pod_of_the_base() -> None:
    job = yaml.safe_load((files.KUBERNETES / "prepare" / "job.yaml").read_text())
    check([job])
    assert understood(container(job)["args"]) == "prepare"
    pod, of_base = (
        job["spec"]["template"]["spec"],
        DEPLOYMENTS["worker"]["spec"]["template"]["spec"],
    )
    assert container(job)["securityContext"] == container(DEPLOYMENTS["worker"])["securityContext"]
    assert pod["securityContext"].items() <= of_base["securityContext"].items()
    assert pod["automountServiceAccountToken"] is False


def test_prometheus_finds_every_pod() -> None:
    config = yaml.safe_load((files.KUBERNETES / "prometheus.yml").read_text())
    found = {}
    for job in config["scrape_configs"]:
        (keep,) = [rule for rule in job["relabel_configs"] if rule.get("action") == "keep"]
        for name, deployment in DEPLOYMENTS.items():
            label = deployment["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]
            ports = [port["name"] for port in container(deployment)["ports"]]
            if any(re.fullmatch(keep["regex"], f"{label};{port}") for port in ports):
                found[name] = job["job_name"]
    # The rules tell the two apart by these names.
    assert found == {"server": "finlink", "worker": "finlink", "edge": "envoy"}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_deployment_runs_what_exists(name: str) -> None:
    of = container(DEPLOYMENTS[name])
    assert understood(of["args"]) == COMMANDS[name]
    assert name != "server" or of["args"][-1].endswith(":50061")
    given = {**files.config_map(), **environment(of)}
    assert given.keys() <= dict(every()).keys()
    assert not given.keys() & SECRET_SETTINGS
    load(
        **{field.lower(): value for field, value in given.items()},
        encryption_key=secrets.token_hex(32),
        public_url="https://finlink.example",
        smtp_url="smtps://mail.example",
        mail_from="post@finlink.example",
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_probes_ask_what_is_served(name: str) -> None:
    of = container(DEPLOYMENTS[name])
    ports = {port["name"]: port["containerPort"] for port in of["ports"]}
    listens = {
        "server": {"grpc": 50061},
        "worker": {},
        "edge": {"https": EdgeSettings.model_fields["tls_port"].default,
                 "grpc": EdgeSettings.model_fields["grpc_port"].default},
    }[name]  # fmt: skip
    assert ports == {**listens, "metrics": int(files.config_map()["METRICS_PORT"])}
    served = {"/metrics", *paths_of_envoy()}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        for how in of.get(probe, {}).values():
            if isinstance(how, dict):
                assert how["port"] in ports or how["port"] in ports.values()
                assert how.get("path", "/metrics") in served


def paths_of_envoy() -> set[str]:
    """Those that probes may ask: no call of the contract."""
    files = (ROOT / "envoy.yaml", ROOT / "gen" / "envoy-routes.json")
    return {path for file in files for path in re.findall(r"/(?:health|ready)\b", file.read_text())}


def test_pods_are_given_the_time_that_they_need() -> None:
    grace = {
        name: of["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        for name, of in DEPLOYMENTS.items()
    }
    assert min(grace["server"], grace["worker"]) > LONGEST_STOP_SECONDS
    (sleep, seconds) = container(DEPLOYMENTS["edge"])["lifecycle"]["preStop"]["exec"]["command"]
    assert sleep == "sleep"
    assert grace["edge"] > int(seconds) + math.ceil(drain.LONGEST)


@pytest.mark.parametrize("name", COMMANDS)
def test_pods_may_do_nothing_they_need_not(name: str) -> None:
    pod = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    user = dict(files.instructions())["USER"].partition(":")[0]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert str(pod["securityContext"]["runAsUser"]) == user
    assert pod["automountServiceAccountToken"] is False
    own = container(DEPLOYMENTS[name])["securityContext"]
    assert own["readOnlyRootFilesystem"] is True
    assert own["allowPrivilegeEscalation"] is False
    assert own["capabilities"] == {"drop": ["ALL"]}
    mounts = {m["mountPath"]: m for m in container(DEPLOYMENTS[name]).get("volumeMounts", ())}
    written = {path for path, mount in mounts.items() if not mount.get("readOnly")}
    (data_dir,) = [
        word.partition("=")[2]
        for instruction, rest in files.instructions()
        if instruction == "ENV"
        for word in rest.split()
        if word.startswith("DATA_DIR=")
    ]
    assert written == ({data_dir} if name == "edge" else set())


def test_everything_that_refers_finds_what_it_means() -> None:
    items = files.base()
    for kind in ("PodDisruptionBudget", "HorizontalPodAutoscaler"):
        assert of_kind(kind, items).keys() == DEPLOYMENTS.keys()
    pods = {
        name: of["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]
        for name, of in DEPLOYMENTS.items()
    }
    for name, service in of_kind("Service", items).items():
        assert service["spec"]["selector"]["app.kubernetes.io/name"] == pods[name]
        names = {port["name"] for port in container(DEPLOYMENTS[name])["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names
    (target,) = container(DEPLOYMENTS["edge"])["args"][1:]
    host, _, port = target.partition(":")
    (found,) = [s for s in of_kind("Service", items).values() if s["metadata"]["name"] == host]
    assert [each["port"] for each in found["spec"]["ports"]] == [int(port)]
    open_ports = {
        port["port"]
        for policy in of_kind("NetworkPolicy", items).values()
        for rule in policy["spec"].get("ingress", ())
        for port in rule["ports"]
    }
    listened = {p["containerPort"] for of in DEPLOYMENTS.values() for p in container(of)["ports"]}
    assert open_ports == listened
