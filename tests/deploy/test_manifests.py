"""What is written in deploy/ is what Docker, Kubernetes, Ray and our own settings understand, and as closed as it should be."""

import json
import os
import re
import subprocess
import sys
import tomllib

import kubernetes_validate
import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from flows.deploying import plan
from flows.settings import PREFIX, Settings, load_settings
from tests.deploy.files import DEPLOY, EXAMPLE, compose, containers, instructions, kustomization, manifests, pods

KUBERNETES = ("1.30", "1.33")


def test_compose_files_are_what_the_specification_says():
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*words, *map(str, DEPLOY.glob("compose*.yaml"))], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_compose_says_which_value_is_missing():
    for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "SERVICE_TOKEN", "GATEWAY_PEPPER", "COVER_SITE", "S3_SECRET_KEY"):
        with pytest.raises(KeyError, match=name):
            compose({**EXAMPLE, name: ""})
    shown = set(re.findall(r"(?m)^([A-Z_0-9]+)=", (DEPLOY / "compose" / "env.example").read_text()))
    assert shown == set(EXAMPLE) - {"CHECKPOINT"}


def test_compose_services_know_each_other_and_are_closed():
    content = compose()
    for name, service in content["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        for other in service.get("depends_on", {}):
            assert other in content["services"]
        assert set(service["networks"]) <= set(content["networks"])
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in content["volumes"] or source.startswith(("/", "./")), volume
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), (name, port)
    for kept in ("postgres", "redis", "s3", "generator"):
        assert all(content["networks"][network].get("internal") for network in content["services"][kept]["networks"])


def shares_a_network(services, one, other):
    return bool(set(services[one]["networks"]) & set(services[other]["networks"]))


def test_whoever_names_a_service_reaches_it():
    services = compose()["services"]
    for name, service in services.items():
        text = json.dumps([service.get("environment", {}), service.get("command", [])])
        for other in services:
            if re.search(rf"[/@\"]{other}:[0-9]", text) and name not in ("deployments", "gateway"):
                assert shares_a_network(services, name, other), (name, other)
    assert shares_a_network(services, "worker", "generator")
    assert not shares_a_network(services, "gateway", "generator")


@pytest.mark.parametrize("version", KUBERNETES)
def test_manifests_are_what_kubernetes_says(version):
    kinds = {each["kind"]: kubernetes_validate.validate(each, version, strict=True) for each in manifests()
             if each["kind"] != "RayService"}
    assert {"Deployment", "Job", "Service", "Ingress", "NetworkPolicy", "PodDisruptionBudget"} <= set(kinds)


@pytest.mark.parametrize("version", KUBERNETES)
def test_pods_are_what_kubernetes_says_also_those_that_kuberay_makes(version):
    named = dict(pods())
    for pod in named.values():
        template = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod}
        kubernetes_validate.validate(template, version, strict=True)
    assert {"RayService/generator/head", "Deployment/worker"} <= set(named)


def test_a_wrong_manifest_is_found():
    (wrong,) = [each for each in manifests("gateway.yaml") if each["kind"] == "Deployment"]
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProbe"] = {"httpget": {"port": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES[-1], strict=True)


def test_the_rayservice_has_the_parts_that_kuberay_asks_for():
    (service,) = [each for each in manifests("generator.yaml") if each["kind"] == "RayService"]
    assert service["apiVersion"] == "ray.io/v1"
    assert set(service["spec"]) == {"serveConfigV2", "rayClusterConfig"}
    cluster = service["spec"]["rayClusterConfig"]
    assert set(cluster) == {"rayVersion", "enableInTreeAutoscaling", "autoscalerOptions", "headGroupSpec", "workerGroupSpecs"}
    assert set(cluster["headGroupSpec"]) == {"rayStartParams", "template"}
    for group in cluster["workerGroupSpecs"]:
        assert set(group) == {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == container["resources"]["requests"]["nvidia.com/gpu"] == "1"
        application = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"][0]
        scaling = application["deployments"][0]["autoscaling_config"]
        assert (scaling["min_replicas"], scaling["max_replicas"]) == (group["minReplicas"], group["maxReplicas"])
    assert all(isinstance(value, str) for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])
               for value in group["rayStartParams"].values())


