#!/usr/bin/env bash
# fastapi 0.165.0: an application makes OpenTelemetry spans by itself, without an instrumentation package and without being
# asked, as soon as anything in the process sets a global tracer provider. A server that sets one to export spans of its own
# (an inference server with simulated or model times, say) also exports four of FastAPI's for each request, at wall times,
# with paths in them. `telemetry={"tracing": False}` ends it.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fastapi==0.165.0 httpx==0.28.1 opentelemetry-sdk==1.45.2
cat > "$folder/app.py" <<'PY'
import asyncio

import httpx
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

async def spans_of(app):
    @app.get("/items/{key}")
    async def read(key: str):
        return {"key": key}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        await client.get("/items/1")
    names = [span.name for span in exporter.get_finished_spans()]
    exporter.clear()
    return names

print("as it comes:", *asyncio.run(spans_of(FastAPI())), sep="\n  ")
print("tracing off:", *asyncio.run(spans_of(FastAPI(telemetry={"tracing": False}))))
PY
told=$("$folder/venv/bin/python" "$folder/app.py")
echo "$told"
[ "$told" = "$(printf '%s\n' 'as it comes:' '  fastapi.dependencies' '  fastapi.endpoint' '  fastapi.serialization' '  GET /items/{key}' 'tracing off:')" ]
