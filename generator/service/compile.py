"""Writes painter_pb2.py and painter_pb2_grpc.py from painter.proto. `python -m generator.service.compile`; needs grpcio-tools."""

from pathlib import Path

HERE = Path(__file__).parent


def compile_proto(out: Path = HERE.parent.parent) -> None:
    """Write the modules below `out`, the folder that holds the package. Raises RuntimeError."""
    from grpc_tools import protoc

    root = HERE.parent.parent
    if protoc.main(["protoc", f"-I{root}", f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}",
                    "generator/service/painter.proto"]):
        raise RuntimeError("protoc: painter.proto was refused; its message stands above")


if __name__ == "__main__":
    compile_proto()