def test_ray_understands_what_it_shall_serve_and_it_is_the_same_in_both_places():
    alone = yaml.safe_load((DEPLOY / "ray" / "serve.yaml").read_text())
    (service,) = [each for each in manifests("generator.yaml") if each["kind"] == "RayService"]
    assert yaml.safe_load(service["spec"]["serveConfigV2"]) == alone
    read = ServeDeploySchema.model_validate(alone)
    assert [deployment.name for deployment in read.applications[0].deployments] == ["painter"]


def test_versions_are_those_that_are_locked():
    locked = dict(line.split("==") for line in (DEPLOY.parent / "constraints.txt").read_text().split())
    (service,) = [each for each in manifests("generator.yaml") if each["kind"] == "RayService"]
    assert service["spec"]["rayClusterConfig"]["rayVersion"] == locked["ray"]
    arguments = [words for instruction, words in instructions("Dockerfile.generator") if instruction == "ARG"]
    assert f"TORCH=torch=={locked['torch']}" in arguments


def test_every_pod_runs_with_as_little_as_it_can():
    for name, pod in pods():
        assert pod["enableServiceLinks"] is False, f"{name}: variables of a service called fengmian-... would look like settings"
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
    for name, container in containers():
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                "capabilities": {"drop": ["ALL"]}}, name
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
        assert "memory" in container["resources"]["limits"], name
        assert {"/state", "/tmp"} <= {mount["mountPath"] for mount in container["volumeMounts"]}, name


def test_what_stays_up_is_probed_and_budgeted():
    budgets = {each["metadata"]["name"] for each in manifests() if each["kind"] == "PodDisruptionBudget"}
    for each in manifests():
        if each["kind"] == "Deployment":
            (container,) = each["spec"]["template"]["spec"]["containers"]
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container), each["metadata"]["name"]
            assert each["metadata"]["name"] in budgets or each["spec"]["replicas"] == 1
    assert "generator" in budgets


def test_references_between_manifests_lead_somewhere():
    named = {(each["kind"], each["metadata"]["name"]) for each in manifests()}
    for name, pod in pods():
        for volume in pod["volumes"]:
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in named, name
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in named, name
    for name, container in containers():
        for source in container["envFrom"]:
            kind = "ConfigMap" if "configMapRef" in source else "Secret"
            assert (kind, source[f"{kind[0].lower()}{kind[1:]}Ref"]["name"]) in named, name
    images = {each["name"] for each in kustomization()["images"]}
    assert {container["image"] for _, container in containers()} == images
    templates = [each["spec"]["template"] for each in manifests() if each["kind"] in ("Deployment", "Job")]
    labels = {"generator", *(template["metadata"]["labels"]["app"] for template in templates)}
    for each in manifests("network-policies.yaml"):
        for word in re.findall(r"'app': '(\w+)'|'values': \[([^]]*)\]", repr(each)):
            assert set(re.findall(r"\w+", " ".join(word))) <= labels


