"""`GET /v1/models` and `GET /v1/models/{id}`; ids contain slashes, which clients send raw or encoded."""

from typing import Annotated

from fastapi import Path

from api_shim.clocks.virtual_loop import EPOCH_UNIX_S
from api_shim.routes.described import TheShim, api_router
from api_shim.shim import ServedModel
from api_shim.wire.answers import ModelList, ModelObject
from api_shim.wire.body import SERVED

router = api_router("models", prefix="/v1")
ModelId = Annotated[str, Path(json_schema_extra={SERVED: "models"})]


@router.get("/models", summary="List the models that are served")
async def list_models(shim: TheShim) -> ModelList:
    return ModelList(data=[_described(model) for model in shim.models.values()])


@router.get("/models/{model_id:path}", summary="Describe one model")
async def retrieve_model(model_id: ModelId, shim: TheShim) -> ModelObject:
    return _described(shim.model(model_id))


def _described(model: ServedModel) -> ModelObject:
    owner, *provider = model.id.split("/")
    return ModelObject(
        id=model.id,
        created=EPOCH_UNIX_S,
        owned_by=owner,
        provider=provider[0] if len(provider) > 1 else owner,
    )
