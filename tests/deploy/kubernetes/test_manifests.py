"""deploy/kubernetes as a cluster would get it, without one: what a reviewer looks for in every workload, and that nothing is unknown."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from ops.privileges import in_broker, roles

ROOT = Path(__file__).parents[3]
KUBERNETES = ROOT / "deploy" / "kubernetes"
SERVICES = ("booking", "payment", "refund", "notification")
CUSTOM = re.compile(r"^(postgresql\.cnpg\.io|rabbitmq\.com|keda\.sh|monitoring\.coreos\.com)/")
"""Kinds whose schemas are the operators'; of these the tests below look at what we rely on."""
WORKLOADS = ("Deployment", "Job", "CronJob")

Manifest = dict[str, Any]


@pytest.fixture(scope="module", params=["staging", "production"])
def overlay(request: pytest.FixtureRequest) -> list[Manifest]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl, which renders the overlays, is not installed")
    command = ["kubectl", "kustomize", KUBERNETES / "overlays" / request.param]
    rendered = subprocess.run(command, capture_output=True, text=True, check=False)
    assert rendered.returncode == 0, rendered.stderr
    return [manifest for manifest in yaml.safe_load_all(rendered.stdout) if manifest]


def of_kind(overlay: list[Manifest], *kinds: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in overlay if each["kind"] in kinds}


def template_of(workload: Manifest) -> Manifest:
    spec = workload["spec"]
    found: Manifest = (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]
    return found


def pods(overlay: list[Manifest]) -> dict[str, Manifest]:
    """The pod's specification of every workload."""
    return {name: template_of(each)["spec"] for name, each in of_kind(overlay, *WORKLOADS).items()}


def containers(overlay: list[Manifest]) -> dict[str, Manifest]:
    return {
        f"{pod}/{container['name']}": container
        for pod, spec in pods(overlay).items()
        for container in (*spec.get("initContainers", []), *spec["containers"])
    }


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return all(labels.get(name) == value for name, value in wanted.items())


def test_every_manifest_is_valid(overlay: list[Manifest]) -> None:
    """Strictly: an unknown or misspelt key is an error."""
    assert len(overlay) > 50
    for manifest in overlay:
        if not CUSTOM.match(manifest["apiVersion"]):
            kubernetes_validate.validate(manifest, "1.34", strict=True)