def test_nothing_is_let_in_that_no_policy_names():
    policies = {each["metadata"]["name"]: each["spec"] for each in manifests("network-policies.yaml")}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, policy in policies.items():
        for rule in policy.get("ingress", []):
            assert rule["from"], f"{name} lets in everybody"
    (ingress,) = [each for each in manifests("gateway.yaml") if each["kind"] == "Ingress"]
    paths = [path["path"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
    assert paths == ["/webhooks/", "/v1/"]


def variables():
    """(where, name, value) of every setting of ours that deploy/ gives to a process."""
    for file in ("compose.yaml", "compose.gpu.yaml"):
        for name, service in compose(file=file)["services"].items():
            yield from ((f"{file} {name}", key, value) for key, value in service.get("environment", {}).items())
    for each in manifests():
        if each["kind"] in ("ConfigMap", "Secret"):
            given = {**each.get("data", {}), **each.get("stringData", {})}
            yield from ((each["metadata"]["name"], key, value) for key, value in given.items())
    for name, container in containers():
        yield from ((name, entry["name"], entry["value"]) for entry in container.get("env", []))
    for file in ("Dockerfile.flows", "Dockerfile.generator"):
        for instruction, words in instructions(file):
            if instruction == "ENV":
                yield from ((file, *word.split("=", 1)) for word in words.split())


def test_every_setting_that_a_process_is_given_is_known_and_valid(monkeypatch, tmp_path):
    given = [(where, name, value) for where, name, value in variables() if name.startswith(PREFIX)]
    assert len(given) > 40
    for where, name, _ in given:
        section, _, leaf = name.removeprefix(PREFIX).lower().partition("__")
        fields = getattr(Settings.model_fields[section].annotation, "model_fields", {})
        assert not leaf or leaf in fields, f"{where}: {name}"
    for _, name, value in given:
        monkeypatch.setenv(name, value)
    settings = load_settings(tmp_path)
    assert settings.store.kind == "s3"


def test_the_site_of_the_example_is_one_that_fengmian_deploy_takes(monkeypatch, tmp_path):
    (site,) = [each for each in manifests("settings.yaml") if each["metadata"]["name"] == "site"]
    (tmp_path / "fengmian.yaml").write_text(site["data"]["fengmian.yaml"])
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    assert "cover-backlog/blog" in [each.full_name for each in plan(load_settings(tmp_path))]


def test_every_setting_stands_in_the_example():
    shown = set(re.findall(r"(?m)^#?(FENGMIAN_[A-Z0-9_]+)=", (DEPLOY / "settings.example.env").read_text(encoding="utf-8")))
    known = set()
    for section, field in Settings.model_fields.items():
        leaves = getattr(field.annotation, "model_fields", None) or {"": None}
        known |= {f"{PREFIX}{section}{'__' if leaf else ''}{leaf}".upper() for leaf in leaves}
    assert shown == known


@pytest.mark.parametrize("name", ["Dockerfile.flows", "Dockerfile.generator"])
def test_images_run_as_nobody_special_and_look_after_themselves(name):
    read = instructions(name)
    stages = [words for instruction, words in read if instruction == "FROM"]
    assert stages[0].startswith("${BASE}")
    assert stages[-1] == "${BASE}"
    last = read[max(index for index, (instruction, _) in enumerate(read) if instruction == "FROM"):]
    final = dict(last)
    assert final["USER"] == "10001:10001"
    assert final["HEALTHCHECK"].endswith('urlopen(os.environ[\'HEALTH_URL\'], timeout=5)"]')
    copied = {words.split()[0] for instruction, words in read if instruction == "COPY" and "--from" not in words}
    ignored = (DEPLOY / "docker" / f"{name}.dockerignore").read_text().split()
    for folder in ("flows", "generator", "integrations", "prompts"):
        assert folder in copied
        assert f"!{folder}" in ignored
    for words in (words.split() for instruction, words in read if instruction == "COPY" and "--from" not in words):
        assert all((DEPLOY.parent / source).exists() for source in words[:-1])


def test_the_flows_image_brings_no_torch():
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())["project"]
    extras, wanted = project["optional-dependencies"], {"gateway"}
    install = next(words for instruction, words in instructions("Dockerfile.flows") if "pip install" in words)
    assert "'.[gateway]'" in install
    listed = [*project["dependencies"], *(each for extra in wanted for each in extras[extra])]
    assert not any(re.match(r"(torch|transformers|safetensors|ray|fengmian)\b", each) for each in listed)
