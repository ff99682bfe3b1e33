"""`GET /v1/models` and `GET /v1/models/{id}`; ids contain slashes, which clients send raw or encoded."""

from typing import Annotated

from fastapi import Path, Request

from api_shim.clocks.virtual_loop import EPOCH_UNIX_S
from api_shim.routes.common import check_model, node_of
from api_shim.routes.described import TheShim, api_router
from api_shim.shim import ServedModel
from api_shim.wire.answers import ModelList, ModelObject
from api_shim.wire.body import SERVED

router = api_router("models", prefix="/v1")
ModelId = Annotated[str, Path(json_schema_extra={SERVED: "models"})]


@router.get("/models", summary="List the models that are served")
async def list_models(request: Request, shim: TheShim) -> ModelList:
    node = node_of(request)
    served = (model for model in shim.models.values() if node is None or model.name == node.model)
    return ModelList(data=[_described(model) for model in served])


@router.get("/models/{model_id:path}", summary="Describe one model")
async def retrieve_model(model_id: ModelId, request: Request, shim: TheShim) -> ModelObject:
    model = shim.model(model_id)
    check_model(request, model)
    return _described(model)


def _described(model: ServedModel) -> ModelObject:
    owner, *provider = model.id.split("/")
    return ModelObject(
        id=model.id,
        created=EPOCH_UNIX_S,
        owned_by=owner,
        provider=provider[0] if len(provider) > 1 else owner,
    )
