"""What `fengmian serve` does: the generator of this machine as a web service, built from the settings."""

import asyncio
import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING

from flows.painter import check_torch
from flows.wiring import ports
from generator.request import CoverImage
from integrations.errors import Refused
from integrations.pictures import decode, decode_mask, encode
from integrations.storage.expiring import ExpiringFolder
from integrations.storage.naming import object_name

if TYPE_CHECKING:
    from fastapi import FastAPI

    from generator.service.app import Service
    from generator.service.desk import Painted
    from generator.service.editing import PictureFiles
    from generator.service.shapes import FileFormat

log = logging.getLogger(__name__)


def build_service() -> "Service":
    """The service with the configured weights; loads none yet. Raises SettingsError, CheckpointError."""
    check_torch("the generator service", extra="service")
    from generator.service.app import Service
    from generator.service.desk import Desk, DeskLimits
    from generator.service.editing import EditDesk

    settings = ports().settings
    chosen, service = settings.generator, settings.service
    painter, files = ports().painter.editor.painter, make_files()
    desk = Desk(painter, DeskLimits(max_batch=chosen.max_batch, max_queue=service.max_queue))
    edits = EditDesk(lambda: ports().painter.editor, files, chosen.steps, chosen.guidance)
    return Service(desk=desk, edits=edits, files=files, steps=chosen.steps, guidance=chosen.guidance,
                   public_url=service.public_url, token=service.token.get_secret_value(), deadline_s=service.deadline_s)


def make_files() -> "PictureFiles":
    """Pictures as files, and a folder for those asked for by address."""
    from generator.service.editing import PictureFiles

    settings = ports().settings
    folder = ExpiringFolder(settings.state_folder / "served", settings.service.keep_hours * 3600)

    def keep(painted: "Painted", data: bytes, form: "FileFormat") -> str:
        picture = painted.picture
        name = object_name(painted.fingerprint, picture.width, picture.height, data, form)
        folder.put(name, data, f"image/{form}")
        return name

    def find(name: str) -> bytes | None:
        try:
            return folder.get(name)
        except Refused:  # no name that was ever given
            return None

    def read(data: bytes, name: str) -> CoverImage:
        try:
            return decode(data, name)
        except Refused as exc:
            raise ValueError(str(exc)) from None

    def read_mask(data: bytes, name: str, is_mask: bool) -> CoverImage | None:
        try:
            return decode_mask(data, name, white=is_mask)
        except Refused as exc:
            raise ValueError(str(exc)) from None

    return PictureFiles(encode=encode, keep=keep, find=find, decode=read, decode_mask=read_mask)


def build_app() -> "FastAPI":
    """The app of one process, for any ASGI server: `uvicorn --factory flows.serving:build_app`."""
    from generator.service.app import build_app as build

    return build(build_service())


def serve() -> None:
    """Serve until a signal comes: then no new request is taken, and those that are there are finished."""
    asyncio.run(_serve(build_service()))


async def _serve(service: "Service") -> None:
    import uvicorn

    from generator.service.app import build_app as build
    from generator.service.rpc import serving_grpc

    chosen = ports().settings.service
    server = uvicorn.Server(uvicorn.Config(build(service), host=chosen.host, port=chosen.port, log_level="warning",
                                           timeout_graceful_shutdown=int(chosen.deadline_s), server_header=False))
    log.warning("service: %s at http://%s:%d%s", service.desk.painter.checkpoint, chosen.host, chosen.port,
                f", gRPC at port {chosen.grpc_port}" if chosen.grpc_port else "")
    async with serving_grpc(service, f"{chosen.host}:{chosen.grpc_port}") if chosen.grpc_port else nullcontext():
        await server.serve()
