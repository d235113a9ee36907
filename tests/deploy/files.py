"""deploy/ as tests read it: compose.yaml filled in, and what kustomize would apply."""

import re
from pathlib import Path

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
K8S = DEPLOY / "k8s"
EXAMPLE = {
    "COVER_SITE": "/srv/blog", "STORE_BASE_URL": "https://cdn.example.org/covers", "POSTGRES_PASSWORD": "pg-secret",
    "REDIS_PASSWORD": "redis-secret", "S3_ACCESS_KEY": "covers", "S3_SECRET_KEY": "s3-secret",
    "SERVICE_TOKEN": "service-token", "GATEWAY_PEPPER": "a pepper of the tests", "CHECKPOINT": "qwen-image"}


def fill_in(text, values):
    """What compose makes of ${NAME}, ${NAME:-default} and ${NAME:?complaint}."""
    def value(match):
        name, kind, rest = match["name"], match["kind"], match["rest"]
        if not values.get(name) and kind == ":?":
            raise KeyError(f"{name}: {rest}")
        return values.get(name) or (rest if kind == ":-" else "")

    return re.sub(r"\$\{(?P<name>[A-Z0-9_]+)(?:(?P<kind>:[-?])(?P<rest>[^}]*))?\}", value, text)


def compose(values=EXAMPLE, file="compose.yaml"):
    return yaml.safe_load(fill_in((DEPLOY / file).read_text(encoding="utf-8"), values))


def kustomization():
    return yaml.safe_load((K8S / "kustomization.yaml").read_text(encoding="utf-8"))


def manifests(*names):
    """Every object of these files; of all that kustomize applies, and the example of secrets, unless they are named."""
    files = names or (*kustomization()["resources"], "secrets.example.yaml")
    return [each for name in files for each in yaml.safe_load_all((K8S / name).read_text(encoding="utf-8")) if each]


def pods():
    """(name, pod specification) of everything that runs."""
    found = []
    for each in manifests():
        name = f"{each['kind']}/{each['metadata']['name']}"
        if each["kind"] in ("Deployment", "Job"):
            found.append((name, each["spec"]["template"]["spec"]))
        elif each["kind"] == "RayService":
            cluster = each["spec"]["rayClusterConfig"]
            for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
                found.append((f"{name}/{group.get('groupName', 'head')}", group["template"]["spec"]))
    return found


def containers():
    return [(name, container) for name, pod in pods() for container in pod["containers"]]


def instructions(name):
    """(instruction, words) of a Dockerfile, its lines joined."""
    text = (DEPLOY / "docker" / name).read_text(encoding="utf-8")
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]
