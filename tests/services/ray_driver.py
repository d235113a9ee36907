"""Runs flows.serving_ray's app in two replicas until it is killed: `python -m tests.services.ray_driver HTTP GRPC UP_FILE`."""

import sys
import time
import urllib.request
from pathlib import Path

import ray
from ray import serve
from ray.serve.config import HTTPOptions, gRPCOptions

from flows.serving_ray import PainterReplica

SERVICER = "generator.service.painter_pb2_grpc.add_PainterServicer_to_server"


def main(http_port: int, grpc_port: int, up: Path) -> None:
    ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=True)
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=http_port),
                grpc_options=gRPCOptions(port=grpc_port, grpc_servicer_functions=[SERVICER]))
    serve.run(PainterReplica.options(num_replicas=2, ray_actor_options={"num_cpus": 0.5}).bind())
    warm = set()
    while len(warm) < 2:  # the proxy sends each question to either replica
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/ready", timeout=5) as answer:
                warm.add(answer.headers["x-fengmian-replica"])
        except OSError:
            time.sleep(0.2)
    up.touch()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