def test_everything_is_in_one_namespace_that_is_restricted(overlay: list[Manifest]) -> None:
    namespace = of_kind(overlay, "Namespace")["boxoffice"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for manifest in overlay:
        if manifest["kind"] != "Namespace":
            assert manifest["metadata"]["namespace"] == "boxoffice", manifest["metadata"]["name"]


def test_no_secret_is_committed(overlay: list[Manifest]) -> None:
    """They are named, and README.md says what each must hold."""
    assert of_kind(overlay, "Secret") == {}
    told = (KUBERNETES / "README.md").read_text()
    named = set(re.findall(r"secretName: ([\w-]+)", yaml.safe_dump_all(overlay))) - {"gateway-tls"}
    for manifest in overlay:
        text = yaml.safe_dump(manifest)
        named |= set(re.findall(r"(?:importCredentialsSecret|superuserSecret):\s+name: ([\w-]+)", text))
    for name, container in containers(overlay).items():
        for variable in container.get("env", []):
            assert not re.search(r"PASSWORD|SECRET_|_KEY|_URL", variable["name"]) or "valueFrom" in variable, name
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            named |= {reference["name"]} if reference else set()
    assert named >= {*SERVICES, "operator", "database-roles", "postgres-superuser", "rabbitmq-admin"}
    for name in named:
        assert f"`{name}`" in told, f"README.md does not say what the secret {name} holds"


def test_containers_may_do_nothing_that_they_need_not(overlay: list[Manifest]) -> None:
    for name, spec in pods(overlay).items():
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["serviceAccountName"] in of_kind(overlay, "ServiceAccount"), name
        assert not any(spec.get(host) for host in ("hostNetwork", "hostPID", "hostIPC")), name
        assert not any("hostPath" in volume for volume in spec["volumes"]), name
    for name, container in containers(overlay).items():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        for kind in ("requests", "limits"):
            assert set(container["resources"][kind]) == {"cpu", "memory"}, name
        assert re.search(r":v?\d+\.\d+[\w.-]*$|@sha256:", container["image"]), f"{name}: {container['image']}"


def test_deployments_are_probed_and_rolled_without_a_gap(overlay: list[Manifest]) -> None:
    """A new one is ready before an old one goes, and an old one is out of every list before it stops."""
    deployments = of_kind(overlay, "Deployment")
    assert set(deployments) == {*(f"{service}-api" for service in SERVICES), "gateway"}
    for name, deployment in deployments.items():
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}, name
        assert "replicas" not in deployment["spec"], f"{name}: an apply would undo the autoscaler"
        spec = template_of(deployment)["spec"]
        (container,) = spec["containers"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert probe in container, f"{name} has no {probe}"
        assert container["livenessProbe"] != container["readinessProbe"], name
        pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
        assert pause + 10 <= spec["terminationGracePeriodSeconds"], name
    for service in SERVICES:
        (container,) = template_of(deployments[f"{service}-api"])["spec"]["containers"]
        # A service whose database is away must not be killed for it.
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_replicas_are_spread_scaled_and_protected(overlay: list[Manifest]) -> None:
    budgets, scaled = (
        of_kind(overlay, "PodDisruptionBudget"),
        of_kind(overlay, "ScaledObject", "HorizontalPodAutoscaler"),
    )
    for name, deployment in of_kind(overlay, "Deployment").items():
        labels = template_of(deployment)["metadata"]["labels"]
        found = [budget for budget, each in budgets.items() if selects(each["spec"]["selector"], labels)]
        assert found == [name]
        spread = template_of(deployment)["spec"]["topologySpreadConstraints"]
        assert {each["topologyKey"] for each in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
        assert all(
            selects(each["labelSelector"], labels) and each["labelSelector"]["matchLabels"] for each in spread
        ), name
        scaling = scaled[name]["spec"]
        assert scaling["scaleTargetRef"]["name"] == name
        assert scaling.get("minReplicaCount", scaling.get("minReplicas")) >= 2, name


def test_each_service_is_found_by_its_name(overlay: list[Manifest]) -> None:
    """A Service selects the pods of its own deployment and no others."""
    templates = {name: template_of(each)["metadata"]["labels"] for name, each in of_kind(overlay, *WORKLOADS).items()}
    for name, service in of_kind(overlay, "Service").items():
        chosen = [
            pod for pod, labels in templates.items() if selects({"matchLabels": service["spec"]["selector"]}, labels)
        ]
        assert chosen == [name]


def test_a_service_scales_by_its_processor_and_its_own_queues(overlay: list[Manifest]) -> None:
    for service in SERVICES:
        cpu, depth = of_kind(overlay, "ScaledObject")[f"{service}-api"]["spec"]["triggers"]
        assert cpu["type"] == "cpu"
        pattern = depth["metadata"]["queueName"]
        assert re.search(pattern, f"{service}.payment-succeeded")
        for other in (f"{service}.payment-succeeded.parked", f"{service}.retry.500ms", "other.payment-succeeded"):
            assert not re.search(pattern, other), f"{service} would scale by {other}"
        assert depth["authenticationRef"]["name"] in of_kind(overlay, "TriggerAuthentication")


def test_nobody_reaches_anybody_but_who_must(overlay: list[Manifest]) -> None:
    """The first policy closes everything, and each pod that there is has one that opens what it needs."""
    policies = of_kind(overlay, "NetworkPolicy")
    assert policies["closed"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, workload in of_kind(overlay, *WORKLOADS).items():
        labels = template_of(workload)["metadata"]["labels"]
        mine = [
            policy
            for policy in policies
            if policy not in {"closed", "names"} and selects(policies[policy]["spec"]["podSelector"], labels)
        ]
        assert mine, name
    to_postgres = policies["postgres"]["spec"]["ingress"][0]
    assert to_postgres["ports"] == [{"protocol": "TCP", "port": 5432}]
    assert "gateway" not in str(to_postgres["from"])
    for policy in policies.values():
        for rule in policy["spec"].get("ingress", []):
            assert rule.get("from"), f"{policy['metadata']['name']} lets everybody in"


def test_schemas_are_migrated_by_a_job_of_its_own(overlay: list[Manifest]) -> None:
    """Not by a service at its start, whose role may not, and of which several start at once."""
    jobs = of_kind(overlay, "Job")
    assert set(jobs) == {"provision", "migrate"}
    assert pods(overlay)["migrate"]["containers"][0]["args"] == ["migrate"]
    waves = {name: int(each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]) for name, each in jobs.items()}
    for name, deployment in of_kind(overlay, "Deployment").items():
        after = int(deployment["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])
        assert waves["provision"] < waves["migrate"] < after, name
    assert of_kind(overlay, "CronJob")["verify"]["spec"]["concurrencyPolicy"] == "Forbid"


def test_every_variable_is_one_that_we_know(overlay: list[Manifest]) -> None:
    """Listed in .env.example, or in the gateway's template or script."""
    known = set(re.findall(r"^([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    gateway = ROOT / "deploy" / "gateway"
    template = (gateway / "nginx.conf.template").read_text() + (gateway / "container.sh").read_text()
    of_gateway = set(re.findall(r"\$\{([A-Z_]+)[:}]", template)) | {service.upper() for service in SERVICES}
    maps = of_kind(overlay, "ConfigMap")
    for name, container in containers(overlay).items():
        variables = [each["name"] for each in container.get("env", [])]
        for source in container.get("envFrom", []):
            variables += maps[source["configMapRef"]["name"]]["data"]
        for variable in variables:
            is_page = name.startswith("gateway") and (variable.startswith(("STRIPE_", "OIDC_")) or variable == "MODE")
            of_libpq = name.startswith("provision") and variable in {"PGUSER", "PGPASSWORD"}
            assert (
                variable in known or is_page or of_libpq or (name.startswith("gateway") and variable in of_gateway)
            ), f"{name}: {variable}"


def test_the_secret_of_each_service_holds_what_it_needs() -> None:
    """By README.md's table, its own variables and the shared ones, and no other service's."""
    told = (KUBERNETES / "README.md").read_text()
    for service in SERVICES:
        row = re.search(rf"^\| `{service}` \| (.+) \|$", told, re.MULTILINE)
        assert row, service
        keys = re.findall(r"`([a-z_]+)`", row.group(1))
        assert {f"{service}_database_url", f"{service}_broker_url", "boxoffice_seal_keyset"} <= set(keys)
        assert all(key.startswith((f"{service}_", "boxoffice_")) for key in keys), service
    for role in roles():
        assert f"{role}_password" in told or "<service>" in told


def test_the_brokers_users_have_the_declared_rights(overlay: list[Manifest]) -> None:
    """The same as everywhere: ops/privileges.py."""
    permissions = of_kind(overlay, "Permission")
    assert set(permissions) == {"admin", *SERVICES}
    users = of_kind(overlay, "User")
    for service in SERVICES:
        assert permissions[service]["spec"]["permissions"] == in_broker(service)
        assert permissions[service]["spec"]["userReference"] == {"name": service}
        assert permissions[service]["spec"]["vhost"] == "boxoffice"
        assert "tags" not in users[service]["spec"]


def test_the_servers_survive_one_of_them(overlay: list[Manifest], request: pytest.FixtureRequest) -> None:
    if "staging" in request.node.name:
        return
    cluster = of_kind(overlay, "Cluster")["postgres"]["spec"]
    assert cluster["instances"] == 3
    assert cluster["postgresql"]["synchronous"]["number"] == 1
    assert cluster["affinity"]["podAntiAffinityType"] == "required"
    assert cluster["backup"]["retentionPolicy"]
    assert not {"fsync", "synchronous_commit", "full_page_writes"} & set(cluster["postgresql"]["parameters"])
    assert of_kind(overlay, "RabbitmqCluster")["rabbitmq"]["spec"]["replicas"] == 3
    for deployment in of_kind(overlay, "Deployment").values():
        spread = template_of(deployment)["spec"]["topologySpreadConstraints"]
        assert spread[1]["whenUnsatisfiable"] == "DoNotSchedule"
