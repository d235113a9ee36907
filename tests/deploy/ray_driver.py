"""Serves a config file of Ray Serve at 127.0.0.1 until it is killed: `python -m tests.deploy.ray_driver FILE`.

As `serve run FILE`, which would listen to every network.
"""

import sys
import time
from pathlib import Path

import ray
import yaml
from ray import serve
from ray.serve.config import HTTPOptions, gRPCOptions
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema


def main(file: Path) -> None:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    ray.init(num_cpus=2, num_gpus=0, include_dashboard=False, _node_ip_address="127.0.0.1")
    serve.start(http_options=HTTPOptions(**content["http_options"]), grpc_options=gRPCOptions(**content["grpc_options"]))
    _get_global_client().deploy_apps(ServeDeploySchema.model_validate(content))
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
